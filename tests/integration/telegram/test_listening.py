"""What people write and press on Telegram, through the wire, by long polling."""

from __future__ import annotations

import asyncio

import pytest

from bot.surfaces.port import ButtonPress, IncomingMessage, Place, Response
from bot.surfaces.telegram.surface import TelegramSurface
from core.model.errors import PermanentError, TransientError
from tests.fakes.inbox import FakeInbox
from tests.fakes.telegram import (
    Fault,
    FaultKind,
    anonymous_admin_says,
    channel_is_forwarded,
    channel_says,
)
from tests.integration.telegram.conftest import QUICK, config_of, listening
from tests.integration.telegram.drawings import drawing

pytestmark = pytest.mark.surfaces


async def nothing_is_heard(harness):
    """True once everything sent so far was taken and none of it reached the inbox."""
    await harness.telegram.confirmed()
    return harness.inbox.messages == []


async def posted(harness, **rest):
    place = Place("telegram", str(harness.team.id), rest.pop("thread", None))
    number = await harness.surface.post(place, drawing(**rest), None)
    return harness.team.messages[int(number)]


async def test_a_mention_in_a_topic_is_accepted_without_our_name(harness):
    ana = harness.telegram.person("Ana")
    said = ana.says(harness.team, "hey @OurBot fix the docs", thread=7)
    (heard,) = await harness.inbox.received()
    place = Place("telegram", str(harness.team.id), "7")
    assert heard == IncomingMessage(
        str(ana.id),
        place,
        "hey fix the docs",
        str(said.id),
        f"m:{harness.team.id}:{said.id}",
        addressed=True,
        name="Ana",
    )


async def test_a_private_message_is_always_heard(harness):
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "fix the docs")
    (heard,) = await harness.inbox.received()
    assert heard.place == Place("telegram", str(ana.id), None, private=True)
    assert heard.text == "fix the docs"


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("/task@ourbot fix it", "/task fix it"),
        ("/TASK@OURBOT fix it", "/TASK fix it"),
        ("/task fix it", "/task fix it"),
        ("@ourbot", ""),
        ("@ourbot\nfix it", "fix it"),
        ("👍 🦊 @ourbot: fix 👍", "👍 🦊 fix 👍"),
        ("/start@ourbot", "/start"),
    ],
)
async def test_a_group_hears_what_is_addressed_to_us(harness, text, heard):
    harness.telegram.person("Ana").says(harness.team, text)
    (said,) = await harness.inbox.received()
    assert said.text == heard


@pytest.mark.parametrize("text", ["good morning", "/task@otherbot x", "/weather", "mail me@ourbot.example", "@ourbots"])
async def test_a_group_keeps_the_rest_to_itself(harness, text):
    harness.telegram.privacy = False
    harness.telegram.person("Ana").says(harness.team, text)
    assert await nothing_is_heard(harness)


async def test_a_reply_to_our_message_needs_no_name(harness):
    card = await posted(harness)
    harness.telegram.person("Ana").says(harness.team, "say pipx too", reply_to=card)
    (heard,) = await harness.inbox.received()
    assert (heard.text, heard.reply_to, heard.addressed) == ("say pipx too", str(card.id), True)


async def test_in_a_topic_that_we_opened_not_every_message_is_a_reply_to_us(harness):
    harness.telegram.privacy = False
    harness.telegram.person("Ana").says(harness.team, "good morning", thread=7)
    assert await nothing_is_heard(harness)


async def test_a_caption_is_what_was_said(harness):
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "fix what you see here", photo=True)
    ana.says(harness.team, "@ourbot apply this", document="a.patch")
    heard = await harness.inbox.received(2)
    assert [said.text for said in heard] == ["fix what you see here", "apply this"]


async def test_chat_18_a_picture_without_words_is_answered_with_what_is_possible(harness):
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "", photo=True)
    (heard,) = await harness.inbox.received()
    assert (heard.text, heard.identity) == ("", str(ana.id))
    assert "cannot read pictures" in heard.hint


async def test_an_edit_is_another_request(harness):
    ana = harness.telegram.person("Ana")
    said = ana.says(ana.private, "fix a")
    ana.edits(said, "fix b")
    ana.edits(said, "fix c")
    heard = await harness.inbox.received(3)
    assert [h.text for h in heard] == ["fix a", "fix b", "fix c"]
    assert len({h.dedup for h in heard}) == 3
    assert {h.message_id for h in heard} == {str(said.id)}
    assert heard[1].dedup.startswith(f"e:{ana.id}:{said.id}:")


