"""What goes out to Slack, over the wire and under its limits and faults."""

from __future__ import annotations

import asyncio
import time

import pytest

from bot.surfaces.port import Attachment, Place, SlackConfig
from bot.surfaces.slack.surface import SlackSurface
from core.model.errors import PermanentError, TransientError, UsageError
from tests.fakes.inbox import FakeInbox
from tests.fakes.slack.fixtures import running
from tests.fakes.slack.people import words_of
from tests.fakes.slack.program import APP_TOKEN, BOT_TOKEN, DEV, LEE, TEAM
from tests.integration.slack.conftest import CHANNEL, drawn_by, staged_card

pytestmark = pytest.mark.surfaces


@pytest.fixture
def surface(slack):
    """A surface that only sends."""
    return SlackSurface(slack.config())


async def test_a_card_is_posted_in_the_askers_thread_and_edited_in_place(slack, surface):
    root = await slack.says("please")
    place = Place("slack", DEV, root)
    ts = await surface.post(place, drawn_by(surface), root)
    assert await surface.edit(place, ts, drawn_by(surface, staged_card(title="Another title"))) == ts
    assert await surface.edit(place, ts, drawn_by(surface, staged_card(title="Another title"))) == ts
    (card,) = await slack.messages()
    assert (card["ts"], card["thread_ts"]) == (ts, root)
    assert "Another title" in words_of(card)


async def test_an_answer_to_a_top_level_message_goes_below_it_but_a_direct_message_stays_flat(slack, surface):
    await surface.post(CHANNEL, drawn_by(surface), "1700000000.000100")
    assert slack.called("chat.postMessage")[0]["thread_ts"] == "1700000000.000100"
    direct = Place("slack", await slack.direct_channel(), None, private=True)
    await surface.post(direct, drawn_by(surface), "1700000000.000100")
    assert "thread_ts" not in slack.called("chat.postMessage")[1]
    await surface.post(CHANNEL, drawn_by(surface), "s:123.456")
    assert "thread_ts" not in slack.called("chat.postMessage")[2]


async def test_a_card_that_was_deleted_is_posted_anew(slack, surface):
    ts = await surface.edit(CHANNEL, "1700000000.000100", drawn_by(surface))
    assert ts != "1700000000.000100"
    assert (await slack.message(containing="#142"))["ts"] == ts


async def test_eyes_are_put_on_a_message_and_twice_is_fine(slack, surface):
    ts = await slack.says("please")
    await surface.acknowledge(CHANNEL, ts)
    slack.fail("reactions.add", "already_reacted")
    await surface.acknowledge(CHANNEL, ts)
    (message,) = await slack.messages(of_bot=False)
    assert message["reactions"][0]["name"] == "eyes"


async def test_files_come_whole_into_the_thread(slack, surface):
    root = await slack.says("please")
    patch, page = b"diff --git a/x b/x\n\x00\xff" * 1000, b"<html>"
    files = [Attachment("142.patch", patch, "text/x-diff"), Attachment("142.html", page, "text/html")]
    await surface.attach(Place("slack", DEV, root), files, "The whole diff of <!channel> & #142", None)
    message = await slack.message(containing="whole diff")
    assert message["thread_ts"] == root
    assert [found["name"] for found in message["files"]] == ["142.patch", "142.html"]
    assert [await slack.file(found) for found in message["files"]] == [patch, page]


async def test_what_is_said_is_plain_words_to_all_or_to_one(slack, surface):
    await surface.send_text(CHANNEL, "see <http://evil|bank> @here *now*", None, None)
    await surface.send_text(CHANNEL, "only you", "1700000000.000100", f"{TEAM}/{LEE}")
    loud, quiet = await slack.messages()
    assert loud["text"] == "see &lt;http://evil|bank&gt; @here *now*"
    assert (quiet["ephemeral_to"], quiet["thread_ts"]) == (LEE, "1700000000.000100")
    call = slack.called("chat.postMessage")[0]
    assert (call["parse"], call["link_names"], call["mrkdwn"], call["unfurl_links"]) == ("none", False, False, False)


async def test_a_long_text_is_split_and_a_very_long_one_attached(slack, surface):
    await surface.send_text(CHANNEL, "\n".join(f"line {n}" for n in range(800)), None, None)
    assert 2 <= len(slack.called("chat.postMessage")) <= 3
    text = "\n".join(f"row {n} {'<' * 50}" for n in range(2000))
    await surface.send_text(CHANNEL, text, None, None)
    root = await slack.message(containing="row 0")
    (message,) = [m for m in await slack.messages() if m.get("files")]
    assert message["thread_ts"] == root["ts"], "what people answer to the file is known to be about it"
    (found,) = message["files"]
    assert await slack.file(found) == text.encode()


async def test_a_limit_is_told_with_its_time_and_nobody_knocks_before(slack, surface):
    slack.fail("chat.postMessage", "limit", retry_after_s=30)
    with pytest.raises(TransientError) as first:
        await surface.post(CHANNEL, drawn_by(surface), None)
    assert first.value.retry_after_s == 30
    with pytest.raises(TransientError) as second:
        await surface.post(CHANNEL, drawn_by(surface), None)
    assert second.value.retry_after_s == pytest.approx(30, abs=1)
    assert len(slack.called("chat.postMessage")) == 1
    await surface.post(Place("slack", "C0OTHER"), drawn_by(surface), None)  # another channel has its own pace
    await surface.acknowledge(CHANNEL, await slack.says("hello"))  # and so has another method


