"""What people write and press on Telegram, through the wire, by long polling."""

from __future__ import annotations

import asyncio

import pytest

from bot.surfaces.port import ButtonPress, IncomingMessage, Place, Response
from bot.surfaces.telegram.surface import TelegramSurface
from core.model.errors import PermanentError, TransientError
from tests.fakes.ears import FakeEars
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


async def nothing_is_heard(stage):
    """True once everything sent so far was taken and none of it reached the ears."""
    await stage.telegram.confirmed()
    return stage.ears.said == []


async def posted(stage, **rest):
    place = Place("telegram", str(stage.team.id), rest.pop("thread", None))
    number = await stage.surface.post(place, drawing(**rest), None)
    return stage.team.messages[int(number)]


async def test_a_mention_in_a_topic_is_heard_without_our_name(stage):
    ana = stage.telegram.person("Ana")
    said = ana.says(stage.team, "hey @OurBot fix the docs", thread=7)
    (heard,) = await stage.ears.heard()
    place = Place("telegram", str(stage.team.id), "7")
    assert heard == IncomingMessage(
        str(ana.id), place, "hey fix the docs", str(said.id), f"m:{stage.team.id}:{said.id}", addressed=True, name="Ana"
    )


async def test_a_private_message_is_always_heard(stage):
    ana = stage.telegram.person("Ana")
    ana.says(ana.private, "fix the docs")
    (heard,) = await stage.ears.heard()
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
async def test_a_group_hears_what_is_addressed_to_us(stage, text, heard):
    stage.telegram.person("Ana").says(stage.team, text)
    (said,) = await stage.ears.heard()
    assert said.text == heard


@pytest.mark.parametrize("text", ["good morning", "/task@otherbot x", "/weather", "mail me@ourbot.example", "@ourbots"])
async def test_a_group_keeps_the_rest_to_itself(stage, text):
    stage.telegram.privacy = False
    stage.telegram.person("Ana").says(stage.team, text)
    assert await nothing_is_heard(stage)


async def test_a_reply_to_our_message_needs_no_name(stage):
    card = await posted(stage)
    stage.telegram.person("Ana").says(stage.team, "say pipx too", reply_to=card)
    (heard,) = await stage.ears.heard()
    assert (heard.text, heard.reply_to, heard.addressed) == ("say pipx too", str(card.id), True)


async def test_in_a_topic_that_we_opened_not_every_message_is_a_reply_to_us(stage):
    stage.telegram.privacy = False
    stage.telegram.person("Ana").says(stage.team, "good morning", thread=7)
    assert await nothing_is_heard(stage)


async def test_a_caption_is_what_was_said(stage):
    ana = stage.telegram.person("Ana")
    ana.says(ana.private, "fix what you see here", photo=True)
    ana.says(stage.team, "@ourbot apply this", document="a.patch")
    heard = await stage.ears.heard(2)
    assert [said.text for said in heard] == ["fix what you see here", "apply this"]


async def test_chat_18_a_picture_without_words_is_answered_with_what_is_possible(stage):
    ana = stage.telegram.person("Ana")
    ana.says(ana.private, "", photo=True)
    (heard,) = await stage.ears.heard()
    assert (heard.text, heard.identity) == ("", str(ana.id))
    assert "cannot read pictures" in heard.hint


async def test_an_edit_is_another_request(stage):
    ana = stage.telegram.person("Ana")
    said = ana.says(ana.private, "fix a")
    ana.edits(said, "fix b")
    ana.edits(said, "fix c")
    heard = await stage.ears.heard(3)
    assert [h.text for h in heard] == ["fix a", "fix b", "fix c"]
    assert len({h.dedup for h in heard}) == 3
    assert {h.message_id for h in heard} == {str(said.id)}
    assert heard[1].dedup.startswith(f"e:{ana.id}:{said.id}:")


