"""Builds Bot API requests from cards, texts and files; pure."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    MessageEntity,
    ReplyParameters,
    User,
)

from bot.cards.safe import visible
from bot.surfaces.port import NO_EXTRAS, Attachment, Extras, Place
from bot.surfaces.telegram.card import TelegramCard
from bot.surfaces.telegram.entities import (
    MAX_TEXT,
    Line,
    TextPiece,
    TextSpan,
    measure,
    plain_text,
    render_lines,
)
from bot.surfaces.utf16 import utf16_length

T = TypeVar("T")

NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)
_MESSAGE_SIZE: Final = MAX_TEXT + 1  # the last line of a message has no line break

SendRequest = Callable[[Bot, int, int | None, bool], Awaitable[T]]
"""A request as a function of (bot, chat, topic, whether it must go without entities)."""


def to_entities(spans: Sequence[TextSpan]) -> list[MessageEntity]:
    """Spans as Telegram's entities."""
    return [MessageEntity(span.kind, span.offset, span.length, language=span.language or None) for span in spans]


def document_request(file: Attachment, caption: str, reply_to: str | None) -> SendRequest[object]:
    """The request that sends a file with its caption."""
    text, spans = render_lines(text_lines(caption)) if caption else ("", ())

    def send(bot: Bot, chat: int, topic: int | None, bare: bool) -> Awaitable[object]:
        return bot.send_document(
            chat,
            file.content,
            filename=_file_name(file.name),
            caption=(plain_text(text_lines(caption)) if bare else text) or None,
            caption_entities=None if bare or not spans else to_entities(spans),
            message_thread_id=topic,
            reply_parameters=reply_parameters(reply_to),
        )

    return send


def message_request(lines: Sequence[Line], reply_to: str | None, extras: Extras = NO_EXTRAS) -> SendRequest[object]:
    """The request that sends lines as one message, with buttons and mentions.

    Telegram notifies a mentioned person by an entity that puts a user's id behind a name
    (https://core.telegram.org/bots/api#messageentity, ``text_mention``).
    """
    text, spans = render_lines(lines)
    candidates = [_mention(text, name, identity) for name, identity in extras.mentions]
    mentions = [mention for mention in candidates if mention is not None]

    def send(bot: Bot, chat: int, topic: int | None, bare: bool) -> Awaitable[object]:
        return bot.send_message(
            chat,
            plain_text(lines) if bare else text,
            entities=None if bare else [*to_entities(spans), *mentions],
            message_thread_id=topic,
            reply_parameters=reply_parameters(reply_to),
            reply_markup=_choice_buttons(extras),
            link_preview_options=NO_PREVIEW,
        )

    return send


def _mention(text: str, name: str, identity: str) -> MessageEntity | None:
    """The mention of a person whose name occurs in the text as a word; None if it does not."""
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    if match is None or not (identity.isascii() and identity.isdecimal()):
        return None
    offset, user = utf16_length(text[: match.start()]), User(int(identity), name, is_bot=False)
    return MessageEntity(MessageEntity.TEXT_MENTION, offset, utf16_length(name), user=user)


def _choice_buttons(extras: Extras) -> InlineKeyboardMarkup | None:
    """The buttons below a text, one per row."""
    rows = [[InlineKeyboardButton(label, callback_data=id_)] for label, id_ in extras.choices]
    return InlineKeyboardMarkup(rows) if rows else None


def text_lines(text: str) -> list[Line]:
    """Plain text as lines; words that Telegram would link become code when the lines are rendered."""
    rows = (visible(row.expandtabs(4)) for row in text.split("\n"))
    return [[TextPiece(row)] if row else [] for row in rows]


def split_lines(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines split into messages that fit; a line longer than a message is cut."""
    parts: list[list[Line]] = []
    remaining = 0
    for line in lines:
        for n, fitting in enumerate(_split_line(line)):
            length = measure([fitting])
            if length > remaining or n:
                parts.append([])
                remaining = _MESSAGE_SIZE
            parts[-1].append(fitting)
            remaining -= length
    return [part for part in parts if any(piece.text.strip() for line in part for piece in line)]


def _split_line(line: Line) -> list[Line]:
    """A line in pieces that fit into a message; one that is too long loses its styles."""
    if measure([line]) <= _MESSAGE_SIZE:
        return [line]
    text = "".join(piece.text for piece in line)
    pieces: list[Line] = []
    while text:
        count = MAX_TEXT
        while (excess := measure([[TextPiece(text[:count])]]) - _MESSAGE_SIZE) > 0:
            count -= max(1, excess // 2)
        pieces.append([TextPiece(text[:count])])
        text = text[count:]
    return pieces


def inline_keyboard(card: TelegramCard) -> InlineKeyboardMarkup | None:
    """A card's buttons as an inline keyboard."""
    if not card.button_rows:
        return None
    rows = [
        [InlineKeyboardButton(button.label, callback_data=button.data) for button in row] for row in card.button_rows
    ]
    return InlineKeyboardMarkup(rows)


def reply_parameters(message_id: str | None) -> ReplyParameters | None:
    """The message to reply to; if it is gone, the reply is sent without it."""
    if message_id is None or not message_id.isdecimal():
        return None
    return ReplyParameters(int(message_id), allow_sending_without_reply=True)


def topic_id(place: Place) -> int | None:
    """The forum topic of a place."""
    return int(place.thread) if place.thread and place.thread.isdecimal() else None


def sent_message_id(message: object) -> str:
    """The id of a sent message."""
    assert isinstance(message, Message)
    return str(message.message_id)


def _file_name(name: str) -> str:
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)[-100:]
    return safe or "file"