async def test_a_short_limit_is_waited_out_and_the_order_kept(slack, surface):
    slack.fail("chat.postMessage", "limit", retry_after_s=1)
    with pytest.raises(TransientError):
        await surface.send_text(CHANNEL, "lost", None, None)
    began = time.monotonic()
    await asyncio.gather(*(surface.send_text(CHANNEL, f"{n}", None, None) for n in range(5)))
    assert time.monotonic() - began > 0.9
    assert [message["text"] for message in await slack.messages()] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("kind", ["down", "garbage", "drop", "fatal_error", "internal_error", "service_unavailable"])
async def test_what_passes_is_transient_and_the_next_try_works(slack, surface, kind):
    slack.fail("chat.postMessage", kind)
    with pytest.raises(TransientError) as caught:
        await surface.post(CHANNEL, drawn_by(surface), None)
    assert BOT_TOKEN not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"
    await surface.post(CHANNEL, drawn_by(surface), None)
    assert len(await slack.messages()) == 1


async def test_a_lost_answer_leaves_at_most_one_card_more(slack, surface):
    slack.fail("chat.postMessage", "lost")
    with pytest.raises(TransientError):
        await surface.post(CHANNEL, drawn_by(surface), None)
    await surface.post(CHANNEL, drawn_by(surface), None)
    assert len(await slack.messages()) == 2
    assert len(slack.called("chat.postMessage")) == 2


@pytest.mark.parametrize("state", ["channel_not_found", "is_archived", "not_in_channel"])
async def test_a_conversation_that_is_over_is_told_as_such(slack, surface, state):
    slack.channels[DEV] = state
    for going_out in (
        surface.post(CHANNEL, drawn_by(surface), None),
        surface.edit(CHANNEL, "1700000000.000100", drawn_by(surface)),
        surface.send_text(CHANNEL, "x", None, None),
    ):
        with pytest.raises(PermanentError) as caught:
            await going_out
        assert caught.value.problem.code == "place_gone"


@pytest.mark.parametrize("error", ["token_revoked", "invalid_auth", "account_inactive"])
async def test_a_token_that_is_over_says_what_to_do_and_not_itself(slack, surface, error):
    slack.revoke(BOT_TOKEN, error)
    with pytest.raises(PermanentError) as caught:
        await surface.post(CHANNEL, drawn_by(surface), None)
    assert caught.value.problem.code == "slack_token"
    assert error in caught.value.problem.message
    assert "Install the app again" in caught.value.problem.mend


async def test_a_refused_card_and_a_missing_scope_are_permanent_and_named(slack, surface):
    slack.fail("chat.postMessage", "missing_scope")
    slack.fail("reactions.add", "no_such_thing")
    for going_out, code in (
        (surface.post(CHANNEL, drawn_by(surface), None), "slack_scope"),
        (surface.acknowledge(CHANNEL, "1700000000.000100"), "slack_refused"),
    ):
        with pytest.raises(PermanentError) as caught:
            await going_out
        assert caught.value.problem.code == code


async def test_doctor_finds_all_well_and_says_what_is_not(slack, surface):
    rows = await surface.check()
    assert {row["verdict"] for row in rows} == {"ok"}
    assert [row["check"] for row in rows] == ["slack token", "slack scopes", f"slack channel {DEV}", "slack socket"]
    slack.scopes = "chat:write"
    slack.channels[DEV] = None
    slack.revoke(APP_TOKEN)
    rows = {row["check"]: row for row in await surface.check()}
    assert rows["slack scopes"]["verdict"] == "fail"
    assert "users:read" in rows["slack scopes"]["detail"]
    assert rows["slack socket"]["verdict"] == "fail"
    slack.revoke(BOT_TOKEN)
    (row,) = await surface.check()
    assert (row["verdict"], row["check"]) == ("fail", "slack token")
    assert row["mend"]
    assert BOT_TOKEN not in str(row)


async def test_a_token_of_another_workspace_is_refused(slack):
    other = SlackSurface(slack.config(team="T0ELSEWHERE"))
    (row,) = await other.check()
    assert row["verdict"] == "fail"
    with pytest.raises(PermanentError, match="T0ELSEWHERE"):
        await other.run(FakeInbox())


async def test_cards_go_out_while_listening_over_kept_connections(slack, surface):
    async with running(surface, FakeInbox(), slack):
        for _ in range(3):
            await surface.post(CHANNEL, drawn_by(surface), None)
    await surface.post(CHANNEL, drawn_by(surface), None)
    assert len(await slack.messages()) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"signing_secret": ""},
        {"signing_secret": "  "},
        {"app_token": None},
        {"bot_token": ""},
        {"bot_token": "xoxp-1"},
        {"app_token": ""},
        {"team": ""},
    ],
    ids=str,
)
def test_a_configuration_that_hears_nothing_or_lets_anybody_sign_is_refused(changes):
    settings = {"bot_token": "xoxb-1", "team": TEAM, "app_token": "xapp-1", **changes}
    with pytest.raises(UsageError) as caught:
        SlackSurface(SlackConfig(**settings))
    assert caught.value.problem.mend


@pytest.mark.parametrize("kind", ["down", "lost", "limit", "internal_error"])
async def test_chat_31_what_was_uploaded_is_not_uploaded_again(slack, surface, kind):
    files = [Attachment("12.1.patch", b"diff", "text/x-diff"), Attachment("12.1.html", b"<p>page", "text/html")]
    for _ in range(3):
        slack.fail("files.completeUploadExternal", kind, retry_after_s=1)
        with pytest.raises(TransientError):
            await surface.attach(CHANNEL, files, "The whole diff of #12", None)
    await surface.attach(CHANNEL, files, "The whole diff of #12", None)
    assert len(slack.called("files.getUploadURLExternal")) == 2
    await surface.attach(CHANNEL, files, "once more, as asked", None)
    assert len(slack.called("files.getUploadURLExternal")) == 4