async def test_who_is_nobody_commands_nothing(stage):
    stage.telegram.privacy = False
    ana, mallory = stage.telegram.person("Ana"), stage.telegram.person("Mallory")
    card = await posted(stage)
    anonymous_admin_says(stage.telegram, stage.team, "/approve 142 9c1e04ab77d2e85b1f36", reply_to=card)
    channel_says(stage.telegram, stage.team, "@ourbot /approve 142 9c1e04ab77d2e85b1f36")
    channel_is_forwarded(stage.telegram, stage.team, "/approve 142 9c1e04ab77d2e85b1f36")
    mallory.says(stage.team, "/approve 142 9c1e04ab77d2e85b1f36", forwarded=True)
    mallory.says(stage.team, "/approve 142 9c1e04ab77d2e85b1f36", via_bot=True)
    mallory.says(stage.team, "/approve 142 9c1e04ab77d2e85b1f36", as_channel=True)
    mallory.is_bot = True
    mallory.says(stage.team, "/approve 142 9c1e04ab77d2e85b1f36")
    ana.says(ana.private, "hello")
    *nobody, hello = await stage.ears.heard(4)
    assert hello.text == "hello"
    assert {(said.identity, said.text) for said in nobody} == {("", "")}, "told why, and nothing is done"


async def test_a_press_counts_for_the_one_who_pressed(stage):
    """An anonymous admin writes as nobody, and presses as themselves."""
    card = await posted(stage)
    lee = stage.telegram.person("Lee", username="ana")
    stage.ears.answers = lambda _said: Response("Approved.")
    (click,) = lee.clicks(card, "Approve")
    assert await click.answered() == {"text": "Approved.", "show_alert": False}
    (clicked,) = stage.ears.said
    place = Place("telegram", str(stage.team.id))
    assert clicked == ButtonPress(str(lee.id), place, "b-approve", str(card.id), f"c:{click.id}", name="Lee")


async def test_a_refusal_is_an_alert_and_fits(stage):
    card = await posted(stage)
    stage.ears.answers = lambda _said: Response("No: " + "🦊" * 300, refused=True)
    (click,) = stage.telegram.person("Lee").clicks(card, "Approve")
    answer = await click.answered()
    assert answer["show_alert"]
    assert len(answer["text"].encode("utf-16-le")) <= 400


async def test_a_button_pressed_fifty_times_at_once_is_answered_fifty_times(stage):
    card = await posted(stage)
    stage.ears.answers = lambda _said: Response("Lee was first.", refused=True)
    clicks = stage.telegram.person("Lee").clicks(card, "Approve", times=50)
    answers = await asyncio.gather(*(click.answered() for click in clicks))
    assert {answer["text"] for answer in answers} == {"Lee was first."}
    assert len(stage.ears.said) == 50
    assert all(len(click.answers) == 1 for click in clicks)


async def test_a_press_is_answered_even_when_the_bot_fails(stage):
    def fail(_said):
        raise TransientError("store_away", "The store is away.")

    stage.ears.answers = fail
    (click,) = stage.telegram.person("Lee").clicks(await posted(stage), "Approve")
    answer = await click.answered()
    assert answer["show_alert"]
    assert "try again" in answer["text"]


async def test_a_press_without_a_message_of_ours_is_refused(stage):
    lee = stage.telegram.person("Lee")
    inline = lee.sends(None, "b-approve")
    theirs = lee.sends(lee.says(stage.team, "not a card"), "b-approve")
    assert (await inline.answered())["show_alert"]
    assert (await theirs.answered())["show_alert"]
    assert stage.ears.said == []


async def test_a_strangers_group_is_not_heard_and_its_buttons_refuse(stage, capsys):
    stage.telegram.privacy = False
    other = stage.telegram.group("Strangers")
    mallory = stage.telegram.person("Mallory")
    for _ in range(20):
        mallory.says(other, "@ourbot fix it")
    number = await stage.surface.post(Place("telegram", str(other.id)), drawing(), None)
    (click,) = mallory.clicks(other.messages[int(number)], "Approve")
    assert (await click.answered())["show_alert"]
    assert await nothing_is_heard(stage)
    assert capsys.readouterr().err.count("telegram_chat_not_listed") <= 1
    assert [m.text for m in other.by_bot()] == ["a card"]


