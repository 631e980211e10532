"""UTF-16 code units, in which Telegram, Slack and GitHub count the length of texts."""

from __future__ import annotations


def utf16_bytes(text: str) -> bytes:
    """`text` in UTF-16, two bytes per unit; lone surrogates are kept."""
    return text.encode("utf-16-le", "surrogatepass")


def utf16_length(text: str) -> int:
    """The length of `text` in UTF-16 units: a character beyond the basic plane counts twice."""
    return len(text) if text.isascii() else len(utf16_bytes(text)) // 2
