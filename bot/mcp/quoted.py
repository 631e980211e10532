"""Results as quoted texts: bounded, and without characters that a reader would not see."""

from __future__ import annotations

from typing import Any, Final

from bot.cards.safe import visible

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


def shown(text: str) -> str:
    """`text` with line breaks and tabs as they are, and every other character that is not seen as its code point."""
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))


def _bounded(text: str) -> str:
    whole = shown(text)
    if len(whole) <= MAX_CHARS:
        return whole
    return f"{whole[:MAX_CHARS]}… ({len(whole) - MAX_CHARS} more characters)"
