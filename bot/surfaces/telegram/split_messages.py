"""Texts that a client split: Telegram takes 4096 UTF-16 units per message, and clients send the rest as another one.

The rest follows at once from the same person in the same place, with the next message id or nearly, and is not a reply
(core.telegram.org/bots/api#sendmessage; clients split at 4096 units, or at the end of a line or word before that).
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
)
from bot.surfaces.utf16 import utf16_length

MAX_UNITS: Final = 4096
MAYBE_SPLIT_UNITS: Final = 2048
"""UTF-16 units from which on a text may have been split."""
_WITHIN_S: Final = 2
_MAX_ID_GAP: Final = 8
"""Maximum distance of the message ids; other messages may come between the two."""
_MAX_REMEMBERED: Final = 256

_Where = tuple[int, int | None, int]


@dataclass(frozen=True, slots=True)
class _Cut:
    number: int
    date: int
    first: str
    joint: str


@dataclass(slots=True)
class SplitMessages:
    """Remembers the most recent long messages."""

    _recent: OrderedDict[_Where, _Cut] = field(default_factory=OrderedDict)

    def remember(self, message: Json, parsed: IncomingMessage) -> None:
        """Remember a long message; its rest belongs to the first of its parts."""
        where = _where(message)
        if where is not None:
            first = parsed.rest_of or parsed.dedup
            message_id, date = required_int(message, "message_id"), required_int(message, "date")
            joint = (
                "" if utf16_length(text_at(message, "text")) == MAX_UNITS else "\n"
            )  # split within a word, or at the end of a line
            self._recent[where] = _Cut(message_id, date, first, joint)
            self._recent.move_to_end(where)
            if len(self._recent) > _MAX_REMEMBERED:
                self._recent.popitem(last=False)

    def continuation_of(self, message: Json) -> tuple[str, str]:
        """The `dedup` of the message that this one continues, and the text between them; both empty if none."""
        where = _where(message)
        cut = self._recent.get(where) if where is not None else None
        if cut is None or not message.get("text"):
            return "", ""
        near = 0 < required_int(message, "message_id") - cut.number <= _MAX_ID_GAP
        soon = 0 <= required_int(message, "date") - cut.date <= _WITHIN_S
        return (cut.first, cut.joint) if near and soon else ("", "")


def _where(message: Json) -> _Where | None:
    author = optional_object(message, "from")
    if author is None:
        return None
    chat = required_int(required_object(message, "chat"), "id")
    return chat, optional_int(message, "message_thread_id"), required_int(author, "id")
