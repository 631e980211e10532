"""What the bot says on Telegram: it arrives, in order, whatever Telegram answers in between."""

from __future__ import annotations

import asyncio

import pytest

from bot.surfaces.port import Attachment, Place
from bot.surfaces.telegram.pace import PaceLimits
from bot.surfaces.telegram.surface import TelegramSurface
from core.model.errors import PermanentError, TransientError, UsageError
from tests.fakes.telegram import Fault, FaultKind, Flood
from tests.integration.telegram.conftest import config_of
from tests.integration.telegram.drawings import drawing

pytestmark = [
    pytest.mark.surfaces,
    pytest.mark.filterwarnings("ignore:.*retry_after:DeprecationWarning"),  # the library warns of its own next version
]


def place_of(chat, thread=None):
    return Place("telegram", str(chat.id), thread, private=chat.kind == "private")


def texts(chat):
    return [message.text for message in chat.by_bot()]


async def test_a_card_is_posted_with_its_buttons_in_the_askers_topic(sender):
    asked = sender.telegram.person("Ana").says(sender.team, "@ourbot fix it", thread=7)
    number = await sender.surface.post(place_of(sender.team, "7"), drawing("a card", [("bold", 2, 4)]), str(asked.id))
    shown = sender.team.messages[int(number)]
    assert (shown.text, shown.thread, shown.reply_to) == ("a card", 7, asked.id)
    assert list(shown.covered("bold")) == ["card"]
    assert [[button.label for button in row] for row in shown.rows] == [["✅ Approve 9c1e", "❌ Reject"]]


async def test_a_card_is_changed_in_place_and_the_same_again_is_no_fault(sender):
    place = place_of(sender.team)
    number = await sender.surface.post(place, drawing("one"), None)
    assert await sender.surface.edit(place, number, drawing("two", rows=())) == number
    assert await sender.surface.edit(place, number, drawing("two", rows=())) == number
    (shown,) = sender.team.by_bot()
    assert (shown.text, shown.buttons, shown.edits) == ("two", [], 1)


async def test_a_card_that_is_gone_is_posted_anew(sender):
    place = place_of(sender.team)
    number = await sender.surface.post(place, drawing("one"), None)
    sender.telegram.delete(sender.team.messages[int(number)])
    new = await sender.surface.edit(place, number, drawing("two"))
    assert new != number
    assert texts(sender.team) == ["two"]


async def test_a_card_goes_to_the_chat_when_its_topic_is_gone(sender):
    del sender.team.topics[7]
    await sender.surface.post(place_of(sender.team, "7"), drawing("one"), None)
    assert [(m.text, m.thread) for m in sender.team.by_bot()] == [("one", None)]


async def test_a_card_whose_question_is_gone_is_posted_all_the_same(sender):
    await sender.surface.post(place_of(sender.team), drawing("one"), "4711")
    assert [(m.text, m.reply_to) for m in sender.team.by_bot()] == [("one", None)]


async def test_refused_entities_cost_the_looks_and_not_the_card(sender):
    sender.telegram.refuse_entities = True
    place = place_of(sender.team)
    number = await sender.surface.post(place, drawing("one", [("bold", 0, 3)], plain="plain"), None)
    shown = sender.team.messages[int(number)]
    assert (shown.text, shown.entities, len(shown.buttons)) == ("plain", [], 2)
    await sender.surface.edit(place, number, drawing("two", [("bold", 0, 3)], plain="still plain"))
    assert shown.text == "still plain"


async def test_entities_out_of_bounds_cost_the_looks_and_not_the_card(sender):
    await sender.surface.post(place_of(sender.team), drawing("one", [("bold", 0, 99)]), None)
    assert texts(sender.team) == ["one"]
    assert len(sender.telegram.expected_violations()) == 1


