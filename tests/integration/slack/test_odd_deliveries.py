"""Deliveries that cannot be read, messages without words, threads of others, and what was said while we were away."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from bot.surfaces.port import QuotedMessage
from bot.surfaces.slack.catch_up import MAX_AGE_S, SlackCatchUp
from bot.surfaces.slack.surface import SlackSurface
from tests import campaign
from tests.fakes.inbox import FakeInbox
from tests.fakes.slack.fixtures import running
from tests.fakes.slack.people import fresh
from tests.fakes.slack.program import ANA, BOT, DEV, KIM, LEE, OTHER, TEAM
from tests.fakes.slack.signing import Signed, Signer, message_event
from tests.integration.slack.conftest import CHANNEL, drawn_by

pytestmark = pytest.mark.surfaces

WORDS = "the-secret-plan"
FORM = "application/x-www-form-urlencoded"
MALFORMED: list[dict[str, Any]] = [
    {"type": "event_callback"},
    {"type": "event_callback", "event": [WORDS]},
    {"type": "event_callback", "event": {"type": [WORDS]}},
    {"type": {WORDS: 1}},
    {"type": "block_actions", "actions": []},
    {"type": "view_submission", "view": WORDS},
    {"type": "event_callback", "team_id": 7, "event": {"type": "message", "text": WORDS}},
]


@pytest.mark.parametrize("body", [b"ssl_check=1&token=abc", b"token=abc&ssl_check=1", b"ssl_check=1"])
@pytest.mark.parametrize("signed", [True, False])
async def test_chat_02_the_check_of_the_certificate_gets_200(slack, body, signed):
    surface = SlackSurface(slack.config_http())
    transport = httpx.ASGITransport(Starlette(routes=list(surface.routes(FakeInbox()))))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.test") as client:
        for path in ("/slack/commands", "/slack/interactions"):
            request = Signer().sign(path, body, FORM) if signed else Signed(path, body, {"content-type": FORM})
            answer = await client.post(path, content=request.body, headers=request.headers)
            assert (answer.status_code, answer.text) == (200, "")
            claimed = await client.post(path, content=body + b"&command=x", headers={"content-type": FORM})
            assert claimed.status_code == 401


async def test_chat_01_what_cannot_be_read_is_acknowledged_over_http(slack, capfd):
    surface, inbox = SlackSurface(slack.config_http()), FakeInbox()
    transport = httpx.ASGITransport(Starlette(routes=list(surface.routes(inbox))))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.test") as client:
        bodies = [Signer().sign("/slack/events", f"{{{WORDS}".encode(), "application/json")]
        bodies += [Signer().sign("/slack/commands", f"x={WORDS}".encode(), FORM)]
        bodies += [Signer().interaction(body) for body in MALFORMED]
        for request in bodies:
            answer = await client.post(request.path, content=request.body, headers=request.headers)
            assert answer.status_code == 200, request.body
    out, err = capfd.readouterr()
    assert WORDS not in out + err


async def test_chat_01_what_cannot_be_read_is_acknowledged_on_the_socket_and_the_next_is_accepted(harness, capfd):
    for payload in MALFORMED:
        await harness.slack.acknowledged(await harness.slack.deliver("events_api", payload))
    for socket in harness.slack._sockets:
        for frame in ("[]", "{" + WORDS, f'"{WORDS}"', "[" * 5000, '{"type": 7, "envelope_id": [1]}', '{"payload": 5}'):
            await socket.send_str(frame)
    await harness.slack.mentions("the next")
    assert [said.text for said in await harness.received()] == ["the next"]
    out, err = capfd.readouterr()
    assert WORDS not in out + err


async def test_chat_01_a_form_whose_memory_is_nested_without_end_breaks_nothing(harness):
    view = {"id": "V1", "type": "modal", "callback_id": "countersign_ask", "private_metadata": "[" * 100_000}
    payload = {"type": "view_submission", "view": view, "user": {"id": ANA}, "team": {"id": TEAM}}
    await harness.slack.acknowledged(await harness.slack.deliver("interactive", payload))
    await harness.slack.mentions("the next")
    assert [said.text for said in await harness.received()] == ["the next"]


async def test_chat_05_an_edit_names_the_message_and_a_preview_is_none(harness):
    ts = await harness.slack.mentions("undo 5")
    event = message_event("", subtype="message_changed")
    said = {"type": "message", "user": ANA, "text": f"<@{BOT}> undo 5", "ts": ts, "team": TEAM}
    changed = {**event, "message": {**said, "attachments": [{}]}, "previous_message": said}
    payload = {"type": "event_callback", "team_id": TEAM, "event_id": "Ev1", "event": changed}
    await harness.slack.acknowledged(await harness.slack.deliver("events_api", payload))
    await harness.slack.edits(ts, f"<@{BOT}> undo 6")
    first, edit = await harness.received(2)
    assert (first.edits, edit.edits) == ("", first.dedup)
    assert (first.text, edit.text) == ("undo 5", "undo 6")


async def test_chat_11_what_stands_beside_our_name_goes_with_it(harness):
    us = f"<@{BOT}>"
    for text, heard in {
        f"please {us}, set a to 1": "please set a to 1",
        f"{us}: append the line x:": "append the line x:",
        f"set a to 1, {us}": "set a to 1",
        f"{us} .env needs a line": ".env needs a line",
    }.items():
        await harness.slack.says(text)
        await harness.inbox.until(lambda heard=heard: any(said.text == heard for said in harness.inbox.messages))


async def test_chat_18_a_file_without_words_is_answered_with_what_is_possible(harness):
    channel = await harness.slack.direct_channel()
    for fields in ({"subtype": "file_share", "files": [{"id": "F1"}]}, {"attachments": [{"is_share": True}]}):
        event = message_event("", channel=channel, **fields)
        payload = {"type": "event_callback", "team_id": TEAM, "event_id": "Ev1", "event": event}
        await harness.slack.acknowledged(await harness.slack.deliver("events_api", payload))
    file, shared = await harness.received(2)
    assert "cannot read files" in file.hint
    assert "does not count as your request" in shared.hint


async def test_chat_09_the_message_that_began_a_thread_is_quoted_as_its_writers_words(harness):
    root = await harness.slack.says("set server.timeout to 30 in config/app.yaml", user=KIM)
    await harness.slack.mentions("do this", thread=root)
    (heard,) = await harness.received()
    whole = await harness.surface.complete_message(heard)
    assert whole.quoted == QuotedMessage("set server.timeout to 30 in config/app.yaml", f"{TEAM}/{KIM}")


async def test_chat_09_our_own_card_is_not_quoted(harness):
    card = await harness.surface.post(CHANNEL, drawn_by(harness.surface), None)
    await harness.slack.mentions("do this", thread=card)
    (heard,) = await harness.received()
    assert (await harness.surface.complete_message(heard)).quoted is None


async def test_chat_19_what_was_said_while_nobody_listened_is_accepted_when_somebody_does_again(slack):
    inbox = FakeInbox()
    async with running(SlackSurface(slack.config()), inbox, slack):
        root = await slack.mentions("one")
        channel, _ = await slack.direct("two", user=LEE)
        await inbox.received(2)
        await inbox.until(lambda: channel in inbox.memory.get("slack", {}).get("direct", ()))
    await slack.until(lambda: not slack.connected())
    texts = [fresh() for _ in range(5)]
    await slack.mentions(texts[0])
    await slack.mentions(texts[1], thread=root)
    await slack.says(texts[2], user=LEE, channel=channel)
    await slack.says("talk among people")
    await slack.mentions("not listened to", channel=OTHER)
    async with running(SlackSurface(slack.config()), inbox, slack):
        heard = list(await inbox.received(5))
        await slack.mentions(texts[3])
        await inbox.received(6)
    assert {said.text for said in heard[2:]} == set(texts[:3])
    assert [said.text for said in inbox.messages].count("one") == 1


async def test_chat_19_a_lost_connection_is_caught_up_with_when_it_is_open_again(harness):
    await harness.inbox.until(lambda: harness.inbox.memory.get("slack"))
    harness.slack.refuse_sockets = True
    await harness.slack.hangs_up()
    await harness.slack.until(lambda: not harness.slack.connected())
    await harness.slack.mentions(text := fresh())
    harness.slack.refuse_sockets = False
    assert [said.text for said in await harness.inbox.received()] == [text]


async def test_chat_19_at_the_very_first_start_nothing_old_is_done(slack):
    await slack.mentions("said before we came")
    inbox = FakeInbox()
    async with running(SlackSurface(slack.config()), inbox, slack):
        await inbox.until(lambda: inbox.memory.get("slack"))
        await slack.mentions(text := fresh())
        assert [said.text for said in await inbox.received()] == [text]


async def test_chat_19_a_missing_scope_or_a_limit_ends_nothing(slack):
    inbox = FakeInbox(memory={"slack": {"until": 1.0}})
    slack.fail("conversations.history", "ratelimited" if campaign.WHOLE else "limit")  # without a time: half a minute
    slack.fail("conversations.history", "missing_scope")
    slack.fail("conversations.history", "limit", retry_after_s=0.1)
    async with running(SlackSurface(slack.config()), inbox, slack):
        await slack.mentions(text := fresh())
        assert [said.text for said in await inbox.received()] == [text]
        await inbox.until(lambda: inbox.memory["slack"]["until"] > MAX_AGE_S)


async def test_chat_19_the_history_is_read_page_by_page(slack):
    inbox = FakeInbox(memory={"slack": {"until": 1.0}})
    for n in range(7):
        said = {"channel": DEV, "user": ANA, "text": f"<@{BOT}> number {n}"}
        await slack.to_program("POST", "/_control/message", json=said)
    surface = SlackSurface(slack.config())
    reader = SlackCatchUp(surface._api, surface.account, [DEV], page=3)
    async with surface._api.session():
        await reader._catch_up(inbox)
    assert {said.text for said in inbox.messages} == {f"number {n}" for n in range(7)}
    assert len(slack.called("conversations.history")) == 3


async def test_chat_19_doctor_says_what_is_lost_without_a_scope(slack):
    slack.scopes = slack.scopes.replace("groups:history,", "")
    rows = {row["check"]: row for row in await SlackSurface(slack.config()).check()}
    assert "groups:history" in rows["slack catching up"]["detail"]
    assert "groups:history" in rows["slack scopes"]["detail"]