async def test_reject_asks_for_the_reason_and_the_reply_is_the_same_button(stage):
    stage.ears.answers = lambda said: Response("Why?", form="" if said.text else "reject")
    card, lee = await posted(stage, thread="7"), stage.telegram.person("Lee")
    (click,) = lee.clicks(card, "Reject")
    assert (await click.answered())["text"] == "Why?"
    question = await stage.telegram.until(lambda: next((m for m in stage.team.by_bot() if m.force_reply), None))
    assert (question.thread, question.reply_to) == (7, card.id)
    assert list(question.covered("text_mention")) == ["Lee"]
    assert question.text == "✍️ Lee, why? Please reply to this message. The next attempt uses your reason."
    reply = lee.says(stage.team, "name Debian too", reply_to=question, thread=7)
    said = (await stage.ears.heard(2))[1]
    assert said == ButtonPress(
        str(lee.id),
        Place("telegram", str(stage.team.id), "7"),
        "b-reject",
        str(card.id),
        f"m:{stage.team.id}:{reply.id}",
        "name Debian too",
        "Lee",
    )


async def test_the_reply_finds_its_button_after_a_restart(telegram):
    team, lee = telegram.group(), telegram.person("Lee")
    first, ears = TelegramSurface(config_of(telegram, team), limits=QUICK, poll_s=5), FakeEars()
    ears.answers = lambda _said: Response(form="reply")
    async with listening(first, ears):
        number = await first.post(Place("telegram", str(team.id)), drawing(), None)
        lee.clicks(team.messages[int(number)], "Approve")
        question = await telegram.until(lambda: next((m for m in team.by_bot() if m.force_reply), None))
    second, later = TelegramSurface(config_of(telegram, team), limits=QUICK, poll_s=5), FakeEars()
    lee.says(team, "for Debian", reply_to=question)
    async with listening(second, later):
        said = next(s for s in await later.heard() if isinstance(s, ButtonPress) and s.text)
    assert (said.button, said.message_id, said.text) == ("b-approve", number, "for Debian")


async def test_chat_23_a_question_shows_no_token_and_one_without_links_still_works(telegram):
    """Where Telegram refuses entities the reference stands in the text, as it did in questions of before."""
    telegram.refuse_entities = True
    team, lee = telegram.group(), telegram.person("Lee")
    surface, ears = TelegramSurface(config_of(telegram, team), limits=QUICK, poll_s=5), FakeEars()
    ears.answers = lambda said: Response(form="" if said.text else "reply")
    async with listening(surface, ears):
        number = await surface.post(Place("telegram", str(team.id)), drawing(), None)
        lee.clicks(team.messages[int(number)], "Approve")
        question = await telegram.until(lambda: next((m for m in team.by_bot() if m.force_reply), None))
        assert "\n\nb-approve." in question.text
        lee.says(team, "for Debian", reply_to=question)
        said = (await ears.heard(2))[1]
    assert isinstance(said, ButtonPress)
    assert (said.button, said.text) == ("b-approve", "for Debian")


async def test_chat_24_an_answer_too_long_for_an_alert_is_told_in_full_below_the_card(stage):
    whole = "\n".join(f"Finding {n} says something that is worth reading in full." for n in range(12))
    stage.ears.answers = lambda _said: Response(whole)
    card = await posted(stage)
    (click,) = stage.telegram.person("Lee").clicks(card, "Approve")
    assert (await click.answered())["text"] == "The answer is below the card."
    told = await stage.telegram.until(lambda: next((m for m in stage.team.by_bot() if m.text == whole), None))
    assert told.reply_to == card.id
    stage.ears.answers = lambda _said: Response("One sentence.\nAnother one.")
    (click,) = stage.telegram.person("Lee").clicks(card, "Approve")
    assert (await click.answered())["text"] == "One sentence.\nAnother one."


async def test_words_that_look_like_a_question_of_ours_lead_to_no_button(stage):
    card = await posted(stage)
    forged = f"Please reply.\n\nb-approve.{card.id}.{'0' * 16}"
    place = Place("telegram", str(stage.team.id))
    await stage.surface.send_text(place, forged, None, None)
    shown = stage.team.by_bot()[-1]
    assert shown.text == forged
    stage.telegram.person("Lee").says(stage.team, "nice", reply_to=shown)
    (said,) = await stage.ears.heard()
    assert isinstance(said, IncomingMessage)


