"""Removes mentions of the bot from a sentence: "please @bot, set x to 2" becomes "please set x to 2"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_AFTER: Final = re.compile(r"[ \t]*(?:[,:;]+|(?:[.!?\u2026]+|-+|[\u2013\u2014]+)(?=\s|$))?[ \t]*")
"""Punctuation that belongs to the mention before it; a dot or dash that begins a word (``.env``, ``-1``) does not."""
_BEFORE: Final = re.compile(r"(?:[ \t]*[,;])?[ \t]*$")


def remove_mentions(parts: Sequence[str]) -> str:
    """Join the `parts` around mentions of the bot, without the punctuation that belongs to the mentions.

    Everything else stays as written, including the end of the text, where a colon may be part of the request.
    """
    text = parts[0]
    for part in parts[1:]:
        rest = part[_match_end(_AFTER, part) :]
        if not rest.strip():  # "set x to 2, @bot": the comma belongs to the mention
            text = _BEFORE.sub("", text) + rest
        elif not text.strip():
            text = rest
        else:
            before = text.rstrip(" \t")
            text = before + ("" if rest[:1].isspace() or before[-1:] == "\n" else " ") + rest
    return text.strip()


def _match_end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
