"""Forming: cards, words and files as the requests that carry them; pure."""

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
    utf16_length,
)

T = TypeVar("T")

NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)
_ROOM: Final = MAX_TEXT + 1  # the last line of a message needs no end

SendRequest = Callable[[Bot, int, int | None, bool], Awaitable[T]]
"""A request: (bot, chat, topic, whether it must do without entities)."""


def to_entities(spans: Sequence[TextSpan]) -> list[MessageEntity]:
    """Spans as Telegram's entities."""
    return [MessageEntity(span.kind, span.offset, span.length, language=span.language or None) for span in spans]


def document_request(file: Attachment, caption: str, reply_to: str | None) -> SendRequest[object]:
    """A file with its caption, ready to send."""
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
    """Lines as one message with what they carry, ready to send.

    Telegram notifies of a mention by its entity, a user's id behind a name
    (https://core.telegram.org/bots/api#messageentity, ``text_mention``).
    """
    text, spans = render_lines(lines)
    called = [_mention(text, name, identity) for name, identity in extras.mentions]
    mentions = [mention for mention in called if mention is not None]

    def send(bot: Bot, chat: int, topic: int | None, bare: bool) -> Awaitable[object]:
        return bot.send_message(
            chat,
            plain_text(lines) if bare else text,
            entities=None if bare else [*to_entities(spans), *mentions],
            message_thread_id=topic,
            reply_parameters=reply_parameters(reply_to),
            reply_markup=_choices_of(extras),
            link_preview_options=NO_PREVIEW,
        )

    return send


def _mention(text: str, name: str, identity: str) -> MessageEntity | None:
    """The mention of a person whose name stands in the text as a word; None where it does not."""
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    if found is None or not (identity.isascii() and identity.isdecimal()):
        return None
    begin, user = utf16_length(text[: found.start()]), User(int(identity), name, is_bot=False)
    return MessageEntity(MessageEntity.TEXT_MENTION, begin, utf16_length(name), user=user)


def _choices_of(extras: Extras) -> InlineKeyboardMarkup | None:
    """The buttons below a question, a row each."""
    rows = [[InlineKeyboardButton(label, callback_data=id_)] for label, id_ in extras.choices]
    return InlineKeyboardMarkup(rows) if rows else None


def text_lines(text: str) -> list[Line]:
    """Words for `say`, a piece a line; what Telegram would act on stands as code when they are spelled."""
    rows = (visible(row.expandtabs(4)) for row in text.split("\n"))
    return [[TextPiece(row)] if row else [] for row in rows]


def split_lines(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines in messages that fit; a line longer than a message is cut where it must be."""
    parts: list[list[Line]] = []
    room = 0
    for line in lines:
        for n, fitting in enumerate(_fitting(line)):
            need = measure([fitting])
            if need > room or n:
                parts.append([])
                room = _ROOM
            parts[-1].append(fitting)
            room -= need
    return [part for part in parts if any(p.text.strip() for line in part for p in line)]


def _fitting(line: Line) -> list[Line]:
    """A line in pieces of a message's size; one that is too long loses its looks."""
    if measure([line]) <= _ROOM:
        return [line]
    text = "".join(piece.text for piece in line)
    found: list[Line] = []
    while text:
        count = MAX_TEXT
        while (over := measure([[TextPiece(text[:count])]]) - _ROOM) > 0:
            count -= max(1, over // 2)
        found.append([TextPiece(text[:count])])
        text = text[count:]
    return found


def inline_keyboard(card: TelegramCard) -> InlineKeyboardMarkup | None:
    """A card's buttons as Telegram takes them."""
    if not card.rows:
        return None
    rows = [[InlineKeyboardButton(button.label, callback_data=button.data) for button in row] for row in card.rows]
    return InlineKeyboardMarkup(rows)


def reply_parameters(message_id: str | None) -> ReplyParameters | None:
    """What a message answers, if that is there; it is sent all the same if not."""
    if message_id is None or not message_id.isdecimal():
        return None
    return ReplyParameters(int(message_id), allow_sending_without_reply=True)


def topic_id(place: Place) -> int | None:
    """The forum topic of a place."""
    return int(place.thread) if place.thread and place.thread.isdecimal() else None


def sent_message_id(message: object) -> str:
    """The id of a message that was sent."""
    assert isinstance(message, Message)
    return str(message.message_id)


def _file_name(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)[-100:]
    return kept or "file"