@pytest.mark.parametrize(
    "lose",
    [
        lambda telegram, chat: telegram.kick(chat),
        lambda telegram, chat: telegram.chats.pop(chat.id),
        lambda telegram, chat: setattr(chat, "gone", "Forbidden: bot was blocked by the user"),
    ],
)
async def test_a_place_that_cannot_be_reached_again_is_gone(sender, lose):
    number = await sender.surface.post(place_of(sender.team), drawing(), None)
    lose(sender.telegram, sender.team)
    for work in (
        sender.surface.post(place_of(sender.team), drawing(), None),
        sender.surface.edit(place_of(sender.team), number, drawing("new")),
        sender.surface.send_text(place_of(sender.team), "hello", None, None),
    ):
        with pytest.raises(PermanentError) as caught:
            await work
        assert caught.value.problem.code == "place_gone"


async def test_a_place_that_is_no_chat_is_gone(sender):
    with pytest.raises(PermanentError) as caught:
        await sender.surface.send_text(Place("telegram", "C024BE91L"), "hello", None, None)
    assert caught.value.problem.code == "place_gone"


async def test_a_card_follows_a_group_that_became_a_supergroup(harness):
    group = harness.telegram.group("Small", kind="group")
    number = await harness.surface.post(place_of(group), drawing("one"), None)
    new = harness.telegram.migrate(group)
    await harness.surface.edit(place_of(group), number, drawing("two"))
    assert texts(new) == ["two"]
    assert ("telegram", str(group.id), str(new.id)) in harness.inbox.moves
    await harness.surface.send_text(place_of(group), "hello", None, None)
    assert texts(new) == ["two", "hello"]


async def test_told_to_wait_it_waits_and_keeps_the_order(sender):
    sender.telegram.next("sendMessage", Fault(FaultKind.FLOOD, 1))
    place = place_of(sender.team)
    await asyncio.gather(*(sender.surface.send_text(place, f"line {n}", None, None) for n in range(5)))
    assert texts(sender.team) == [f"line {n}" for n in range(5)]
    assert sender.telegram.calls["sendMessage"] == 6


async def test_one_slow_chat_does_not_hold_up_another(sender):
    sender.telegram.next("sendMessage", Fault(FaultKind.FLOOD, 2))
    lee = sender.telegram.person("Lee")
    slow = asyncio.create_task(sender.surface.send_text(place_of(sender.team), "slow", None, None))
    await sender.telegram.until(lambda: sender.telegram.calls["sendMessage"])
    await sender.surface.send_text(place_of(lee.private), "quick", None, None)
    assert not slow.done()
    assert texts(lee.private) == ["quick"]
    await slow
    assert texts(sender.team) == ["slow"]


async def test_told_to_wait_for_long_the_caller_is_told(sender):
    sender.telegram.next("sendMessage", Fault(FaultKind.FLOOD, 600))
    for _ in range(2):
        with pytest.raises(TransientError) as caught:
            await sender.surface.send_text(place_of(sender.team), "hello", None, None)
        assert caught.value.retry_after_s is not None
        assert 590 < caught.value.retry_after_s <= 600
    assert sender.telegram.calls["sendMessage"] == 1


