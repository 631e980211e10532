"""Hearing: what an update of Telegram's says to us, if anything. Pure; who may do what is judged elsewhere.

An update is read by the few parts that concern us (`reading`), so that nothing else in it can make it unreadable.

Only people count, by their numeric id. Nobody stands behind an anonymous admin (1087968824 with `sender_chat`), a
channel's post (136817688), an automatic forward (777000), a bot, an inline bot's message (`via_bot`) or a forwarded
text, so none of these is a command (security.md 2-4; core.telegram.org/bots/api#message, `from` and `sender_chat`).
Where a person speaks to us in such a way, or by voice, they are told in a line how we can be spoken to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from bot.cards.safe import one_line
from bot.commands.table import NAMES
from bot.surfaces.mention import remove_mentions
from bot.surfaces.port import ButtonPress, IncomingMessage, Place, QuotedMessage
from bot.surfaces.telegram import hints
from bot.surfaces.telegram.prompts import PromptedAction, read_reference
from bot.surfaces.telegram.split_messages import MAYBE_SPLIT_UNITS, SplitMessages
from bot.surfaces.telegram.update_parts import (
    Json,
    UnreadableUpdateError,
    bool_at,
    full_name,
    objects_at,
    optional_int,
    optional_object,
    required_int,
    required_object,
    text_at,
    utf16_bytes,
    utf16_length,
)

SURFACE: Final = "telegram"
ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query")
"""The kinds of updates we ask for; all others never reach us."""
SERVICE_ACCOUNT: Final = 777000
SHARED_ACCOUNTS: Final = frozenset({SERVICE_ACCOUNT, 136817688, 1087968824})
MAX_EDIT_S: Final = 3 * 24 * 3600
"""People can change a message for 48 hours (telegram.org/faq#q-can-i-edit-my-messages); a later "edit" is none."""


@dataclass(frozen=True, slots=True)
class BotAccount:
    """Who we are on Telegram."""

    id: int
    username: str
    token: str


@dataclass(frozen=True, slots=True)
class ChatMoved:
    """A group has another id from now on."""

    channel: str
    to: str


@dataclass(frozen=True, slots=True)
class UnlistedChat:
    """Somebody spoke to us in a chat that the configuration does not name; `callback` is the press to refuse."""

    channel: str
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class CallbackPress:
    """A click, and the callback to answer."""

    clicked: ButtonPress
    callback: str


@dataclass(frozen=True, slots=True)
class RejectedPress:
    """A press that belongs to no message of ours: refused (security.md 5)."""

    callback: str


TelegramInput = IncomingMessage | ButtonPress | CallbackPress | ChatMoved | UnlistedChat | RejectedPress


def parse_update(
    update: Json, us: BotAccount, listed: Callable[[str], bool], cuts: SplitMessages
) -> TelegramInput | None:
    """What an update says, or None if it is not for us; `listed` tells which groups we listen to.

    `cuts` remembers what a client may have cut in two, from one update to the next. Raises `UnreadableUpdateError`
    for an update that is not as Telegram documents it.
    """
    query = optional_object(update, "callback_query")
    if query is not None:
        return _press(query, us, listed)
    edited = optional_object(update, "edited_message")
    message = optional_object(update, "message") or edited
    if message is None:
        return None
    moved_to = optional_int(message, "migrate_to_chat_id")
    if moved_to is not None:
        return ChatMoved(str(required_int(required_object(message, "chat"), "id")), str(moved_to))
    said = _message(message, us, listed, cuts, edited=message is edited)
    if isinstance(said, IncomingMessage) and said.may_go_on:
        cuts.note(message, said)
    return said


def _press(query: Json, us: BotAccount, listed: Callable[[str], bool]) -> TelegramInput:
    """A press counts for the one who pressed, whoever wrote the message (security.md 3)."""
    callback, pressed = text_at(query, "id"), text_at(query, "data")
    if not callback.isascii() or not callback.isprintable():
        raise UnreadableUpdateError("id")
    who, message = required_object(query, "from"), optional_object(query, "message")
    if message is None or not pressed or bool_at(who, "is_bot"):
        return RejectedPress(callback)
    chat = required_object(message, "chat")
    if not _listens(chat, listed):
        return UnlistedChat(str(required_int(chat, "id")), callback)
    thread = None
    if required_int(message, "date"):  # 0 for a message that Telegram no longer shows us (InaccessibleMessage)
        thread = _thread(message)
        if _id_of(optional_object(message, "from")) != us.id:
            return RejectedPress(callback)
    clicked = ButtonPress(
        identity=str(required_int(who, "id")),
        place=_place(chat, thread),
        button=pressed,
        message_id=str(required_int(message, "message_id")),
        dedup=f"c:{callback}",
        name=full_name(who),
    )
    return CallbackPress(clicked, callback)


def _message(
    message: Json, us: BotAccount, listed: Callable[[str], bool], cuts: SplitMessages, *, edited: bool
) -> TelegramInput | None:
    chat, author = required_object(message, "chat"), optional_object(message, "from")
    answered = _answered(message)
    ours = answered is not None and _id_of(optional_object(answered, "from")) == us.id
    spoken = _words(message, us)
    if author is None or spoken is None or _too_late(message, edited=edited):
        return None
    text, addressed = spoken
    rest_of, joint = ("", "") if edited or addressed or answered else cuts.rest_of(message)
    if not (addressed or ours or rest_of or text_at(chat, "type") == "private"):
        return None
    if not _listens(chat, listed):
        return None if bool_at(author, "is_bot") else UnlistedChat(str(required_int(chat, "id")))
    hint = hints.hint_for(message, author, text, SHARED_ACCOUNTS)
    if hint is not None:
        return _hinted(message, author, hint) if hint.text and not edited else None
    if not text and not addressed:
        return None
    place = _place(chat, _thread(message))
    asked = None
    if answered and ours:
        links = [text_at(entity, "url") for entity in objects_at(answered, "entities")]
        asked = read_reference(us.token, required_int(chat, "id"), text_at(answered, "text"), links)
    if asked is not None and not text.startswith("/"):
        return _form(message, author, place, text, asked, edited=edited)
    heard = replace(_heard(message, author, place, joint + text, edited=edited), rest_of=rest_of)
    quoted = None if ours else _quoted(message, answered)
    return replace(heard, reply_to=str(required_int(answered, "message_id")) if answered else None, quoted=quoted)


def _heard(message: Json, author: Json, place: Place, text: str, *, edited: bool) -> IncomingMessage:
    return IncomingMessage(
        identity=str(required_int(author, "id")),
        place=place,
        text=text,
        message_id=str(required_int(message, "message_id")),
        dedup=_dedup(message, edited=edited),
        addressed=True,
        name=full_name(author),
        edits=_first(message) if edited else "",
        may_go_on=not edited and utf16_length(text_at(message, "text")) >= MAYBE_SPLIT_UNITS,
    )


def _form(message: Json, author: Json, place: Place, text: str, asked: PromptedAction, *, edited: bool) -> ButtonPress:
    """The words that a button wanted, as that button pressed once more."""
    return ButtonPress(
        identity=str(required_int(author, "id")),
        place=place,
        button=asked.button,
        message_id=asked.card,
        dedup=_dedup(message, edited=edited),
        text=text,
        name=full_name(author),
        edits=_first(message) if edited else "",
    )


def _hinted(message: Json, author: Json, hint: hints.Hint) -> IncomingMessage:
    """A message in which nothing can be read, with what its writer is told instead."""
    heard = _heard(message, author, _place(required_object(message, "chat"), _thread(message)), "", edited=False)
    return replace(heard, identity="" if hint.nobody else heard.identity, hint=hint.text, may_go_on=False)


def _quoted(message: Json, answered: Json | None) -> QuotedMessage | None:
    """The words of the message that this one answers, and whose they are; the part that was marked, if one was."""
    marked, elsewhere = optional_object(message, "quote"), optional_object(message, "external_reply")
    text = text_at(marked, "text") if marked else ""
    if answered is not None:
        text = text or text_at(answered, "text") or text_at(answered, "caption")
    if not text.strip() or (answered is None and elsewhere is None):
        return None
    origin = (
        optional_object(answered, "forward_origin")
        if answered is not None
        else optional_object(elsewhere or {}, "origin")
    )
    writer, chat = _writer(origin) if origin is not None else _writer(answered or {})
    name = one_line(
        full_name(writer) if writer else text_at(chat or origin or {}, "title" if chat else "sender_user_name"), 60
    )
    known = writer is not None and chat is None and required_int(writer, "id") not in SHARED_ACCOUNTS
    return QuotedMessage(text, str(required_int(writer, "id")) if writer and known else "", name)


def _writer(of: Json) -> tuple[Json | None, Json | None]:
    """The person or the chat in whose name a message or its origin was written."""
    chat = optional_object(of, "sender_chat") or (optional_object(of, "chat") if "type" in of else None)
    return (
        (None, chat) if chat is not None else (optional_object(of, "from") or optional_object(of, "sender_user"), None)
    )


def _too_late(message: Json, *, edited: bool) -> bool:
    changed = optional_int(message, "edit_date")
    return edited and changed is not None and changed - required_int(message, "date") > MAX_EDIT_S


def _first(message: Json) -> str:
    """The name of a message as it was first written."""
    return f"m:{required_int(required_object(message, 'chat'), 'id')}:{required_int(message, 'message_id')}"


def _dedup(message: Json, *, edited: bool) -> str:
    """An edit is another request (security.md 47), and each edit its own, unless the words are the same."""
    changed = optional_int(message, "edit_date")
    if edited and changed is not None:
        return f"e{_first(message)[1:]}:{changed}"
    return _first(message)


def _answered(message: Json) -> Json | None:
    """The message this one answers; in a topic every message formally answers the one that opened it."""
    found = optional_object(message, "reply_to_message")
    return None if found is None or optional_object(found, "forum_topic_created") is not None else found


def _id_of(user: Json | None) -> int | None:
    return None if user is None else optional_int(user, "id")


def _thread(message: Json) -> str | None:
    """The forum topic; other message threads are chains of replies and cannot be written into."""
    thread = optional_int(message, "message_thread_id")
    return str(thread) if thread and bool_at(message, "is_topic_message") else None


def _place(chat: Json, thread: str | None) -> Place:
    return Place(SURFACE, str(required_int(chat, "id")), thread, text_at(chat, "type") == "private")


def _listens(chat: Json, listed: Callable[[str], bool]) -> bool:
    return text_at(chat, "type") == "private" or listed(str(required_int(chat, "id")))


def _words(message: Json, us: BotAccount) -> tuple[str, bool] | None:
    """The text without our name, and whether it called us by it; None for a command that is another bot's."""
    text = text_at(message, "text") or text_at(message, "caption")
    addressed, ends, parts = False, utf16_length(text), list[str]()
    for entity, start, named in _names(message, text):
        if text_at(entity, "type") == "bot_command":
            if start:
                continue
            command, at, name = named.partition("@")
            if at and name.casefold() != us.username.casefold():
                return None
            addressed = addressed or bool(at) or command[1:].lower() in NAMES
            text = command + _slice(text, start + utf16_length(named), utf16_length(text))
            ends += utf16_length(command) - utf16_length(named)
        elif named.casefold() == f"@{us.username}".casefold() or _id_of(optional_object(entity, "user")) == us.id:
            addressed = True
            parts.insert(0, _slice(text, start + utf16_length(named), ends))
            ends = start
    return (remove_mentions([_slice(text, 0, ends), *parts]) if parts else text.strip()), addressed


def _names(message: Json, text: str) -> Iterator[tuple[Json, int, str]]:
    """The commands and mentions in a text with their places in UTF-16 units, the last first."""
    found = []
    for entity in objects_at(message, "entities" if text_at(message, "text") else "caption_entities"):
        if text_at(entity, "type") in ("bot_command", "mention", "text_mention"):
            start, length = required_int(entity, "offset"), required_int(entity, "length")
            if start >= 0 and length > 0 and start + length <= utf16_length(text):
                found.append((entity, start, _slice(text, start, start + length)))
    yield from sorted(found, key=lambda one: -one[1])


def _slice(text: str, start: int, end: int) -> str:
    """The part of `text` between two places in UTF-16 units."""
    return utf16_bytes(text)[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")
