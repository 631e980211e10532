"""What people write on Slack, over Socket Mode and the real libraries: who is heard, once, and what is not for us."""

from __future__ import annotations

import asyncio

import pytest
from slack_bolt.async_app import AsyncApp

from bot.surfaces.port import Place
from bot.surfaces.slack import socket
from bot.surfaces.slack.api import SlackApi
from bot.surfaces.slack.surface import SlackSurface
from core.model.errors import PermanentError, TransientError
from tests.fakes.inbox import FakeInbox
from tests.fakes.slack.fixtures import running
from tests.fakes.slack.people import fresh
from tests.fakes.slack.program import (
    ANA,
    APP_TOKEN,
    BOT,
    BOT_TOKEN,
    DEV,
    GONE,
    GUEST,
    KIM,
    LEE,
    OTHER,
    STRANGER,
    TEAM,
)
from tests.fakes.slack.signing import message_event
from tests.integration.slack.conftest import CHANNEL, drawn_by

pytestmark = pytest.mark.surfaces


async def nothing_more(harness, count):
    """After a last message that is heard, nothing but `count` and it was."""
    text = fresh()
    await harness.slack.mentions(text)
    said = await harness.inbox.received(count + 1)
    assert [one.text for one in said][count:] == [text]


async def test_a_mention_is_accepted_once_though_slack_tells_it_twice(harness):
    ts = await harness.slack.mentions("bump lodash to 4.17.21 &amp; tell <@U0LEE>")
    (heard,) = await harness.received()
    assert heard.identity == f"{TEAM}/{ANA}"
    assert heard.place == Place("slack", DEV, ts)
    assert heard.text == "bump lodash to 4.17.21 & tell @U0LEE"
    assert (heard.message_id, heard.reply_to, heard.addressed) == (ts, None, True)
    assert heard.dedup == f"m:{DEV}:{ts}"
    await harness.slack.until(lambda: harness.inbox.deliveries == 2)
    assert len(harness.inbox.messages) == 1


async def test_a_direct_message_needs_no_mention_and_stays_flat(harness):
    channel, ts = await harness.slack.direct("fix the typo in README.md")
    (heard,) = await harness.received()
    assert heard.place == Place("slack", channel, None, private=True)
    assert (heard.text, heard.message_id, heard.addressed) == ("fix the typo in README.md", ts, True)


async def test_a_reply_below_our_card_speaks_to_us_and_one_in_a_thread_of_people_may(harness):
    card = await harness.surface.post(CHANNEL, drawn_by(harness.surface), None)
    await harness.slack.says("say pipx too", thread=card)
    (reply,) = await harness.received()
    assert (reply.addressed, reply.reply_to, reply.place.thread) == (True, card, card)
    root = await harness.slack.says("lunch?")
    await harness.slack.says("at noon", thread=root)
    _, talked = await harness.received(2)
    assert (talked.addressed, talked.reply_to) == (False, root)


async def test_talk_among_people_is_not_kept(harness):
    await harness.slack.says("good morning")
    await nothing_more(harness, 0)


async def test_only_channels_that_are_listened_in_are_accepted(harness):
    await harness.slack.mentions("change it", channel=OTHER)
    await nothing_more(harness, 0)


async def test_a_stranger_of_slack_connect_is_not_accepted(harness):
    await harness.slack.mentions("approve 1 0123456789ab", user=STRANGER)
    await nothing_more(harness, 0)


@pytest.mark.parametrize(("user", "has_a_say"), [(ANA, True), (GUEST, False), (GONE, False)])
async def test_guests_and_the_deactivated_are_accepted_but_have_no_say(harness, user, has_a_say):
    await harness.slack.mentions("approve 1 0123456789ab", user=user)
    (heard,) = await harness.received()
    assert (await harness.surface.check_access(heard) is None) == has_a_say
    assert await harness.surface.complete_message(heard) is heard