async def test_paced_by_ourselves_everything_arrives_in_order(telegram):
    """That the pace keeps within the limits is a law of `Pace` alone (tests/unit/surfaces/test_pace.py)."""
    telegram.flood = Flood(per_chat=(3, 0.3), per_group=(6, 1.2))
    pace = PaceLimits(chat=(3, 0.35), group=(6, 1.3), overall=(30, 1.0), patience_s=60)
    team, lee = telegram.group(), telegram.person("Lee")
    surface = TelegramSurface(config_of(telegram, team), limits=pace)
    said = [surface.send_text(place_of(team), f"{n}", None, None) for n in range(8)]
    said += [surface.send_text(place_of(lee.private), f"{n}", None, None) for n in range(5)]
    await asyncio.gather(*said)
    assert texts(team) == [f"{n}" for n in range(8)]
    assert texts(lee.private) == [f"{n}" for n in range(5)]
    await surface.close()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(FaultKind.ERROR, 500), "telegram_unreachable"),
        (Fault(FaultKind.ERROR, 502), "telegram_unreachable"),
        (Fault(FaultKind.DROP), "telegram_unreachable"),
        (Fault(FaultKind.LOST_ANSWER), "telegram_unreachable"),
        (Fault(FaultKind.HANG), "telegram_timeout"),
    ],
)
async def test_a_failed_post_is_the_callers_to_repeat_and_makes_one_more_card_at_most(sender, fault, code):
    sender.telegram.next("sendMessage", fault)
    place = place_of(sender.team)
    with pytest.raises(TransientError) as caught:
        await sender.surface.post(place, drawing(), None)
    assert caught.value.problem.code == code
    assert sender.telegram.token not in str(caught.value)
    await sender.surface.post(place, drawing(), None)
    assert 1 <= len(sender.team.by_bot()) <= 2


async def test_a_revoked_token_is_told_without_showing_it(sender):
    sender.telegram.revoke()
    with pytest.raises(PermanentError) as caught:
        await sender.surface.post(place_of(sender.team), drawing(), None)
    assert caught.value.problem.code == "telegram_token"
    assert sender.telegram.token not in repr(caught.value.__cause__)


async def test_the_token_is_in_no_log(sender, caplog):
    caplog.set_level("DEBUG")
    sender.telegram.next("sendMessage", Fault(FaultKind.ERROR, 500))
    with pytest.raises(TransientError):
        await sender.surface.send_text(place_of(sender.team), "hello", None, None)
    await TelegramSurface(config_of(sender.telegram)).check()
    assert sender.telegram.token not in caplog.text


async def test_seen_is_a_pair_of_eyes(sender):
    said = sender.telegram.person("Ana").says(sender.team, "@ourbot fix it")
    await sender.surface.acknowledge(place_of(sender.team), str(said.id))
    assert said.reactions == ["👀"]
    await sender.surface.acknowledge(place_of(sender.team), "4711")


async def test_files_are_delivered_with_words_and_names(sender):
    files = [
        Attachment("142/../x y.patch", b"--- a\n+++ b\n", "text/x-diff"),
        Attachment("142.html", b"<!doctype html>", "text/html"),
    ]
    await sender.surface.attach(place_of(sender.team, "7"), files, "the whole diff of #142 @lee", None)
    first, second = sender.team.by_bot()
    assert first.document is not None
    assert second.document is not None
    assert (first.document.name, first.document.content) == ("142-..-x-y.patch", b"--- a\n+++ b\n")
    assert second.document.content == b"<!doctype html>"
    assert (first.text, second.text, second.thread) == ("the whole diff of #142 @lee", "", 7)
    assert list(first.covered("mention")) == []


async def test_chat_31_a_file_that_arrived_is_not_sent_again(sender):
    files = [Attachment("1.1.patch", b"diff", "text/x-diff"), Attachment("1.1.html", b"page", "text/html")]
    broken = Fault(FaultKind.ERROR, 502)
    sender.telegram.next("sendDocument", None, broken, broken, broken)  # the first file arrives, the second does not
    for _ in range(3):
        with pytest.raises(TransientError):
            await sender.surface.attach(place_of(sender.team), files, "all of it", None)
    await sender.surface.attach(place_of(sender.team), files, "all of it", None)
    assert [m.document.name for m in sender.team.by_bot()] == ["1.1.patch", "1.1.html"]


@pytest.mark.parametrize("length", [1024, 1025])
async def test_words_below_a_file_fit_or_stand_above_it(sender, length):
    await sender.surface.attach(place_of(sender.team), [Attachment("a", b"x", "text/plain")], "w" * length, None)
    shown = [(m.text, m.document is not None) for m in sender.team.by_bot()]
    assert shown == ([("w" * length, True)] if length <= 1024 else [("w" * length, False), ("", True)])


