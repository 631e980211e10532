"""Parses updates: what an update says to the bot, if anything. Pure; permissions are checked elsewhere.

Only the parts of an update that matter here are read (`update_parts`), so that no other part can make it unreadable.

Only people count, by their numeric id. Not a person's message: one of an anonymous admin (1087968824 with
`sender_chat`), a channel post (136817688), an automatic forward (777000), a bot's or inline bot's message (`via_bot`)
and a forwarded text, so none of these is a command (security.md 2-4; core.telegram.org/bots/api#message, `from` and
`sender_chat`). A person who writes to the bot in such a way, or by voice, gets an answer that explains how to write.
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
)
from bot.surfaces.utf16 import utf16_bytes, utf16_length

SURFACE: Final = "telegram"
ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query")
"""The kinds of updates that the bot subscribes to."""
SERVICE_ACCOUNT: Final = 777000
SHARED_ACCOUNTS: Final = frozenset({SERVICE_ACCOUNT, 136817688, 1087968824})
MAX_EDIT_S: Final = 3 * 24 * 3600
"""People can edit a message for 48 hours (telegram.org/faq#q-can-i-edit-my-messages); later edits are ignored."""


@dataclass(frozen=True, slots=True)
class BotAccount:
    """The bot's own account on Telegram."""

    id: int
    username: str
    token: str


@dataclass(frozen=True, slots=True)
class ChatMoved:
    """A group has a new id from now on."""

    channel: str
    new_channel: str


@dataclass(frozen=True, slots=True)
class UnlistedChat:
    """A message or press in a chat that is not configured; `callback_id` is the press to reject."""

    channel: str
    callback_id: str | None = None


@dataclass(frozen=True, slots=True)
class CallbackPress:
    """A button press and the id of the callback query to answer."""

    press: ButtonPress
    callback_id: str


@dataclass(frozen=True, slots=True)
class RejectedPress:
    """A press on a message that the bot did not send (security.md 5)."""

    callback_id: str


TelegramInput = IncomingMessage | ButtonPress | CallbackPress | ChatMoved | UnlistedChat | RejectedPress


def parse_update(
    update: Json, account: BotAccount, is_listed: Callable[[str], bool], cuts: SplitMessages
) -> TelegramInput | None:
    """What an update says, or None if it is not for the bot; `is_listed` tells which groups are configured.

    `cuts` remembers texts that a client may have split, from one update to the next. Raises `UnreadableUpdateError` for
    an update that differs from Telegram's documentation.
    """
    query = optional_object(update, "callback_query")
    if query is not None:
        return _parse_press(query, account, is_listed)
    edited = optional_object(update, "edited_message")
    message = optional_object(update, "message") or edited
    if message is None:
        return None
    moved_to = optional_int(message, "migrate_to_chat_id")
    if moved_to is not None:
        return ChatMoved(str(required_int(required_object(message, "chat"), "id")), str(moved_to))
    parsed = _parse_message(message, account, is_listed, cuts, edited=message is edited)
    if isinstance(parsed, IncomingMessage) and parsed.may_go_on:
        cuts.remember(message, parsed)
    return parsed


def _parse_press(query: Json, account: BotAccount, is_listed: Callable[[str], bool]) -> TelegramInput:
    """The press counts for the person who pressed the button, not for the author of the message (security.md 3)."""
    callback_id, button_id = text_at(query, "id"), text_at(query, "data")
    if not callback_id.isascii() or not callback_id.isprintable():
        raise UnreadableUpdateError("id")
    sender, message = required_object(query, "from"), optional_object(query, "message")
    if message is None or not button_id or bool_at(sender, "is_bot"):
        return RejectedPress(callback_id)
    chat = required_object(message, "chat")
    if not _is_served(chat, is_listed):
        return UnlistedChat(str(required_int(chat, "id")), callback_id)
    thread = None
    if required_int(message, "date"):  # 0 for a message that is no longer accessible (InaccessibleMessage)
        thread = _thread(message)
        if _id_of(optional_object(message, "from")) != account.id:
            return RejectedPress(callback_id)
    press = ButtonPress(
        identity=str(required_int(sender, "id")),
        place=_place(chat, thread),
        button=button_id,
        message_id=str(required_int(message, "message_id")),
        dedup=f"c:{callback_id}",
        name=full_name(sender),
    )
    return CallbackPress(press, callback_id)


def _parse_message(
    message: Json, account: BotAccount, is_listed: Callable[[str], bool], cuts: SplitMessages, *, edited: bool
) -> TelegramInput | None:
    chat, author = required_object(message, "chat"), optional_object(message, "from")
    replied_to = _replied_to(message)
    is_to_bot = replied_to is not None and _id_of(optional_object(replied_to, "from")) == account.id
    own_text = _own_text(message, account)
    if author is None or own_text is None or _is_late_edit(message, edited=edited):
        return None
    text, addressed = own_text
    rest_of, joint = ("", "") if edited or addressed or replied_to else cuts.continuation_of(message)
    if not (addressed or is_to_bot or rest_of or text_at(chat, "type") == "private"):
        return None
    if not _is_served(chat, is_listed):
        return None if bool_at(author, "is_bot") else UnlistedChat(str(required_int(chat, "id")))
    hint = hints.hint_for(message, author, text, SHARED_ACCOUNTS)
    if hint is not None:
        return _with_hint(message, author, hint) if hint.text and not edited else None
    if not text and not addressed:
        return None
    place = _place(chat, _thread(message))
    prompt = None
    if replied_to and is_to_bot:
        links = [text_at(entity, "url") for entity in objects_at(replied_to, "entities")]
        prompt = read_reference(account.token, required_int(chat, "id"), text_at(replied_to, "text"), links)
    if prompt is not None and not text.startswith("/"):
        return _form_press(message, author, place, text, prompt, edited=edited)
    parsed = replace(_incoming(message, author, place, joint + text, edited=edited), rest_of=rest_of)
    quoted = None if is_to_bot else _quoted(message, replied_to)
    return replace(parsed, reply_to=str(required_int(replied_to, "message_id")) if replied_to else None, quoted=quoted)


def _incoming(message: Json, author: Json, place: Place, text: str, *, edited: bool) -> IncomingMessage:
    return IncomingMessage(
        identity=str(required_int(author, "id")),
        place=place,
        text=text,
        message_id=str(required_int(message, "message_id")),
        dedup=_dedup_key(message, edited=edited),
        addressed=True,
        name=full_name(author),
        edits=_message_key(message) if edited else "",
        may_go_on=not edited and utf16_length(text_at(message, "text")) >= MAYBE_SPLIT_UNITS,
    )


def _form_press(
    message: Json, author: Json, place: Place, text: str, prompt: PromptedAction, *, edited: bool
) -> ButtonPress:
    """The text that a button asked for, as another press of that button."""
    return ButtonPress(
        identity=str(required_int(author, "id")),
        place=place,
        button=prompt.button,
        message_id=prompt.message_id,
        dedup=_dedup_key(message, edited=edited),
        text=text,
        name=full_name(author),
        edits=_message_key(message) if edited else "",
    )


def _with_hint(message: Json, author: Json, hint: hints.Hint) -> IncomingMessage:
    """A message without readable text, with the hint for its sender."""
    parsed = _incoming(message, author, _place(required_object(message, "chat"), _thread(message)), "", edited=False)
    return replace(parsed, identity="" if hint.is_anonymous else parsed.identity, hint=hint.text, may_go_on=False)


def _quoted(message: Json, replied_to: Json | None) -> QuotedMessage | None:
    """The text of the message that this one replies to and its author; only the quoted part if one was selected."""
    selection, external = optional_object(message, "quote"), optional_object(message, "external_reply")
    text = text_at(selection, "text") if selection else ""
    if replied_to is not None:
        text = text or text_at(replied_to, "text") or text_at(replied_to, "caption")
    if not text.strip() or (replied_to is None and external is None):
        return None
    origin = (
        optional_object(replied_to, "forward_origin")
        if replied_to is not None
        else optional_object(external or {}, "origin")
    )
    author, chat = _author_of(origin) if origin is not None else _author_of(replied_to or {})
    name = one_line(
        full_name(author) if author else text_at(chat or origin or {}, "title" if chat else "sender_user_name"), 60
    )
    is_person = author is not None and chat is None and required_int(author, "id") not in SHARED_ACCOUNTS
    return QuotedMessage(text, str(required_int(author, "id")) if author and is_person else "", name)


def _author_of(of: Json) -> tuple[Json | None, Json | None]:
    """The person or the chat that a message or its origin names as author."""
    chat = optional_object(of, "sender_chat") or (optional_object(of, "chat") if "type" in of else None)
    return (
        (None, chat) if chat is not None else (optional_object(of, "from") or optional_object(of, "sender_user"), None)
    )


def _is_late_edit(message: Json, *, edited: bool) -> bool:
    edited_at = optional_int(message, "edit_date")
    return edited and edited_at is not None and edited_at - required_int(message, "date") > MAX_EDIT_S


def _message_key(message: Json) -> str:
    """The key of a message as it was first written."""
    return f"m:{required_int(required_object(message, 'chat'), 'id')}:{required_int(message, 'message_id')}"


def _dedup_key(message: Json, *, edited: bool) -> str:
    """An edit is a new request (security.md 47), and each edit has its own key."""
    edited_at = optional_int(message, "edit_date")
    if edited and edited_at is not None:
        return f"e{_message_key(message)[1:]}:{edited_at}"
    return _message_key(message)


def _replied_to(message: Json) -> Json | None:
    """The message that this one replies to; in a topic, every message formally replies to the topic's first."""
    reply = optional_object(message, "reply_to_message")
    return None if reply is None or optional_object(reply, "forum_topic_created") is not None else reply


def _id_of(user: Json | None) -> int | None:
    return None if user is None else optional_int(user, "id")


def _thread(message: Json) -> str | None:
    """The forum topic; other message threads are reply chains that cannot be posted into."""
    thread = optional_int(message, "message_thread_id")
    return str(thread) if thread and bool_at(message, "is_topic_message") else None


def _place(chat: Json, thread: str | None) -> Place:
    return Place(SURFACE, str(required_int(chat, "id")), thread, text_at(chat, "type") == "private")


def _is_served(chat: Json, is_listed: Callable[[str], bool]) -> bool:
    return text_at(chat, "type") == "private" or is_listed(str(required_int(chat, "id")))


def _own_text(message: Json, account: BotAccount) -> tuple[str, bool] | None:
    """The text without mentions of the bot, and whether it mentioned it; None for another bot's command."""
    text = text_at(message, "text") or text_at(message, "caption")
    addressed, ends, parts = False, utf16_length(text), list[str]()
    for entity, start, mention in _mentions(message, text):
        if text_at(entity, "type") == "bot_command":
            if start:
                continue
            command, at, name = mention.partition("@")
            if at and name.casefold() != account.username.casefold():
                return None
            addressed = addressed or bool(at) or command[1:].lower() in NAMES
            text = command + _slice(text, start + utf16_length(mention), utf16_length(text))
            ends += utf16_length(command) - utf16_length(mention)
        elif (
            mention.casefold() == f"@{account.username}".casefold()
            or _id_of(optional_object(entity, "user")) == account.id
        ):
            addressed = True
            parts.insert(0, _slice(text, start + utf16_length(mention), ends))
            ends = start
    return (remove_mentions([_slice(text, 0, ends), *parts]) if parts else text.strip()), addressed


def _mentions(message: Json, text: str) -> Iterator[tuple[Json, int, str]]:
    """The commands and mentions in a text with their offsets in UTF-16 units, last first."""
    mentions = []
    for entity in objects_at(message, "entities" if text_at(message, "text") else "caption_entities"):
        if text_at(entity, "type") in ("bot_command", "mention", "text_mention"):
            start, length = required_int(entity, "offset"), required_int(entity, "length")
            if start >= 0 and length > 0 and start + length <= utf16_length(text):
                mentions.append((entity, start, _slice(text, start, start + length)))
    yield from sorted(mentions, key=lambda mention: -mention[1])


def _slice(text: str, start: int, end: int) -> str:
    """The part of `text` between two offsets in UTF-16 units."""
    return utf16_bytes(text)[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")
