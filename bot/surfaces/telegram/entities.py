"""Text as Telegram counts and styles it: UTF-16 units, entity spans, and neutralised user text; pure.

Telegram takes a text with a list of entities (core.telegram.org/bots/api#messageentity), whose offsets and lengths
count UTF-16 code units. With entities nothing in a text is markup, so no character needs escaping and none can break a
message, which Markdown and HTML cannot guarantee (security.md 141).

Entities cannot prevent Telegram from detecting links, mentions, commands and tags itself, everywhere except inside
``code`` and ``pre`` (tdlib, td/telegram/MessageEntity.cpp). So each word in which it would detect one becomes ``code``:
inactive, exact, and people copy what was written. Only where a message cannot have (more) entities does `neutralize`
insert a visible space where a match would begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bot.surfaces.utf16 import utf16_length
from core.model.shorten import whole_words

MAX_TEXT: Final = 4096
"""UTF-16 units of a message (core.telegram.org/bots/api#sendmessage: 1-4096 characters after entities parsing)."""
MAX_ENTITIES: Final = 100
"""Entities of a message; Telegram ignores more (limits.tginfo.me, "message entities"), so ours end there."""
MAX_CAPTION: Final = 1024
GAP: Final = " "
"""Separates the parts of a word that would be linked where there are no entities; visible, because people copy text."""

_TRIGGER: Final = re.compile(
    r"(?<=@)(?=[\w-])"  # a mention, an email address
    r"|(?<=#)(?=\w*[^\W\d_])|(?<=\$)(?=[A-Z])"  # a tag
    r"|(?<=:)(?=//)"  # a link with its scheme, including tg://
    r"|(?<=\w)(?=\.[^\W\d_])"  # a host name: t.me, install.md
    r"|(?<=\d)(?=\.\d+\.\d)"  # an IP address
)
_COMMAND: Final = re.compile(r"(?<!\w)/(?=\w)")
_OWN_COMMAND: Final = re.compile(r"(?<![\w/])/[a-z_]{2,32}(?: #?\d{1,10})?(?: (?:[0-9a-f]{12,64}|[A-Z]{2,}))?(?![\w/])")
"""A command as we suggest it, with its number and digest: one piece to press and copy."""
_WORD: Final = re.compile(rf"{_OWN_COMMAND.pattern}|\S+")
_PUNCTUATION: Final = "“”\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\"'()[]{},;:!?.…"
"""Characters around a word that are not part of it."""


@dataclass(frozen=True, slots=True)
class TextSpan:
    """An entity of `length` UTF-16 units from `offset`; `kind` is one of MessageEntity's types."""

    kind: str
    offset: int
    length: int
    language: str = ""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A part of a line; `kind` is its style, and ``url`` is a link of ours that Telegram may detect."""

    text: str
    kind: str = ""

    @property
    def plain(self) -> str:
        """The text without entities: neutralised, except in a diff, where exact bytes matter more."""
        return self.text if self.kind in ("pre", "url") else neutralize(self.text)


Line = Sequence[TextPiece]


def neutralize(text: str) -> str:
    """`text` with spaces wherever Telegram would detect a link, tag, mention or command."""
    return _TRIGGER.sub(GAP, _COMMAND.sub("/" + GAP, text))


def triggers_entity(text: str) -> bool:
    """Whether Telegram would detect a link, tag, mention or command in `text`."""
    return bool(_TRIGGER.search(text) or _COMMAND.search(text))


def triggering_ranges(text: str) -> Iterator[tuple[int, int]]:
    """The ranges of the words of `text` in which Telegram would detect something, without punctuation."""
    for match in _WORD.finditer(text):
        if not triggers_entity(match.group()):
            continue
        start, end = match.span()
        word = match.group().lstrip(_PUNCTUATION)
        begin = end - len(word)
        word = word.rstrip(_PUNCTUATION)
        is_clean_around = not triggers_entity(text[start:begin]) and not triggers_entity(text[begin + len(word) : end])
        yield (begin, begin + len(word)) if word and is_clean_around and triggers_entity(word) else (start, end)


def truncate(text: str, limit: int) -> str:
    """`text` in at most `limit` units, neutralised or not, with an ellipsis if it was longer."""
    if utf16_length(text) <= limit and utf16_length(neutralize(text)) <= limit:
        return text
    budget = limit
    while True:
        head = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, budget - 1)].decode("utf-16-le", "ignore")
        candidate = f"{whole_words(text, len(head))}…"
        excess = utf16_length(neutralize(candidate)) - limit
        if excess <= 0 or budget <= 1:
            return candidate
        budget -= max(1, excess // 2)


def truncate_path(path: str, limit: int) -> str:
    """`path` in at most `limit` units, cut in its middle so that the file name stays longest."""
    if utf16_length(path) <= limit:
        return path
    raw = path.encode("utf-16-le", "surrogatepass")
    tail = 2 * (limit - limit // 3 - 1)
    return f"{truncate(path, limit // 3).removesuffix('…')}…{raw[-tail:].decode('utf-16-le', 'ignore')}"


def measure(lines: Iterable[Line]) -> int:
    """The maximum number of units that lines take, with or without entities, including line breaks."""
    return sum(
        max(sum(utf16_length(piece.text) for piece in line), sum(utf16_length(piece.plain) for piece in line)) + 1
        for line in lines
    )


def join_pieces(parts: Iterable[TextPiece], separator: str = " · ") -> Iterator[TextPiece]:
    """Pieces with a separator between them."""
    for n, part in enumerate(parts):
        if n:
            yield TextPiece(separator)
        yield part


def render_lines(lines: Sequence[Line]) -> tuple[str, tuple[TextSpan, ...]]:
    """Lines as a text and its spans; pieces beyond Telegram's limit of entities are neutralised instead."""
    text: list[str] = []
    spans: list[TextSpan] = []
    at = 0
    for n, line in enumerate(lines):
        if n:
            text.append("\n")
            at += 1
        for piece in line:
            piece_spans = list(_spans(piece, at))
            fits = len(spans) + len(piece_spans) <= MAX_ENTITIES
            piece_text = piece.text if fits else piece.plain
            spans += piece_spans if fits else []
            text.append(piece_text)
            at += utf16_length(piece_text)
    return "".join(text), tuple(spans)


def _spans(piece: TextPiece, at: int) -> Iterator[TextSpan]:
    """The entities of a piece that begins at `at`: its own, and ``code`` for each word that would be linked.

    ``code`` contains no other entity and is only inside quotations (core.telegram.org/bots/api#messageentity), so it
    interrupts any other style.
    """
    if piece.kind in ("code", "pre"):
        if piece.text.strip():
            yield TextSpan(piece.kind, at, utf16_length(piece.text), "diff" if piece.kind == "pre" else "")
        return
    if piece.kind == "url" or not piece.text.strip():
        return
    triggering = list(triggering_ranges(piece.text))
    if piece.kind == "blockquote":
        yield TextSpan(piece.kind, at, utf16_length(piece.text))
    elif piece.kind:
        ends = [0, *(place for word in triggering for place in word), len(piece.text)]
        rest = [(ends[n], ends[n + 1]) for n in range(0, len(ends), 2)]
        yield from (_span(piece, at, *part, piece.kind) for part in rest if piece.text[slice(*part)].strip())
    yield from (_span(piece, at, *word, "code") for word in triggering)


def _span(piece: TextPiece, at: int, start: int, end: int, kind: str) -> TextSpan:
    return TextSpan(kind, at + utf16_length(piece.text[:start]), utf16_length(piece.text[start:end]))


def plain_text(lines: Sequence[Line]) -> str:
    """The same text without entities, for when Telegram rejects them."""
    return "\n".join("".join(piece.plain for piece in line) for line in lines)