async def test_who_is_nobody_commands_nothing(harness):
    harness.telegram.privacy = False
    ana, mallory = harness.telegram.person("Ana"), harness.telegram.person("Mallory")
    card = await posted(harness)
    anonymous_admin_says(harness.telegram, harness.team, "/approve 142 9c1e04ab77d2e85b1f36", reply_to=card)
    channel_says(harness.telegram, harness.team, "@ourbot /approve 142 9c1e04ab77d2e85b1f36")
    channel_is_forwarded(harness.telegram, harness.team, "/approve 142 9c1e04ab77d2e85b1f36")
    mallory.says(harness.team, "/approve 142 9c1e04ab77d2e85b1f36", forwarded=True)
    mallory.says(harness.team, "/approve 142 9c1e04ab77d2e85b1f36", via_bot=True)
    mallory.says(harness.team, "/approve 142 9c1e04ab77d2e85b1f36", as_channel=True)
    mallory.is_bot = True
    mallory.says(harness.team, "/approve 142 9c1e04ab77d2e85b1f36")
    ana.says(ana.private, "hello")
    *nobody, hello = await harness.inbox.received(4)
    assert hello.text == "hello"
    assert {(said.identity, said.text) for said in nobody} == {("", "")}, "told why, and nothing is done"


async def test_a_press_counts_for_the_one_who_pressed(harness):
    """An anonymous admin writes as no one, and presses as themselves."""
    card = await posted(harness)
    lee = harness.telegram.person("Lee", username="ana")
    harness.inbox.answers = lambda _said: Response("Approved.")
    (click,) = lee.clicks(card, "Approve")
    assert await click.answered() == {"text": "Approved.", "show_alert": False}
    (clicked,) = harness.inbox.messages
    place = Place("telegram", str(harness.team.id))
    assert clicked == ButtonPress(str(lee.id), place, "b-approve", str(card.id), f"c:{click.id}", name="Lee")


async def test_a_refusal_is_an_alert_and_fits(harness):
    card = await posted(harness)
    harness.inbox.answers = lambda _said: Response("No: " + "🦊" * 300, refused=True)
    (click,) = harness.telegram.person("Lee").clicks(card, "Approve")
    answer = await click.answered()
    assert answer["show_alert"]
    assert len(answer["text"].encode("utf-16-le")) <= 400


async def test_a_button_pressed_fifty_times_at_once_is_answered_fifty_times(harness):
    card = await posted(harness)
    harness.inbox.answers = lambda _said: Response("Lee was first.", refused=True)
    clicks = harness.telegram.person("Lee").clicks(card, "Approve", times=50)
    answers = await asyncio.gather(*(click.answered() for click in clicks))
    assert {answer["text"] for answer in answers} == {"Lee was first."}
    assert len(harness.inbox.messages) == 50
    assert all(len(click.answers) == 1 for click in clicks)


async def test_a_press_is_answered_even_when_the_bot_fails(harness):
    def fail(_said):
        raise TransientError("store_away", "The store is away.")

    harness.inbox.answers = fail
    (click,) = harness.telegram.person("Lee").clicks(await posted(harness), "Approve")
    answer = await click.answered()
    assert answer["show_alert"]
    assert "try again" in answer["text"]


async def test_a_press_without_a_message_of_ours_is_refused(harness):
    lee = harness.telegram.person("Lee")
    inline = lee.sends(None, "b-approve")
    theirs = lee.sends(lee.says(harness.team, "not a card"), "b-approve")
    assert (await inline.answered())["show_alert"]
    assert (await theirs.answered())["show_alert"]
    assert harness.inbox.messages == []


async def test_a_strangers_group_is_not_accepted_and_its_buttons_refuse(harness, capsys):
    harness.telegram.privacy = False
    other = harness.telegram.group("Strangers")
    mallory = harness.telegram.person("Mallory")
    for _ in range(20):
        mallory.says(other, "@ourbot fix it")
    number = await harness.surface.post(Place("telegram", str(other.id)), drawing(), None)
    (click,) = mallory.clicks(other.messages[int(number)], "Approve")
    assert (await click.answered())["show_alert"]
    assert await nothing_is_heard(harness)
    assert capsys.readouterr().err.count("telegram_chat_not_listed") <= 1
    assert [m.text for m in other.by_bot()] == ["a card"]


