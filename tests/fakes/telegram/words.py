"""Text as Telegram counts and reads it: UTF-16 units, entities it is given, entities it finds by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

MAX_ENTITIES: Final = 100
VERBATIM: Final = ("code", "pre")
"""Inside these Telegram looks for nothing (tdlib, td/telegram/MessageEntity.cpp, merge_new_entities)."""

_NO_WORD_BEFORE: Final = r"(?<![\w])"
_TOP: Final = (
    "com|org|net|io|me|md|py|sh|rs|ai|app|dev|co|de|uk|ru|example|info|xyz|link|pl|pm|so|to|ps|cc|mk|in|is|it|la|st|ts"
)
_FOUND: Final = (
    ("url", re.compile(r"(?:https?|ftp|tg|ton|tonsite)://[^\s<>\"«»\u2000-\u200b\u2060-\u206f]+", re.IGNORECASE)),
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("url", re.compile(rf"(?<![\w@.-])(?:[\w-]+\.)+(?:{_TOP})(?![\w-])(?:[/?#][^\s<>\"«»\u2060]*)?", re.IGNORECASE)),
    ("mention", re.compile(_NO_WORD_BEFORE + r"@[A-Za-z0-9_]{2,32}(?![\w])")),
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>])")),
    ("hashtag", re.compile(r"(?<![\w/])#(?=\w*[^\W\d_])\w{1,256}")),
    ("cashtag", re.compile(r"(?<![\w])\$[A-Z]{1,8}(?![\w$])")),
)
"""What Telegram makes clickable on its own; after the rules that tdlib has as comments beside its matchers."""


def units(text: str) -> int:
    """Its length as Telegram counts it: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def slice_units(text: str, offset: int, length: int) -> str:
    """The part of `text` an entity covers."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[2 * offset : 2 * (offset + length)].decode("utf-16-le")


def wrong_entities(text: str, entities: Sequence[Mapping[str, Any]]) -> str | None:
    """Why Telegram refuses these entities for `text`, or None."""
    if len(entities) > MAX_ENTITIES:
        return f"can't parse entities: {len(entities)} entities, at most {MAX_ENTITIES} are allowed"
    total = units(text)
    spans: list[tuple[int, int, str]] = []
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        if start < 0 or entity["length"] <= 0 or end > total:
            return f"can't parse entities: entity beginning at UTF-16 offset {start} ends after the text at {end}"
        try:
            slice_units(text, start, end - start)
            slice_units(text, 0, start)
        except UnicodeDecodeError:
            return f"can't parse entities: entity at UTF-16 offset {start} begins or ends in the middle of a symbol"
        spans.append((start, end, entity["type"]))
    return _crossing(sorted(spans, key=lambda s: (s[0], -s[1])))


def _crossing(spans: Sequence[tuple[int, int, str]]) -> str | None:
    """Entities may lie in one another, but not cross, and nothing lies in code or pre."""
    for n, (start, end, kind) in enumerate(spans):
        for other_start, other_end, other in spans[n + 1 :]:
            if other_start >= end:
                break
            if other_end > end:
                return f"can't parse entities: entities at UTF-16 offsets {start} and {other_start} cross"
            if kind in VERBATIM or other in VERBATIM:
                if {kind, other} <= {"blockquote", *VERBATIM} and kind not in VERBATIM:
                    continue
                return f"can't parse entities: nothing can be nested with {kind} at UTF-16 offset {start}"
    return None


def find_entities(text: str, given: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """`given`, and what Telegram finds in the rest of `text`: mentions, commands, links, tags, in order."""
    kept = [dict(entity) for entity in given]
    taken = [(e["offset"], e["offset"] + e["length"]) for e in kept if e["type"] in (*VERBATIM, "text_link")]
    for kind, pattern in _FOUND:
        for match in pattern.finditer(text):
            offset = units(text[: match.start()])
            length = units(match.group())
            if not any(offset < end and start < offset + length for start, end in taken):
                kept.append({"type": kind, "offset": offset, "length": length})
                taken.append((offset, offset + length))
    return sorted(kept, key=lambda e: (e["offset"], -e["length"]))
