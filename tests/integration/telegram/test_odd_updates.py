"""Updates that cannot be read, edits without a change, cut texts, quoted messages: nothing makes Telegram deaf."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.surfaces.port import Place, QuotedMessage
from bot.surfaces.telegram.surface import TelegramSurface
from tests.fakes.inbox import FakeInbox
from tests.fakes.telegram import Fault, FaultKind, anonymous_admin_says
from tests.integration.telegram.conftest import QUICK, config_of, listening
from tests.integration.telegram.drawings import drawing

pytestmark = pytest.mark.surfaces

WORDS = "the-secret-plan"


def raw(person, **changes):
    chat = person.private.to_json()
    message = {"message_id": 900, "date": 1_790_000_000, "chat": chat, "from": person.to_json(), "text": WORDS}
    return {"message": {**message, **changes}}


async def test_chat_01_parts_that_do_not_concern_us_make_no_message_unreadable(harness, capfd):
    ana = harness.telegram.person("Ana")
    harness.telegram.arrives_odd(raw(ana, reply_markup={"force_reply": True}))
    ana.says(ana.private, "the next")
    assert [said.text for said in await harness.inbox.received(2)] == [WORDS, "the next"]
    await harness.telegram.confirmed()
    out, err = capfd.readouterr()
    assert WORDS not in out + err


ODD: list[dict[str, Any]] = [
    {"chat": None},
    {"chat": WORDS},
    {"chat": {"id": WORDS, "type": "private"}},
    {"chat": {"id": 2**70, "type": "private"}},
    {"from": [WORDS]},
    {"from": {"id": {WORDS: 1}, "is_bot": False, "first_name": "Ana"}},
    {"from": {"id": True, "is_bot": False, "first_name": "Ana"}},
    {"text": {WORDS: WORDS}},
    {"text": 5},
    {"message_id": WORDS},
    {"entities": {WORDS: 1}},
    {"entities": [WORDS]},
    {"entities": [{"type": "mention", "offset": WORDS, "length": 1}]},
    {"reply_to_message": WORDS},
    {"reply_to_message": {"from": WORDS}},
    {"migrate_to_chat_id": WORDS},
    {"forward_origin": WORDS},
]


async def test_chat_01_an_update_that_cannot_be_read_is_passed_over_without_its_words(harness, capfd):
    ana = harness.telegram.person("Ana")
    for n, changes in enumerate(ODD):
        harness.telegram.arrives_odd(raw(ana, **changes))
        ana.says(ana.private, f"good {n}")
    assert [said.text for said in await harness.inbox.received(len(ODD))] == [f"good {n}" for n in range(len(ODD))]
    await harness.telegram.confirmed()
    out, err = capfd.readouterr()
    assert (out + err).count("telegram_update_was_odd") == len(ODD)
    assert WORDS not in out + err


async def test_chat_01_odd_updates_of_every_kind_are_passed_over(harness):
    ana = harness.telegram.person("Ana")
    odd: list[dict[str, Any]] = [{}, {"message": WORDS}, {"callback_query": {"id": 1}}, {"callback_query": []}]
    for update in odd:
        harness.telegram.arrives_odd(update)
        harness.telegram.arrives_odd({**update, "poll": WORDS})
    ana.says(ana.private, "the next")
    assert [said.text for said in await harness.inbox.received()] == ["the next"]


@pytest.mark.parametrize(
    "text", ['{"ok": true, "result": [{"update_id": 500000, "message": ' + "[" * 5000, "{" + WORDS]
)
async def test_chat_01_an_answer_that_is_not_json_is_logged_without_its_words(harness, capfd, text):
    await harness.telegram.until(lambda: harness.telegram.poller)
    harness.telegram.next("getUpdates", Fault(FaultKind.GARBAGE, text=text))
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "one")
    ana.says(ana.private, "two")
    assert [said.text for said in await harness.inbox.received(2)] == ["one", "two"]
    out, err = capfd.readouterr()
    assert WORDS not in out + err


async def test_chat_01_an_update_that_makes_the_whole_answer_unreadable_is_found_and_passed_over(harness, capfd):
    await harness.telegram.until(lambda: harness.telegram.poller)
    deep = json.dumps({"ok": True, "result": [{"update_id": 500_000, "message": WORDS}]})
    deep = deep.replace(f'"{WORDS}"', "[" * 5000 + f'"{WORDS}"' + "]" * 5000)
    harness.telegram.next("getUpdates", *[Fault(FaultKind.GARBAGE, text=deep)] * 2)
    ana = harness.telegram.person("Ana")
    harness.telegram.queue.put({"message": "passed over by the faults"})
    harness.telegram.odd = True
    ana.says(ana.private, "the next")
    assert [said.text for said in await harness.inbox.received()] == ["the next"]
    out, err = capfd.readouterr()
    assert "500000" in out + err
    assert WORDS not in out + err


async def test_chat_01_an_answer_that_is_not_updates_ends_nothing(harness):
    await harness.telegram.until(lambda: harness.telegram.poller)
    odd = ('"x"', "[1, 2]", '[{"update_id": "7"}]', "null")
    harness.telegram.next("getUpdates", *(Fault(FaultKind.GARBAGE, text=f'{{"ok": true, "result": {r}}}') for r in odd))
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "one")
    assert [said.text for said in await harness.inbox.received()] == ["one"]


class BrokenInbox(FakeInbox):
    """An inbox that one message breaks."""

    async def accept(self, said):
        if said.text == WORDS:
            raise KeyError(WORDS)
        return await super().accept(said)


async def test_chat_01_a_message_that_breaks_us_keeps_no_other_away(telegram, capfd):
    surface, inbox, ana = TelegramSurface(config_of(telegram), limits=QUICK, poll_s=5), BrokenInbox(), None
    async with listening(surface, inbox):
        ana = telegram.person("Ana")
        ana.says(ana.private, WORDS)
        ana.says(ana.private, "the next")
        assert [said.text for said in await inbox.received()] == ["the next"]
        await telegram.confirmed()
    out, err = capfd.readouterr()
    assert "KeyError" in out + err
    assert WORDS not in out + err


async def test_chat_01_an_odd_chat_ends_only_its_own_row_of_doctor(telegram):
    odd = telegram.group("Odd")
    surface = TelegramSurface(config_of(telegram, odd))
    for telegram.odd_chat in (
        {"title": {WORDS: 1}},
        {"permissions": WORDS},
        {"pinned_message": {"message_id": WORDS}},
        {"type": 7},
    ):
        rows = await surface.check()
        names = ["telegram", "telegram privacy", "telegram webhook", f"telegram group {odd.id}"]
        assert [row["check"] for row in rows] == names
        assert WORDS not in str(rows)


async def test_chat_01_doctor_says_which_answer_was_odd(telegram):
    surface = TelegramSurface(config_of(telegram, telegram.group()))
    for method in ("getMe", "getWebhookInfo", "getChat"):
        for answer in ("[]", "null", "5", '{"id": "x", "url": 7, "title": []}', "{"):
            telegram.next(method, Fault(FaultKind.GARBAGE, text=f'{{"ok": true, "result": {answer}}}'))
            assert [row for row in await surface.check() if row["verdict"] != "ok"], (method, answer)


async def test_chat_01_a_card_is_posted_once_though_the_answer_is_odd(sender):
    number = await sender.surface.post(Place("telegram", str(sender.team.id)), drawing(), None)
    sender.telegram.next("editMessageText", Fault(FaultKind.GARBAGE, text='{"ok": true, "result": {"message_id": 7}}'))
    assert await sender.surface.edit(Place("telegram", str(sender.team.id)), number, drawing()) == number


async def test_chat_05_an_edit_names_the_message_that_it_changes(harness):
    ana = harness.telegram.person("Ana")
    said = ana.says(ana.private, "undo 5")
    ana.edits(said, "undo 5")
    first, edit = await harness.inbox.received(2)
    assert (first.edits, edit.edits) == ("", first.dedup)


async def test_chat_05_what_telegram_calls_an_edit_after_days_is_none(harness):
    ana = harness.telegram.person("Ana")
    said = ana.says(ana.private, "undo 5")
    await harness.inbox.received()
    harness.telegram.arrives({"edited_message": {**said.raw, "edit_date": said.raw["date"] + 9 * 86400}})
    ana.says(ana.private, "the next")
    assert [one.text for one in await harness.inbox.received(2)] == ["undo 5", "the next"]


async def test_chat_09_a_text_that_the_client_cut_is_one(harness):
    harness.telegram.privacy = False
    ana, lee = harness.telegram.person("Ana"), harness.telegram.person("Lee")
    whole = ("@ourbot append a line " + "x" * 9000)[:9000]
    for at in range(0, 9000, 4096):
        ana.says(harness.team, whole[at : at + 4096], thread=7)
        lee.says(harness.team, "good morning", thread=7)
    first, second, third = await harness.inbox.received(3)
    assert (first.may_go_on, first.rest_of) == (True, "")
    assert {second.rest_of, third.rest_of} == {first.dedup}
    assert first.text + second.text + third.text == whole.removeprefix("@ourbot ")
    await harness.telegram.confirmed()
    assert len(harness.inbox.messages) == 3


async def test_chat_09_where_a_line_ended_a_new_one_begins(harness):
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "a" * 3000)
    ana.says(ana.private, "b")
    ana.says(ana.private, "c")
    heard = await harness.inbox.received(3)
    assert [(said.text[:2], bool(said.rest_of)) for said in heard] == [("aa", False), ("\nb", True), ("\nc", True)] or [
        (said.text[:2], bool(said.rest_of)) for said in heard
    ] == [("aa", False), ("\nb", True), ("c", False)]


@pytest.mark.parametrize("second", ["/undo 5", "@ourbot undo 5"])
async def test_chat_09_what_speaks_to_us_by_itself_is_no_rest(harness, second):
    ana = harness.telegram.person("Ana")
    ana.says(ana.private, "a" * 4096)
    ana.says(ana.private, second)
    _, said = await harness.inbox.received(2)
    assert said.rest_of == ""


async def test_chat_09_a_message_that_is_answered_is_quoted_as_its_writers_words(harness):
    ana, max_ = harness.telegram.person("Ana"), harness.telegram.person("Max")
    harness.telegram.privacy = False
    said = max_.says(harness.team, "set server.timeout to 30 in config/app.yaml")
    ana.says(harness.team, "@ourbot do this", reply_to=said)
    (heard,) = await harness.inbox.received()
    assert heard.text == "do this"
    assert heard.quoted == QuotedMessage(said.text, str(max_.id), "Max")


async def test_chat_09_a_forwarded_message_is_quoted_as_its_first_writers(harness):
    ana = harness.telegram.person("Ana")
    said = ana.says(ana.private, "set a to 1 in x.yaml", forwarded=True)
    ana.says(ana.private, "do this", reply_to=said)
    _, heard = await harness.inbox.received(2)
    assert heard.quoted == QuotedMessage(said.text, "4242", "Somebody")


async def test_chat_09_words_of_nobody_are_quoted_as_nobodys(harness):
    harness.telegram.privacy = False
    said = anonymous_admin_says(harness.telegram, harness.team, "set a to 1 in x.yaml")
    harness.telegram.person("Ana").says(harness.team, "@ourbot do this", reply_to=said)
    (heard,) = await harness.inbox.received()
    assert heard.quoted == QuotedMessage(said.text, "", "Team")


BESIDE = [
    ("please @ourbot, set a to 1 in x.yaml", "please set a to 1 in x.yaml"),
    ("please, @ourbot, set a to 1 in x.yaml", "please, set a to 1 in x.yaml"),
    ("@ourbot - set a to 1", "set a to 1"),
    ("@ourbot! set a to 1", "set a to 1"),
    ("@ourbot,set a to 1", "set a to 1"),
    ("set a to 1 in x.yaml, @ourbot", "set a to 1 in x.yaml"),
    ("set a to 1 @ourbot please", "set a to 1 please"),
    ("@ourbot .env needs a line", ".env needs a line"),
    ("@ourbot -1 is wrong", "-1 is wrong"),
    ("@ourbot append the line x:", "append the line x:"),
]


async def test_chat_11_what_stands_beside_our_name_goes_with_it(harness):
    for text, _ in BESIDE:
        harness.telegram.person("Ana").says(harness.team, text)
    assert [said.text for said in await harness.inbox.received(len(BESIDE))] == [heard for _, heard in BESIDE]


WITHOUT_WORDS: list[tuple[dict[str, Any], str]] = [
    ({"voice": {"file_id": "v", "file_unique_id": "v", "duration": 3}}, "cannot listen to voice messages"),
    ({"document": {"file_id": "d", "file_unique_id": "d"}}, "cannot read files"),
    ({"sticker": {"file_id": "s"}}, "cannot read stickers"),
    ({"poll": {"id": "p"}}, "cannot use polls"),
]


async def test_chat_18_without_words_it_is_said_what_is_possible(harness):
    ana = harness.telegram.person("Ana")
    for n, (extra, _) in enumerate(WITHOUT_WORDS):
        bare = {key: value for key, value in raw(ana, message_id=n + 900)["message"].items() if key != "text"}
        harness.telegram.arrives_odd({"message": {**bare, **extra}})
    heard = await harness.inbox.received(len(WITHOUT_WORDS))
    for said, (_, told) in zip(heard, WITHOUT_WORDS, strict=True):
        assert told in said.hint
        assert "/help" in said.hint


async def test_chat_18_a_forwarded_text_in_private_is_answered_in_a_group_it_is_not(harness):
    ana = harness.telegram.person("Ana")
    ana.says(harness.team, "@ourbot fix it", forwarded=True)
    ana.says(ana.private, "fix it", forwarded=True)
    (heard,) = await harness.inbox.received()
    assert heard.place.private
    assert "forwarded" in heard.hint


async def test_chat_18_an_anonymous_admin_is_told_why_nothing_happens(harness):
    anonymous_admin_says(harness.telegram, harness.team, "@ourbot fix it")
    (heard,) = await harness.inbox.received()
    assert (heard.identity, heard.text) == ("", "")
    assert "anonymous" in heard.hint


async def test_chat_18_notices_of_telegrams_are_no_messages(harness):
    ana = harness.telegram.person("Ana")
    without = {key: value for key, value in raw(ana)["message"].items() if key != "text"}
    harness.telegram.arrives_odd({"message": {**without, "message_auto_delete_timer_changed": {"x": 1}}})
    ana.says(ana.private, "the next")
    assert [said.text for said in await harness.inbox.received()] == ["the next"]