async def test_what_cannot_be_kept_is_asked_for_again_in_order(stage):
    ana = stage.telegram.person("Ana")
    stage.ears.deaf = True
    ana.says(ana.private, "one")
    ana.says(ana.private, "two")
    await stage.telegram.until(lambda: stage.ears.deliveries >= 3)
    assert [u["message"]["text"] for u in stage.telegram.queue.pending] == ["one", "two"]
    stage.ears.deaf = False
    assert [said.text for said in await stage.ears.heard(2)] == ["one", "two"]
    await stage.telegram.confirmed()


async def test_a_press_that_cannot_be_kept_is_not_answered_yet(stage):
    card = await posted(stage)
    stage.ears.deaf = True
    (click,) = stage.telegram.person("Lee").clicks(card, "Approve")
    await stage.telegram.until(lambda: stage.ears.deliveries >= 2)
    assert click.answers == []
    stage.ears.deaf = False
    await click.answered()
    assert len(stage.ears.said) == 1


async def test_when_the_offset_is_lost_everything_counts_once(stage):
    ana, card = stage.telegram.person("Ana"), await posted(stage)
    ana.says(ana.private, "one")
    ana.clicks(card, "Approve")
    await stage.ears.heard(2)
    await stage.telegram.confirmed()
    stage.telegram.lose_offset()
    ana.says(ana.private, "two")
    assert len(await stage.ears.heard(3)) == 3
    await stage.telegram.confirmed()
    assert len(stage.ears.said) == 3
    assert stage.ears.deliveries >= 5


async def test_a_gap_in_the_numbers_loses_nothing(stage):
    ana = stage.telegram.person("Ana")
    ana.says(ana.private, "one")
    await stage.ears.heard()
    stage.telegram.queue.next_id += 1_000_000
    ana.says(ana.private, "two")
    stage.telegram.queue.next_id -= 1_500_000
    await stage.ears.heard(2)


async def test_a_group_that_moves_is_moved_once_it_says_so(stage):
    group = stage.telegram.group("Small", kind="group")
    stage.surface._listed.add(str(group.id))
    new = stage.telegram.migrate(group)
    await stage.telegram.until(lambda: stage.ears.moves)
    assert stage.ears.moves == [("telegram", str(group.id), str(new.id))]
    stage.telegram.person("Ana").says(new, "@ourbot fix it")
    (heard,) = await stage.ears.heard()
    assert heard.place.channel == str(new.id)


async def test_a_revoked_token_ends_the_run_for_good_and_says_what_to_do(telegram):
    telegram.revoke()
    with pytest.raises(PermanentError) as caught:
        await TelegramSurface(config_of(telegram)).run(FakeEars())
    assert caught.value.problem.code == "telegram_token"
    assert "@BotFather" in caught.value.problem.mend
    assert telegram.token not in str(caught.value)


async def test_a_token_revoked_while_listening_ends_the_run(telegram):
    surface = TelegramSurface(config_of(telegram), poll_s=5)
    async with listening(surface, FakeEars()) as running:
        await telegram.until(lambda: telegram.poller)
        telegram.revoke()
        with pytest.raises(PermanentError):
            await running


async def test_another_poller_of_the_same_bot_is_named(telegram):
    telegram.other_poller = True
    with pytest.raises(TransientError) as caught:
        await TelegramSurface(config_of(telegram), poll_s=1).run(FakeEars())
    assert caught.value.problem.code == "telegram_conflict"
    assert "Another program" in caught.value.problem.message


async def test_a_few_lost_polls_are_no_matter(stage):
    faults = (Fault(FaultKind.ERROR, 500), Fault(FaultKind.LOST_ANSWER), Fault(FaultKind.DROP))
    await stage.telegram.until(lambda: stage.telegram.poller)
    stage.telegram.next("getUpdates", *faults)
    ana = stage.telegram.person("Ana")
    ana.says(ana.private, "one")
    ana.says(ana.private, "two")
    assert [said.text for said in await stage.ears.heard(2)] == ["one", "two"]


async def test_telegram_out_of_reach_is_told_as_passing(telegram):
    config = config_of(telegram, base_url="http://127.0.0.1:9")
    with pytest.raises(TransientError):
        await TelegramSurface(config, wait_s=1).run(FakeEars())


async def test_chat_30_the_menu_has_what_people_need_first(stage):
    await stage.telegram.until(lambda: stage.telegram.commands)
    assert list(stage.telegram.commands) == ["task", "reply", "approve", "reject", "help"]
