"""Words that carry buttons and mentions on Telegram, and the ids of everything that was said."""

from __future__ import annotations

import pytest

from bot.surfaces.port import Attachment, ButtonPress, Extras, Place, Response
from tests.integration.telegram.conftest import TelegramHarness
from tests.integration.telegram.drawings import drawing

pytestmark = pytest.mark.surfaces

BUTTON = "Q" * 22


def place_of(harness: TelegramHarness) -> Place:
    return Place("telegram", str(harness.team.id))


async def test_chat_07_a_question_has_its_buttons_which_are_pressed_like_a_cards(harness: TelegramHarness) -> None:
    lee = harness.telegram.person("Lee")
    extras = Extras(choices=(("#1 Set the timeout", BUTTON), ("#2 Set the host", "R" * 22)))
    (id_,) = await harness.surface.send_text(place_of(harness), "Which one do you mean?", None, None, extras)
    lee.clicks(harness.team.messages[int(id_)], "#1 Set the timeout")
    (clicked,) = await harness.inbox.received()
    assert isinstance(clicked, ButtonPress)
    assert (clicked.button, clicked.message_id, clicked.identity) == (BUTTON, id_, str(lee.id))


async def test_chat_16_a_mention_reaches_the_person_behind_the_name(sender: TelegramHarness) -> None:
    lee, max_ = sender.telegram.person("Lee"), sender.telegram.person("Max")
    mentions = (("lee", str(lee.id)), ("max", str(max_.id)), ("gone", "no number"), ("absent", "7"))
    words = "🎉 #1 waits for lee, max, gone."
    (id_,) = await sender.surface.send_text(place_of(sender), words, None, None, Extras(mentions=mentions))
    raw = sender.team.messages[int(id_)].raw
    found = {e["user"]["id"]: (e["offset"], e["length"]) for e in raw["entities"] if e["type"] == "text_mention"}
    assert set(found) == {lee.id, max_.id}
    units = raw["text"].encode("utf-16-le")
    named = {id_: units[2 * at : 2 * (at + length)].decode("utf-16-le") for id_, (at, length) in found.items()}
    assert named == {lee.id: "lee", max_.id: "max"}


async def test_chat_06_a_prompt_is_about_what_its_card_is_about(harness: TelegramHarness) -> None:
    lee = harness.telegram.person("Lee")
    harness.inbox.answers = lambda _said: Response(form="reject")
    number = await harness.surface.post(place_of(harness), drawing("#1"), None)
    lee.clicks(harness.team.messages[int(number)], "Approve")
    place, prompt, below = await harness.inbox.until_posted()
    assert (place, below) == (place_of(harness), number)
    assert harness.team.messages[int(prompt)].by_bot


async def test_chat_06_every_message_of_an_answer_is_named(sender: TelegramHarness) -> None:
    files = [Attachment("1.patch", b"x", "text/x-diff"), Attachment("1.html", b"y", "text/html")]
    lines = "\n".join(f"line {n} {'w' * 60}" for n in range(100))
    said = [
        *await sender.surface.attach(place_of(sender), files, "the whole diff", None),
        *await sender.surface.send_text(place_of(sender), lines, None, None),
    ]
    assert [int(id_) for id_ in said] == sorted(sender.team.messages)
    assert len(said) >= 4
