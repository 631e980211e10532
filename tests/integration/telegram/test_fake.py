"""The fake Telegram keeps Telegram's rules: at each limit it takes, one past it it refuses, and it says so."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity, ReplyParameters
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from tests.fakes.telegram import Flood

pytestmark = [
    pytest.mark.surfaces,
    pytest.mark.filterwarnings("ignore:.*retry_after:DeprecationWarning"),
]


@pytest_asyncio.fixture
async def bot(telegram):
    async with bot_of(telegram) as found:
        yield found


def bot_of(telegram):
    base = telegram.base_url
    return Bot(telegram.token, base_url=f"{base}/bot", base_file_url=f"{base}/file/bot")


def bold(offset, length):
    return MessageEntity("bold", offset, length)


def button(data):
    return InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data=data)]])


def bytes_long(n):
    return "é" * (n // 2) + "x" * (n % 2)


SENDS = {
    "text": lambda bot, chat, n: bot.send_message(chat, "🦊" * (n // 2) + "x" * (n % 2)),
    "caption": lambda bot, chat, n: bot.send_document(chat, b"x", caption="x" * n),
    "callback data": lambda bot, chat, n: bot.send_message(chat, "x", reply_markup=button(bytes_long(n))),
    "entities": lambda bot, chat, n: bot.send_message(chat, "x" * n, entities=[bold(at, 1) for at in range(n)]),
    "entity's end": lambda bot, chat, n: bot.send_message(chat, "🦊🦊", entities=[bold(0, n)]),
}


@pytest.mark.parametrize(
    ("what", "limit", "complaint"),
    [
        ("text", 4096, "message is too long"),
        ("caption", 1024, "message caption is too long"),
        ("callback data", 64, "BUTTON_DATA_INVALID"),
        ("entities", 100, "can't parse entities"),
        ("entity's end", 4, "can't parse entities"),
    ],
)
async def test_limits_hold_to_the_unit_and_a_breach_is_remembered(telegram, bot, what, limit, complaint):
    chat = telegram.group()
    await SENDS[what](bot, chat.id, limit)
    assert telegram.violations == []
    with pytest.raises((BadRequest, NetworkError), match=f"(?i){complaint}"):
        await SENDS[what](bot, chat.id, limit + 1)
    assert len(telegram.expected_violations()) == 1
    assert len(chat.by_bot()) == 1


@pytest.mark.parametrize(
    "entities",
    [
        [bold(0, 1)],
        [bold(-1, 2)],
        [bold(0, 0)],
        [bold(0, 3), MessageEntity("italic", 2, 4)],
        [MessageEntity("code", 0, 4), bold(0, 2)],
    ],
    ids=["half a fox", "before the text", "empty", "crossing", "in code"],
)
async def test_entities_that_cannot_be_are_refused(telegram, bot, entities):
    with pytest.raises(BadRequest, match=r"(?i)can't parse entities"):
        await bot.send_message(telegram.group().id, "🦊🦊 fox", entities=entities)
    assert telegram.expected_violations()


async def test_mistyped_and_unknown_parameters_are_violations(telegram, bot):
    chat = telegram.group().id
    for wrong in ({"disable_notification": "perhaps"}, {"colour": "red"}, {"reply_to_message_id": 5}):
        with pytest.raises(BadRequest):
            await bot.send_message(chat, "x", api_kwargs=wrong)
    assert len(telegram.expected_violations()) == 3


async def test_a_press_can_be_answered_with_200_characters(telegram, bot):
    click = telegram.click()
    with pytest.raises(BadRequest, match=r"(?i)MESSAGE_TOO_LONG"):
        await bot.answer_callback_query(click.id, "x" * 201)
    await bot.answer_callback_query(click.id, "x" * 200)
    with pytest.raises(BadRequest, match=r"(?i)query is too old"):
        await bot.answer_callback_query("1", "x")
    assert len(telegram.expected_violations()) == 1


async def test_edits_know_what_is_there(telegram, bot):
    chat, ana = telegram.group(), telegram.person("Ana")
    sent = await bot.send_message(chat.id, "one", reply_markup=button("a"))
    with pytest.raises(BadRequest, match=r"(?i)message is not modified"):
        await bot.edit_message_text("one", chat.id, sent.message_id, reply_markup=button("a"))
    await bot.edit_message_text("one", chat.id, sent.message_id)
    await bot.edit_message_reply_markup(chat.id, sent.message_id, reply_markup=button("b"))
    assert chat.by_bot()[0].edits == 2
    with pytest.raises(BadRequest, match=r"(?i)message to edit not found"):
        await bot.edit_message_text("two", chat.id, 4711)
    with pytest.raises(BadRequest, match=r"(?i)message can't be edited"):
        await bot.edit_message_text("two", chat.id, ana.says(chat, "mine").id)


async def test_places_that_are_not_there_are_named(telegram, bot):
    forum, group = telegram.group(topics={7: "docs"}), telegram.group(kind="group")
    with pytest.raises(BadRequest, match=r"(?i)chat not found"):
        await bot.send_message(4711, "x")
    with pytest.raises(BadRequest, match=r"(?i)message thread not found"):
        await bot.send_message(forum.id, "x", message_thread_id=8)
    with pytest.raises(BadRequest, match=r"(?i)message to be replied not found"):
        await bot.send_message(forum.id, "x", reply_parameters=ReplyParameters(4711))
    new = telegram.migrate(group)
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(group.id, "x")
    assert moved.value.new_chat_id == new.id
    telegram.kick(forum)
    with pytest.raises(Forbidden, match=r"(?i)bot was kicked"):
        await bot.send_message(forum.id, "x")


async def test_too_much_at_once_is_429_by_chat_and_by_group(telegram, bot):
    telegram.flood = Flood(per_chat=(2, 0.2), per_group=(4, 30.0))
    group, lee = telegram.group().id, telegram.person("Lee").private.id
    for _ in range(2):
        await bot.send_message(group, "x")
    with pytest.raises(RetryAfter):
        await bot.send_message(group, "x")
    await bot.send_message(lee, "x")
    await asyncio.sleep(0.25)
    for _ in range(2):
        await bot.send_message(group, "x")
    await asyncio.sleep(0.25)
    with pytest.raises(RetryAfter) as caught:
        await bot.send_message(group, "x")
    assert caught.value._retry_after.total_seconds() > 5
    await bot.send_message(lee, "x")


async def test_one_poller_and_no_webhook_beside_it(telegram, bot):
    first = asyncio.create_task(bot.get_updates(timeout=5))
    await telegram.until(lambda: telegram.poller)
    async with bot_of(telegram) as other:
        second = asyncio.create_task(other.get_updates(timeout=5))
        with pytest.raises(Conflict, match=r"(?i)terminated by other getUpdates"):
            await first
        ana = telegram.person("Ana")
        ana.says(ana.private, "hello")
        assert len(await second) == 1
    await bot.set_webhook("https://bot.example.org/x")
    with pytest.raises(Conflict, match=r"(?i)webhook is active"):
        await bot.get_updates()
    with pytest.raises(BadRequest, match=r"(?i)HTTPS"):
        await bot.set_webhook("http://bot.example.org/x")
    assert len(telegram.expected_violations()) == 1


async def test_updates_come_until_they_are_confirmed_and_only_the_wanted(telegram, bot):
    ana = telegram.person("Ana")
    ana.says(ana.private, "one")
    (one,) = await bot.get_updates(allowed_updates=["message"])
    assert [u.update_id for u in await bot.get_updates()] == [one.update_id]
    said = ana.says(ana.private, "two")
    ana.edits(said, "three")
    (two,) = await bot.get_updates(offset=one.update_id + 1)
    assert two.update_id == one.update_id + 1
    assert await bot.get_updates(offset=two.update_id + 1) == ()


async def test_files_come_back_as_they_were_sent_and_empty_ones_are_refused(telegram, bot):
    sent = await bot.send_document(telegram.group().id, b"\x00\xff", filename="a.bin")
    file = await bot.get_file(sent.document.file_id)
    assert bytes(await file.download_as_bytearray()) == b"\x00\xff"
    with pytest.raises(BadRequest, match=r"(?i)non-empty"):
        await bot.send_document(telegram.group().id, b"")
    assert telegram.expected_violations()


async def test_another_token_opens_nothing(telegram):
    with pytest.raises(InvalidToken):
        await Bot("654321:" + "x" * 30, base_url=f"{telegram.base_url}/bot").initialize()


async def test_texts_are_read_as_telegram_reads_them(telegram):
    ana = telegram.person("Ana")
    text = "/task@ourbot see t.me/x @lee a@b.example #now $USD https://x.example/?q=1 me@ #1 a/b 1.5"
    said = ana.says(ana.private, text)
    kinds = ("bot_command", "mention", "email", "hashtag", "cashtag", "url")
    found = {kind: list(said.covered(kind)) for kind in kinds}
    assert found == {
        "bot_command": ["/task@ourbot"],
        "mention": ["@lee"],
        "email": ["a@b.example"],
        "hashtag": ["#now"],
        "cashtag": ["$USD"],
        "url": ["t.me/x", "https://x.example/?q=1"],
    }
