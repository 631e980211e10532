"""Texts that a client cut in two: Telegram takes 4096 UTF-16 units a message, and clients send the rest as another.

The rest comes within a moment from the same person in the same place, with the next number or nearly, and answers
nothing (core.telegram.org/bots/api#sendmessage; clients cut at 4096, or at the end of a line or a word before that).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from bot.surfaces.port import IncomingMessage
from bot.surfaces.telegram.update_parts import (
    Json,
    optional_int,
    optional_object,
    required_int,
    required_object,
    text_at,
    utf16_length,
)

MAX_UNITS: Final = 4096
MAYBE_SPLIT_UNITS: Final = 2048
"""UTF-16 units from which on a text may have been cut."""
_WITHIN_S: Final = 2
_NUMBERS: Final = 8
"""How much higher the number of the rest may be; other messages may come between the two."""
_REMEMBERED: Final = 256

_Where = tuple[int, int | None, int]


@dataclass(frozen=True, slots=True)
class _Cut:
    number: int
    date: int
    first: str
    joint: str


@dataclass(slots=True)
class SplitMessages:
    """The long messages of the last moments."""

    _recent: OrderedDict[_Where, _Cut] = field(default_factory=OrderedDict)

    def note(self, message: Json, heard: IncomingMessage) -> None:
        """Remember a long message; its rest belongs to the first of its parts."""
        where = _where(message)
        if where is not None:
            first = heard.rest_of or heard.dedup
            number_, date = required_int(message, "message_id"), required_int(message, "date")
            joint = (
                "" if utf16_length(text_at(message, "text")) == MAX_UNITS else "\n"
            )  # cut in a word, or where a line ended
            self._recent[where] = _Cut(number_, date, first, joint)
            self._recent.move_to_end(where)
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)

    def rest_of(self, message: Json) -> tuple[str, str]:
        """The `dedup` of the message whose rest this one is, and what joins them; both empty for any other message."""
        where = _where(message)
        cut = self._recent.get(where) if where is not None else None
        if cut is None or not message.get("text"):
            return "", ""
        near = 0 < required_int(message, "message_id") - cut.number <= _NUMBERS
        soon = 0 <= required_int(message, "date") - cut.date <= _WITHIN_S
        return (cut.first, cut.joint) if near and soon else ("", "")


def _where(message: Json) -> _Where | None:
    author = optional_object(message, "from")
    if author is None:
        return None
    chat = required_int(required_object(message, "chat"), "id")
    return chat, optional_int(message, "message_thread_id"), required_int(author, "id")
