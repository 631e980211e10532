"""Shortening: text that does not fit ends with a whole word and an ellipsis."""

from __future__ import annotations

from typing import Final

ELLIPSIS: Final = "…"
_LEAST: Final = 0.6
"""The part of the room that must be filled: a longer last word is cut within, for it is a path or a hash."""


def shortened(text: str, limit: int) -> str:
    """`text`, or its beginning in at most `limit` characters, ellipsis included, that ends between two words."""
    if len(text) <= limit:
        return text
    return f"{whole_words(text, limit - 1)}{ELLIPSIS}"


def whole_words(text: str, room: int) -> str:
    """The beginning of `text` in at most `room` characters that ends between two words where it can."""
    head = text[: max(0, room)]
    if len(head) == len(text) or text[len(head)].isspace():
        return head.rstrip()
    words = head.rstrip().rpartition(" ")[0].rstrip(" ,;:-(")
    return words if len(words) >= _LEAST * room else head.rstrip()