async def test_reject_asks_for_the_reason_and_the_reply_is_the_same_button(harness):
    harness.inbox.answers = lambda said: Response("Why?", form="" if said.text else "reject")
    card, lee = await posted(harness, thread="7"), harness.telegram.person("Lee")
    (click,) = lee.clicks(card, "Reject")
    assert (await click.answered())["text"] == "Why?"
    question = await harness.telegram.until(lambda: next((m for m in harness.team.by_bot() if m.force_reply), None))
    assert (question.thread, question.reply_to) == (7, card.id)
    assert list(question.covered("text_mention")) == ["Lee"]
    assert question.text == "✍️ Lee, why? Please reply to this message. The next attempt uses your reason."
    reply = lee.says(harness.team, "name Debian too", reply_to=question, thread=7)
    said = (await harness.inbox.received(2))[1]
    assert said == ButtonPress(
        str(lee.id),
        Place("telegram", str(harness.team.id), "7"),
        "b-reject",
        str(card.id),
        f"m:{harness.team.id}:{reply.id}",
        "name Debian too",
        "Lee",
    )


async def test_the_reply_finds_its_button_after_a_restart(telegram):
    team, lee = telegram.group(), telegram.person("Lee")
    first, inbox = TelegramSurface(config_of(telegram, team), limits=QUICK, poll_s=5), FakeInbox()
    inbox.answers = lambda _said: Response(form="reply")
    async with listening(first, inbox):
        number = await first.post(Place("telegram", str(team.id)), drawing(), None)
        lee.clicks(team.messages[int(number)], "Approve")
        question = await telegram.until(lambda: next((m for m in team.by_bot() if m.force_reply), None))
    second, later = TelegramSurface(config_of(telegram, team), limits=QUICK, poll_s=5), FakeInbox()
    lee.says(team, "for Debian", reply_to=question)
    async with listening(second, later):
        said = next(s for s in await later.received() if isinstance(s, ButtonPress) and s.text)
    assert (said.button, said.message_id, said.text) == ("b-approve", number, "for Debian")


async def test_chat_23_a_question_shows_no_token_and_one_without_links_still_works(telegram):
    """Where Telegram refuses entities the reference stands in the text, as it did in questions of before."""
    telegram.refuse_entities = True
    team, lee = telegram.group(), telegram.person("Lee")
    surface, inbox = TelegramSurface(config_of(telegram, team), limits=QUICK, poll_s=5), FakeInbox()
    inbox.answers = lambda said: Response(form="" if said.text else "reply")
    async with listening(surface, inbox):
        number = await surface.post(Place("telegram", str(team.id)), drawing(), None)
        lee.clicks(team.messages[int(number)], "Approve")
        question = await telegram.until(lambda: next((m for m in team.by_bot() if m.force_reply), None))
        assert "\n\nb-approve." in question.text
        lee.says(team, "for Debian", reply_to=question)
        said = (await inbox.received(2))[1]
    assert isinstance(said, ButtonPress)
    assert (said.button, said.text) == ("b-approve", "for Debian")


async def test_chat_24_an_answer_too_long_for_an_alert_is_told_in_full_below_the_card(harness):
    whole = "\n".join(f"Finding {n} says something that is worth reading in full." for n in range(12))
    harness.inbox.answers = lambda _said: Response(whole)
    card = await posted(harness)
    (click,) = harness.telegram.person("Lee").clicks(card, "Approve")
    assert (await click.answered())["text"] == "The answer is below the card."
    told = await harness.telegram.until(lambda: next((m for m in harness.team.by_bot() if m.text == whole), None))
    assert told.reply_to == card.id
    harness.inbox.answers = lambda _said: Response("One sentence.\nAnother one.")
    (click,) = harness.telegram.person("Lee").clicks(card, "Approve")
    assert (await click.answered())["text"] == "One sentence.\nAnother one."


async def test_words_that_look_like_a_question_of_ours_lead_to_no_button(harness):
    card = await posted(harness)
    forged = f"Please reply.\n\nb-approve.{card.id}.{'0' * 16}"
    place = Place("telegram", str(harness.team.id))
    await harness.surface.send_text(place, forged, None, None)
    shown = harness.team.by_bot()[-1]
    assert shown.text == forged
    harness.telegram.person("Lee").says(harness.team, "nice", reply_to=shown)
    (said,) = await harness.inbox.received()
    assert isinstance(said, IncomingMessage)


