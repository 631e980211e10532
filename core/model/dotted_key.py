"""Dotted keys such as ``a.b[0]."c.d"``, which name one value in a structured file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.model.shorten import quoted

MAX_KEY_PARTS: Final = 16


class KeyTextError(ValueError):
    """The key cannot be split into parts; the message says why."""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One step of a dotted key; a `literal` part was quoted and is never split or read as an index."""

    text: str
    literal: bool = False


def split_key(text: str) -> tuple[KeyPart, ...]:
    """The parts of `a.b[0]."c.d"`: quotes make a part literal, brackets hold an index or a quoted part.

    Raises `KeyTextError`.
    """
    parts: list[KeyPart] = []
    at, expects_part = 0, True
    while at < len(text):
        char = text[at]
        if char == "." and not expects_part:
            at, expects_part = at + 1, True
            continue
        if char == "[" and (not expects_part or not parts):
            part, at = _bracketed(text, at)
        elif expects_part and char in "'\"":
            end = _quote_end(text, at)
            part, at = KeyPart(text[at + 1 : end - 1], literal=True), end
        elif expects_part and char not in ".[]":
            end = min((i for i in (text.find(".", at), text.find("[", at)) if i > 0), default=len(text))
            part, at = KeyPart(text[at:end].strip()), end
        else:
            raise KeyTextError(f"The key {quoted(text)} has an empty part or a stray character.")
        if not part.text or not part.text.isprintable() or ("]" in part.text and not part.literal):
            raise KeyTextError(f"The key {quoted(text)} has an empty part or a stray character.")
        parts.append(part)
        expects_part = False
    if expects_part:
        raise KeyTextError(f"The key {quoted(text)} is empty or ends with a dot.")
    if len(parts) > MAX_KEY_PARTS:
        raise KeyTextError(f"The key {quoted(text)} has more than {MAX_KEY_PARTS} parts.")
    return tuple(parts)


def _bracketed(text: str, at: int) -> tuple[KeyPart, int]:
    """The part in the brackets that open at `at`, and the position after them."""
    is_quoted = text[at + 1 : at + 2] in ("'", '"')
    end = text.find("]", _quote_end(text, at + 1) if is_quoted else at)
    inner = text[at + 1 : max(end, at + 1)]
    if is_quoted and inner[-1:] == inner[:1]:
        return KeyPart(inner[1:-1], literal=True), end + 1
    if inner.isascii() and inner.isdigit():
        return KeyPart(inner), end + 1
    raise KeyTextError(f"The key {quoted(text)} has brackets without an index in them.")


def _quote_end(text: str, at: int) -> int:
    """The position after the quote that closes the one at `at`."""
    end = text.find(text[at], at + 1)
    if end < 0:
        raise KeyTextError(f"The key {quoted(text)} has a quote that is not closed.")
    return end + 1
