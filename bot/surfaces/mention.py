"""Taking our name out of a sentence: "please @bot, set x to 2" says "please set x to 2"; nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_AFTER: Final = re.compile(r"[ \t]*(?:[,:;]+|(?:[.!?\u2026]+|-+|[\u2013\u2014]+)(?=\s|$))?[ \t]*")
"""What belongs to the name that it follows. A dot or a dash that begins a word, as in ``.env`` or ``-1``, does not."""
_BEFORE: Final = re.compile(r"(?:[ \t]*[,;])?[ \t]*$")


def remove_mentions(parts: Sequence[str]) -> str:
    """The text whose `parts` stand around mentions of us, without them and the punctuation that goes with them.

    Everything else stays as it was written, the end of the text included: a colon there may be what is asked for.
    """
    text = parts[0]
    for part in parts[1:]:
        rest = part[_match(_AFTER, part) :]
        if not rest.strip():  # "set x to 2, @bot": the comma is the name's
            text = _BEFORE.sub("", text) + rest
        elif not text.strip():
            text = rest
        else:
            before = text.rstrip(" \t")
            text = before + ("" if rest[:1].isspace() or before[-1:] == "\n" else " ") + rest
    return text.strip()


def _match(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0