async def test_a_stranger_with_our_persons_user_id_is_somebody_else(harness):
    outer = {"is_ext_shared_channel": True}
    event = message_event(f"<@{BOT}> approve", ANA, team="T0THEIRS", user_team="T0THEIRS", source_team="T0THEIRS")
    payload = {"type": "event_callback", "team_id": TEAM, "event_id": "Ev1", "event": event, **outer}
    await harness.slack.acknowledged(await harness.slack.deliver("events_api", payload))
    await nothing_more(harness, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"bot_id": "B1", "subtype": "bot_message"},
        {"bot_id": "B1"},
        {"user": BOT},
        {"user": "USLACKBOT"},
        {"subtype": "channel_join"},
        {"subtype": "message_deleted", "deleted_ts": "1.1"},
        {"subtype": "message_replied"},
        {"ts": "not a time"},
        {"text": None, "user": None},
        {"channel": None},
        {"channel": ["C0DEV"], "text": {"a": 1}},
    ],
    ids=str,
)
async def test_programs_notices_and_malformed_events_are_acknowledged_and_ignored(harness, fields):
    event = {**message_event(f"<@{BOT}> approve"), **fields}
    payload = {"type": "event_callback", "team_id": TEAM, "event_id": "Ev1", "event": event}
    await harness.slack.acknowledged(await harness.slack.deliver("events_api", payload))
    await nothing_more(harness, 0)


async def test_an_edit_is_another_message_only_if_it_speaks_to_us(harness):
    ts = await harness.slack.says("lunch?")
    await harness.slack.edits(ts, "dinner?")
    await harness.slack.edits(ts, f"<@{BOT}> bump x to 2")
    (heard,) = await harness.received()
    assert (heard.text, heard.message_id) == ("bump x to 2", ts)
    assert heard.dedup.startswith(f"m:{DEV}:{ts}:e")
    await nothing_more(harness, 1)


async def test_what_cannot_be_kept_is_not_acknowledged_and_heard_at_the_retry(harness):
    harness.inbox.refuses = True
    text = fresh()
    await harness.slack.mentions(text)
    await harness.slack.until(lambda: harness.inbox.deliveries >= 1)
    envelopes = [found for found in harness.slack.delivered if text in str(found["payload"].get("event"))]
    assert not [found for found in envelopes if found["envelope_id"] in harness.slack.acks]
    harness.inbox.refuses = False
    for retry in (1, 2, 3):
        await harness.slack.acknowledged(await harness.slack.delivers_again(envelopes[0], retry))
    assert [said.text for said in harness.inbox.messages] == [text]


class SlowInbox(FakeInbox):
    """An inbox whose disk is slow."""

    gate: asyncio.Event
    waiting: int = 0

    async def accept(self, said):
        self.waiting += 1
        await self.gate.wait()
        return await super().accept(said)


async def test_retries_while_the_first_delivery_is_still_being_kept_have_one_effect(slack):
    inbox = SlowInbox()
    inbox.gate = asyncio.Event()
    async with running(SlackSurface(slack.config()), inbox, slack):
        await slack.mentions(text := fresh())
        first = await slack.until(lambda: [e for e in slack.delivered if text in str(e["payload"])])
        again = [await slack.delivers_again(first[0], retry) for retry in (1, 2, 3)]
        assert not slack.acks
        inbox.gate.set()
        for envelope in again:
            await slack.acknowledged(envelope)
        assert [said.text for said in inbox.messages] == [text]


async def test_a_person_whom_slack_cannot_vouch_for_now_is_kept_and_judged_later(harness):
    harness.slack.fail("users.info", "down")
    await harness.slack.mentions("approve 1 0123456789ab")
    (heard,) = await harness.received()
    with pytest.raises(TransientError):
        await harness.surface.check_access(heard)
    assert await harness.surface.check_access(heard) is None


async def test_a_command_is_accepted_without_a_message(harness):
    assert await harness.slack.commands("bump x to 2", user=LEE) is None
    (heard,) = await harness.received()
    assert (heard.identity, heard.text, heard.addressed) == (f"{TEAM}/{LEE}", "bump x to 2", True)
    assert heard.place == Place("slack", DEV)
    await harness.surface.acknowledge(heard.place, heard.message_id)
    assert not harness.slack.called("reactions.add")


async def test_a_command_typed_in_a_private_talk_is_answered_in_ours(harness):
    ours = await harness.slack.direct_channel(KIM)
    for channel in ("D0ELSEWHERE", ours):
        await harness.slack.commands(f"help in {channel}", user=KIM, channel=channel)
    heard = await harness.received(2)
    assert {said.place for said in heard} == {Place("slack", ours, None, private=True)}
    assert len(harness.slack.called("conversations.open")) == 1


async def test_a_command_that_is_not_accepted_says_why_to_its_writer_alone(harness):
    answer = await harness.slack.commands("approve 1", channel=OTHER)
    assert answer["response_type"] == "ephemeral"
    assert "I am not set up for this channel" in answer["text"]
    assert not harness.inbox.messages


