"""Results as quoted texts: bounded, and without characters that a reader would not see."""

from __future__ import annotations

from typing import Any, Final

from bot.cards.safe import visible_lines

MAX_CHARS: Final = 10_000
"""The most of one text of a task; diffs have their own bound."""


def quoted(value: Any) -> Any:
    """A JSON value whose texts are made visible (`bot.cards.safe`) and cut after `MAX_CHARS`.

    Requests, files and models may write for the model that reads the result (security.md 143): what it gets is what
    a person would see.
    """
    if isinstance(value, str):
        return _bounded(value)
    if isinstance(value, dict):
        return {_bounded(str(key)): quoted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [quoted(item) for item in value]
    return value


def _bounded(text: str) -> str:
    shown = visible_lines(text)
    if len(shown) <= MAX_CHARS:
        return shown
    return f"{shown[:MAX_CHARS]}… ({len(shown) - MAX_CHARS} more characters)"
