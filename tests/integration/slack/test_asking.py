"""Words that carry buttons and mentions on Slack, and files whose thread is known."""

from __future__ import annotations

import pytest

from bot.surfaces.port import Attachment, ButtonPress, Extras, Place
from tests.fakes.slack.program import DEV, LEE, TEAM
from tests.integration.slack.conftest import CHANNEL

pytestmark = pytest.mark.surfaces

BUTTON = "Q" * 22


@pytest.mark.parametrize("quietly", [False, True])
async def test_chat_07_a_question_has_its_buttons_which_are_pressed_like_a_cards(harness, quietly: bool) -> None:
    extras = Extras(choices=(("#1 Set the timeout <!channel>", BUTTON), ("#2 Set the host", "R" * 22)))
    only_to = f"{TEAM}/{LEE}" if quietly else None
    await harness.surface.send_text(CHANNEL, "Which one do you mean?", None, only_to, extras)
    question = await harness.slack.message(containing="Which one")
    await harness.slack.clicks(question, "#1 Set the timeout", LEE)
    (clicked,) = await harness.inbox.received()
    assert isinstance(clicked, ButtonPress)
    assert (clicked.button, clicked.identity) == (BUTTON, f"{TEAM}/{LEE}")
    assert (clicked.place.channel, clicked.message_id) == (DEV, question["ts"])


async def test_chat_16_a_mention_is_one_and_nothing_else_is(harness) -> None:
    mentions = (("lee", f"{TEAM}/{LEE}"),)
    (id_,) = await harness.surface.send_text(
        CHANNEL, "#1 waits for lee, not <@U0>.", None, None, Extras(mentions=mentions)
    )
    message = await harness.slack.message(containing="waits for")
    assert message["text"] == f"#1 waits for <@{LEE}>, not &lt;@U0&gt;."
    assert message["ts"] == id_


async def test_chat_06_files_outside_of_a_thread_lie_in_one_whose_message_is_known(harness) -> None:
    files = [Attachment("1.patch", b"x", "text/x-diff")]
    (root,) = await harness.surface.attach(CHANNEL, files, "The whole diff of #1", None)
    (message,) = [m for m in await harness.slack.messages() if m.get("files")]
    assert message["thread_ts"] == root
    thread = await harness.slack.says("please")
    assert list(await harness.surface.attach(Place("slack", DEV, thread), files, "again", None)) == []
