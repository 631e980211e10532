"""Words as Telegram counts and styles them: UTF-16 units, spans, and people's text made harmless; pure.

Telegram takes a text beside a list of entities (core.telegram.org/bots/api#messageentity), whose offsets and lengths
count UTF-16 code units. With entities nothing in a text is markup, so no character has to be escaped and none can break
a message, which Markdown and HTML cannot promise (security.md 141).

What entities cannot prevent is that Telegram itself looks for links, mentions, commands and tags, everywhere but inside
``code`` and ``pre`` (tdlib, td/telegram/MessageEntity.cpp). So people's text either stands in one of those, or goes
through `neutral`, which puts a WORD JOINER (U+2060: no font draws it, and no matcher of tdlib reads across it) where a
match would begin. `bot.cards.safe.visible` spells out that character wherever people wrote it, so each one is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 4096
"""UTF-16 units of a message (core.telegram.org/bots/api#sendmessage: 1-4096 characters after entities parsing)."""
MAX_ENTITIES: Final = 100
"""Entities of a message; Telegram ignores further ones (limits.tginfo.me, "message entities"), so ours end there."""
MAX_CAPTION: Final = 1024
JOINER: Final = "\u2060"

_STARTS: Final = re.compile(
    r"(?<=@)(?=\w)"  # a mention, an address
    r"|(?<=#)(?=\w*[^\W\d_])|(?<=\$)(?=[A-Z])"  # a tag
    r"|(?<=:)(?=//)"  # a link with its scheme, tg:// among them
    r"|(?<=\w)(?=\.[^\W\d_])"  # a host's name: t.me, install.md
    r"|(?<=\d)(?=\.\d+\.\d)"  # a host's number
)
_COMMAND: Final = re.compile(r"(?<!\w)/(?=\w)")


@dataclass(frozen=True, slots=True)
class Span:
    """An entity over `length` UTF-16 units from `offset` on; `kind` is one of MessageEntity's types."""

    kind: str
    offset: int
    length: int
    language: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line. `kind` styles it; ``url`` is a link of ours, left for Telegram to find."""

    text: str
    kind: str = ""

    @property
    def shown(self) -> str:
        """As it stands beside entities."""
        return self.text if self.kind in ("code", "pre", "url") else neutral(self.text)

    @property
    def plain(self) -> str:
        """As it stands where there are no entities."""
        return self.text if self.kind == "url" else neutral(self.text)


Line = Sequence[Piece]


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units, which is what Telegram counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def neutral(text: str) -> str:
    """`text` in which Telegram finds nothing to link, tag, mention or run; looks the same."""
    return _STARTS.sub(JOINER, _COMMAND.sub("/" + JOINER, text))


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` units, neutral or not; an ellipsis stands for its end."""
    if units(text) <= limit and units(neutral(text)) <= limit:
        return text
    room = limit
    while True:
        head = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, room - 1)].decode("utf-16-le", "ignore")
        found = head.rstrip() + "…"
        over = units(neutral(found)) - limit
        if over <= 0 or room <= 1:
            return found
        room -= max(1, over // 2)


def cut_path(path: str, limit: int) -> str:
    """`path` in at most `limit` units; its middle gives way, the file's name stays longest."""
    if units(path) <= limit:
        return path
    raw = path.encode("utf-16-le", "surrogatepass")
    tail = 2 * (limit - limit // 3 - 1)
    return f"{cut(path, limit // 3).removesuffix('…')}…{raw[-tail:].decode('utf-16-le', 'ignore')}"


def size(lines: Iterable[Line]) -> int:
    """The most units that lines take, with or without entities, each with its end."""
    return sum(max(sum(units(p.shown) for p in line), sum(units(p.plain) for p in line)) + 1 for line in lines)


def joined(parts: Iterable[Piece], between: str = " · ") -> Iterator[Piece]:
    """Pieces with a mark between them."""
    for n, part in enumerate(parts):
        if n:
            yield Piece(between)
        yield part


def spell(lines: Sequence[Line]) -> tuple[str, tuple[Span, ...]]:
    """Lines as a text and its spans; pieces past the number that Telegram takes stand without a span, neutral."""
    text: list[str] = []
    spans: list[Span] = []
    at = 0
    for n, line in enumerate(lines):
        if n:
            text.append("\n")
            at += 1
        for piece in line:
            bare = len(spans) >= MAX_ENTITIES
            shown = piece.plain if bare else piece.shown
            length = units(shown)
            if piece.kind not in ("", "url") and shown.strip() and not bare:
                spans.append(Span(piece.kind, at, length, "diff" if piece.kind == "pre" else ""))
            text.append(shown)
            at += length
    return "".join(text), tuple(spans)


def plain(lines: Sequence[Line]) -> str:
    """The same without entities, for when Telegram refuses them."""
    return "\n".join("".join(piece.plain for piece in line) for line in lines)