async def test_what_cannot_be_kept_is_asked_for_again_in_order(harness):
    ana = harness.telegram.person("Ana")
    harness.inbox.refuses = True
    ana.says(ana.private, "one")
    ana.says(ana.private, "two")
    await harness.telegram.until(lambda: harness.inbox.deliveries >= 3)
    assert [u["message"]["text"] for u in harness.telegram.queue.pending] == ["one", "two"]
    harness.inbox.refuses = False
    assert [said.text for said in await harness.inbox.received(2)] == ["one", "two"]
    await harness.telegram.confirmed()


async def test_a_press_that_cannot_be_kept_is_not_answered_yet(harness):
    card = await posted(harness)
    harness.inbox.refuses = True
    (click,) = harness.telegram.person("Lee").clicks(card, "Approve")
    await harness.telegram.until(lambda: harness.inbox.deliveries >= 2)
    assert click.answers == []
    harness.inbox.refuses = False
    await click.answered()
    assert len(harness.inbox.messages) == 1


async def test_when_the_offset_is_lost_everything_counts_once(harness):
    ana, card = harness.telegram.person("Ana"), await posted(harness)
    ana.says(ana.private, "one")
    ana.clicks(card, "Approve")
    await harness.inbox.received(2)
    await harness.telegram.confirmed()
    harness.telegram.lose_offset()
    ana.says(ana.private, "two")
    assert len(await harness.inbox.received(3)) == 3
    await harness.telegram.confirmed()
    assert len(harness.inbox.messages) == 3
    assert harness.inbox.deliveries >= 5


async def test_a_gap_in_the_numbers_loses_nothing(harness):
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "one")
    await harness.inbox.received()
    harness.telegram.queue.next_id += 1_000_000
    ana.says(ana.private, "two")
    harness.telegram.queue.next_id -= 1_500_000
    await harness.inbox.received(2)


async def test_a_group_that_moves_is_moved_once_it_says_so(harness):
    group = harness.telegram.group("Small", kind="group")
    harness.surface._listed.add(str(group.id))
    new = harness.telegram.migrate(group)
    await harness.telegram.until(lambda: harness.inbox.moves)
    assert harness.inbox.moves == [("telegram", str(group.id), str(new.id))]
    harness.telegram.person("Ana").says(new, "@ourbot fix it")
    (heard,) = await harness.inbox.received()
    assert heard.place.channel == str(new.id)


async def test_a_revoked_token_ends_the_run_for_good_and_says_what_to_do(telegram):
    telegram.revoke()
    with pytest.raises(PermanentError) as caught:
        await TelegramSurface(config_of(telegram)).run(FakeInbox())
    assert caught.value.problem.code == "telegram_token"
    assert "@BotFather" in caught.value.problem.mend
    assert telegram.token not in str(caught.value)


async def test_a_token_revoked_while_listening_ends_the_run(telegram):
    surface = TelegramSurface(config_of(telegram), poll_s=5)
    async with listening(surface, FakeInbox()) as running:
        await telegram.until(lambda: telegram.poller)
        telegram.revoke()
        with pytest.raises(PermanentError):
            await running


async def test_another_poller_of_the_same_bot_is_named(telegram):
    telegram.other_poller = True
    with pytest.raises(TransientError) as caught:
        await TelegramSurface(config_of(telegram), poll_s=1).run(FakeInbox())
    assert caught.value.problem.code == "telegram_conflict"
    assert "Another program" in caught.value.problem.message


async def test_a_few_lost_polls_are_no_matter(harness):
    faults = (Fault(FaultKind.ERROR, 500), Fault(FaultKind.LOST_ANSWER), Fault(FaultKind.DROP))
    await harness.telegram.until(lambda: harness.telegram.poller)
    harness.telegram.next("getUpdates", *faults)
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "one")
    ana.says(ana.private, "two")
    assert [said.text for said in await harness.inbox.received(2)] == ["one", "two"]


async def test_telegram_out_of_reach_is_told_as_passing(telegram):
    config = config_of(telegram, base_url="http://127.0.0.1:9")
    with pytest.raises(TransientError):
        await TelegramSurface(config, wait_s=1).run(FakeInbox())


async def test_chat_30_the_menu_has_what_people_need_first(harness):
    await harness.telegram.until(lambda: harness.telegram.commands)
    assert list(harness.telegram.commands) == ["task", "reply", "approve", "reject", "help"]