async def test_a_file_that_telegram_takes_from_no_bot_is_refused_here(sender):
    for content in (b"", bytes(50_000_001)):
        with pytest.raises(PermanentError) as caught:
            await sender.surface.attach(place_of(sender.team), [Attachment("a", content, "text/plain")], "", None)
        assert caught.value.problem.code == "file_size"
    assert sender.team.by_bot() == []


@pytest.mark.parametrize(("count", "messages"), [(4095, 1), (4096, 1), (4097, 2), (9000, 3)])
async def test_long_words_are_split_and_nothing_is_lost(sender, count, messages):
    await sender.surface.send_text(place_of(sender.team), "w" * count, None, None)
    assert "".join(texts(sender.team)) == "w" * count
    assert len(texts(sender.team)) == messages


async def test_very_long_words_come_as_a_file(sender):
    said = "\n".join(f"#{n} 🦊 fix docs/{n}.md" for n in range(2000))
    await sender.surface.send_text(place_of(sender.team), said, None, None)
    (shown,) = sender.team.by_bot()
    assert shown.document is not None
    assert shown.document.content.decode() == said


async def test_what_is_said_pings_nobody_links_nothing_and_can_be_copied(sender):
    said = (
        "ask @lee or t.me/spam, tg://user?id=1, https://evil.example/x #now $USD a@b.example\n/approve 142 9c1e04ab77d2"
    )
    await sender.surface.send_text(place_of(sender.team), said, None, None)
    (shown,) = sender.team.by_bot()
    assert shown.text == said
    assert {entity["type"] for entity in shown.entities} == {"code"}


async def test_nothing_to_say_says_nothing(sender):
    await sender.surface.send_text(place_of(sender.team), " \n ", None, None)
    assert sender.team.by_bot() == []


async def test_doctor_is_told_of_token_privacy_webhook_and_groups(telegram):
    team, gone = telegram.group("Team"), telegram.group("Gone")
    telegram.kick(gone)
    surface = TelegramSurface(config_of(telegram, team, gone))
    rows = await surface.check()
    found = {row["check"]: (row["verdict"], row["detail"]) for row in rows}
    assert found["telegram"] == ("ok", "@ourbot (id 123456)")
    assert found["telegram privacy"][0] == "ok"
    assert found["telegram webhook"][0] == "ok"
    assert found[f"telegram group {team.id}"] == ("ok", "Team")
    assert found[f"telegram group {gone.id}"][0] == "fail"
    telegram.privacy = False
    assert {row["check"]: row["verdict"] for row in await surface.check()}["telegram privacy"] == "warn"
    telegram.revoke()
    (row,) = await surface.check()
    assert (row["verdict"], row["check"]) == ("fail", "telegram")
    assert "@BotFather" in row["mend"]


@pytest.mark.parametrize("token", ["", "7654321", "7654321:short", "a b:cdefghijkl", "123456:AAF-abcdefghij\n"])
def test_what_is_no_token_is_told_before_it_is_used(telegram, token):
    with pytest.raises(UsageError) as caught:
        TelegramSurface(config_of(telegram, token=token))
    assert caught.value.problem.code == "telegram_token"
    assert not token or token not in str(caught.value)


async def test_characters_that_cannot_be_sent_are_spelled_out(sender):
    await sender.surface.send_text(place_of(sender.team), "a\x00b \ud800 \u202egpj.exe\tx", None, None)
    assert texts(sender.team) == [r"a\x00b \u{d800} \u{202e}gpj.exe  x"]


async def test_an_answer_to_a_press_is_tried_again(harness):
    place = place_of(harness.team)
    number = await harness.surface.post(place, drawing(), None)
    harness.telegram.next("answerCallbackQuery", Fault(FaultKind.FLOOD, 1), Fault(FaultKind.DROP))
    (click,) = harness.telegram.person("Lee").clicks(harness.team.messages[int(number)], "Approve")
    await click.answered()
    assert len(click.answers) == 1