async def test_the_shortcut_asks_with_the_messages_words_and_answers_in_its_thread(harness):
    ts = await harness.slack.says("install.md says pip &amp; should say pipx")
    await harness.slack.shortcuts(ts, "install.md says pip &amp; should say pipx", user=LEE)
    form = await harness.slack.form(LEE)
    assert form["blocks"][0]["element"]["initial_value"] == "install.md says pip & should say pipx"
    assert await harness.slack.submits("say pipx in docs/install.md", LEE, form) is None
    await harness.slack.submits("say pipx in docs/install.md", LEE, form)
    (heard,) = await harness.received()
    assert (heard.identity, heard.text) == (f"{TEAM}/{LEE}", "say pipx in docs/install.md")
    assert (heard.place, heard.message_id) == (Place("slack", DEV, ts), ts)


async def test_the_shortcut_elsewhere_leads_to_a_direct_message(harness):
    await harness.slack.shortcuts("1700000000.000100", "please fix", channel=OTHER)
    assert await harness.slack.submits("  ") == {"response_action": "errors", "errors": {"words": "Write a few words."}}
    await harness.slack.submits("please fix it")
    (heard,) = await harness.received()
    assert heard.place == Place("slack", await harness.slack.direct_channel(), None, private=True)


async def test_a_lost_connection_is_opened_again(harness):
    await harness.slack.mentions("one")
    await harness.inbox.received()
    await harness.slack.hangs_up()
    await harness.slack.until(harness.slack.connected, within_s=20)
    await harness.slack.mentions("two")
    assert [said.text for said in await harness.inbox.received(2)] == ["one", "two"]


async def test_a_connection_that_slack_moves_is_opened_anew_and_nothing_is_missed(harness):
    before = set(harness.slack._sockets)
    await harness.slack.moves_us()
    await harness.slack.until(lambda: set(harness.slack._sockets) - before, within_s=20)
    await harness.slack.mentions(text := fresh())
    assert [said.text for said in await harness.inbox.received()] == [text]


async def test_a_socket_that_never_opens_ends_the_run_so_that_it_starts_afresh(slack):
    slack.refuse_sockets = True
    api = SlackApi(BOT_TOKEN, slack.url)
    with pytest.raises(TransientError, match="did not open"):
        await socket.listen(api, APP_TOKEN, AsyncApp(client=api.client), connect_s=0.2)


async def test_what_is_being_kept_when_we_end_is_still_acknowledged(slack):
    inbox = SlowInbox()
    inbox.gate = asyncio.Event()
    async with running(SlackSurface(slack.config()), inbox, slack) as task:
        await slack.mentions(text := fresh())
        await slack.until(lambda: [e for e in slack.delivered if text in str(e["payload"])])
        await slack.until(lambda: inbox.waiting)
        task.cancel()
        await asyncio.sleep(0)
        inbox.gate.set()
        await slack.until(lambda: slack.acks)
    assert [said.text for said in inbox.messages] == [text]


@pytest.mark.parametrize("token", [BOT_TOKEN, APP_TOKEN])
async def test_running_with_a_revoked_token_ends_and_says_what_to_do(slack, token):
    slack.revoke(token)
    with pytest.raises(PermanentError, match="token_revoked") as caught:
        await SlackSurface(slack.config()).run(FakeInbox())
    assert caught.value.problem.mend
    assert token not in str(caught.value)


async def test_running_ends_when_the_app_token_is_revoked_meanwhile(slack):
    async with running(SlackSurface(slack.config()), FakeInbox(), slack) as task:
        slack.revoke(APP_TOKEN)
        await slack.hangs_up()
        with pytest.raises(PermanentError, match="token_revoked"):
            await asyncio.wait_for(task, 20)


async def test_running_without_a_slack_ends_and_may_be_started_again(slack):
    with pytest.raises(TransientError):
        await SlackSurface(slack.config(base_url="http://127.0.0.1:9/api/")).run(FakeInbox())


async def test_acknowledgements_come_well_within_a_second(harness):
    for n in range(20):
        await harness.slack.mentions(f"number {n}")
    await harness.inbox.received(20)
    await harness.slack.until(lambda: len(harness.slack.ack_s) >= 40)
    assert max(harness.slack.ack_s) < 1
