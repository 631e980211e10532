"""Hearing: what an update of Telegram's says to us, if anything. Pure; who may do what is judged elsewhere.

Only people count, by their numeric id. Nobody stands behind an anonymous admin (1087968824 with `sender_chat`), a
channel's post (136817688), an automatic forward (777000), a bot, an inline bot's message (`via_bot`) or a forwarded
text, so none of these is a command (security.md 2-4; core.telegram.org/bots/api#message, `from` and `sender_chat`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from telegram import CallbackQuery, Chat, Message, MessageEntity, Update, User

from bot.commands.table import NAMES
from bot.surfaces.port import Clicked, Heard, Place
from bot.surfaces.telegram.prompts import Prompted, prompted

SURFACE: Final = "telegram"
WANTED: Final = ("message", "edited_message", "callback_query")
"""The kinds of updates we ask for; all others never reach us."""
NOBODY: Final = frozenset({777000, 136817688, 1087968824})


@dataclass(frozen=True, slots=True)
class Us:
    """Who we are on Telegram."""

    id: int
    username: str
    token: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A group has another id from now on."""

    channel: str
    to: str


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Somebody spoke to us in a chat that the configuration does not name; `callback` is the press to refuse."""

    channel: str
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """A click, and the callback to answer."""

    clicked: Clicked
    callback: str


@dataclass(frozen=True, slots=True)
class Spurious:
    """A press that belongs to no message of ours: refused (security.md 5)."""

    callback: str


Said = Heard | Clicked | Pressed | Moved | Unlisted | Spurious


def hear(update: Update, us: Us, listed: Callable[[str], bool]) -> Said | None:
    """What an update says, or None if it is not for us; `listed` tells which groups we listen to."""
    if update.callback_query is not None:
        return _press(update.callback_query, us, listed)
    message = update.message or update.edited_message
    if message is None:
        return None
    if message.migrate_to_chat_id is not None:
        return Moved(str(message.chat.id), str(message.migrate_to_chat_id))
    return _message(message, us, listed)


def _press(query: CallbackQuery, us: Us, listed: Callable[[str], bool]) -> Said:
    """A press counts for the one who pressed, whoever wrote the message (security.md 3)."""
    if query.message is None or not query.data or query.from_user.is_bot:
        return Spurious(query.id)
    chat = query.message.chat
    if not _listens(chat, listed):
        return Unlisted(str(chat.id), query.id)
    thread = _thread(query.message) if isinstance(query.message, Message) else None
    if isinstance(query.message, Message) and (query.message.from_user is None or query.message.from_user.id != us.id):
        return Spurious(query.id)
    clicked = Clicked(
        identity=str(query.from_user.id),
        place=_place(chat, thread),
        button=query.data,
        message_id=str(query.message.message_id),
        dedup=f"c:{query.id}",
        name=query.from_user.full_name,
    )
    return Pressed(clicked, query.id)


def _message(message: Message, us: Us, listed: Callable[[str], bool]) -> Said | None:
    author = _author(message)
    text = message.text or message.caption
    if author is None or not text:
        return None
    spoken = _words(message, text, us)
    if spoken is None:
        return None
    words, addressed = spoken
    answered = _answered(message)
    ours = answered is not None and answered.from_user is not None and answered.from_user.id == us.id
    if not (addressed or ours or message.chat.type == Chat.PRIVATE):
        return None
    if not _listens(message.chat, listed):
        return Unlisted(str(message.chat.id))
    place = _place(message.chat, _thread(message))
    asked = None
    if ours and answered is not None:
        links = [entity.url for entity in answered.entities if entity.url]
        asked = prompted(us.token, message.chat.id, answered.text or "", links)
    if asked is not None and not words.startswith("/"):
        return _form(message, author, place, words, asked)
    return Heard(
        identity=str(author.id),
        place=place,
        text=words,
        message_id=str(message.message_id),
        dedup=_dedup(message),
        addressed=True,
        reply_to=str(answered.message_id) if answered is not None else None,
        name=author.full_name,
    )


def _form(message: Message, author: User, place: Place, words: str, asked: Prompted) -> Clicked:
    """The words that a button wanted, as that button pressed once more."""
    return Clicked(
        identity=str(author.id),
        place=place,
        button=asked.button,
        message_id=asked.card,
        dedup=_dedup(message),
        text=words,
        name=author.full_name,
    )


def _author(message: Message) -> User | None:
    author = message.from_user
    if author is None or author.is_bot or author.id in NOBODY:
        return None
    if message.sender_chat is not None or message.is_automatic_forward:
        return None
    if message.via_bot is not None or message.forward_origin is not None:
        return None
    return author


def _dedup(message: Message) -> str:
    """An edit is another request (security.md 47), and each edit its own."""
    if message.edit_date is not None:
        return f"e:{message.chat.id}:{message.message_id}:{int(message.edit_date.timestamp())}"
    return f"m:{message.chat.id}:{message.message_id}"


def _answered(message: Message) -> Message | None:
    """The message this one answers; in a topic every message formally answers the one that opened it."""
    found = message.reply_to_message
    return None if found is None or found.forum_topic_created is not None else found


def _thread(message: Message) -> str | None:
    """The forum topic; other message threads are chains of replies and cannot be written into."""
    return str(message.message_thread_id) if message.is_topic_message and message.message_thread_id else None


def _place(chat: Chat, thread: str | None) -> Place:
    return Place(SURFACE, str(chat.id), thread, chat.type == Chat.PRIVATE)


def _listens(chat: Chat, listed: Callable[[str], bool]) -> bool:
    return chat.type == Chat.PRIVATE or listed(str(chat.id))


def _words(message: Message, text: str, us: Us) -> tuple[str, bool] | None:
    """The text without our name, and whether it called us by it; None for a command that is another bot's."""
    addressed = False
    for entity, words in _names(message):
        if entity.type == MessageEntity.BOT_COMMAND:
            if entity.offset:
                continue
            command, at, name = words.partition("@")
            if at and name.casefold() != us.username.casefold():
                return None
            addressed = addressed or bool(at) or command[1:].lower() in NAMES
            text = _put(text, entity, command)
        elif words.casefold() == f"@{us.username}".casefold() or (entity.user is not None and entity.user.id == us.id):
            addressed = True
            text = _put(text, entity, "")
    return text.strip(), addressed


def _names(message: Message) -> Iterator[tuple[MessageEntity, str]]:
    """The commands and mentions in a message, the last first, so that changing one moves no other."""
    kinds: list[str | None] = [MessageEntity.BOT_COMMAND, MessageEntity.MENTION, MessageEntity.TEXT_MENTION]
    found = message.parse_entities(kinds) if message.text else message.parse_caption_entities(kinds)
    yield from sorted(found.items(), key=lambda item: -item[0].offset)


def _put(text: str, entity: MessageEntity, words: str) -> str:
    """`text` with `words` in place of an entity, whose place is counted in UTF-16 units; no double space is left."""
    raw = text.encode("utf-16-le", "surrogatepass")
    before = raw[: 2 * entity.offset].decode("utf-16-le", "surrogatepass")
    after = raw[2 * (entity.offset + entity.length) :].decode("utf-16-le", "surrogatepass")
    if words:
        return before + words + after
    return before.rstrip(" ") + (" " if before.strip() and after.strip() else "") + after.lstrip(" ")
