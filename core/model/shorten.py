"""Shortens text that does not fit, at a word boundary and with an ellipsis."""

from __future__ import annotations

from typing import Final

ELLIPSIS: Final = "…"
_MIN_FILL: Final = 0.6
"""The part of the room that must be filled; a longer last word, such as a path or a hash, is cut instead."""


def shortened(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, cut between words with an ellipsis if it is longer."""
    if len(text) <= limit:
        return text
    return f"{whole_words(text, limit - 1)}{ELLIPSIS}"


def whole_words(text: str, room: int) -> str:
    """The beginning of `text` in at most `room` characters, cut between words where possible."""
    head = text[: max(0, room)]
    if len(head) == len(text) or text[len(head)].isspace():
        return head.rstrip()
    words = head.rstrip().rpartition(" ")[0].rstrip(" ,;:-(")
    return words if len(words) >= _MIN_FILL * room else head.rstrip()
