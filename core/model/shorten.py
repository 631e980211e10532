"""Shortens text that does not fit: whole words with an ellipsis, or a clipped quotation."""

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


def clipped(text: str, limit: int = 60) -> str:
    """`text` on one line in at most `limit` characters, with control characters escaped."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + ELLIPSIS


def quoted(text: str) -> str:
    """`text` in quotes, clipped; the grammar of requests reads it back if it is short and has one line."""
    use_single = ('"' in text or "\\" in text) and "'" not in text and "\n" not in text
    return f"'{clipped(text)}'" if use_single else '"' + clipped(text).replace('"', '\\"') + '"'
