"""Words as Telegram counts and styles them: UTF-16 units, spans, and people's text made harmless; pure.

Telegram takes a text beside a list of entities (core.telegram.org/bots/api#messageentity), whose offsets and lengths
count UTF-16 code units. With entities nothing in a text is markup, so no character has to be escaped and none can break
a message, which Markdown and HTML cannot promise (security.md 141).

What entities cannot prevent is that Telegram itself looks for links, mentions, commands and tags, everywhere but inside
``code`` and ``pre`` (tdlib, td/telegram/MessageEntity.cpp). So each word in which it would find one stands as ``code``:
inert, exact, and what people copy is what was written. Only where a message can have no entity (more) does `neutral`
put a space, which everybody sees, where a match would begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.shorten import whole_words

MAX_TEXT: Final = 4096
"""UTF-16 units of a message (core.telegram.org/bots/api#sendmessage: 1-4096 characters after entities parsing)."""
MAX_ENTITIES: Final = 100
"""Entities of a message; Telegram ignores further ones (limits.tginfo.me, "message entities"), so ours end there."""
MAX_CAPTION: Final = 1024
GAP: Final = " "
"""What parts a word that would act where there are no entities: visible, for people copy what they see."""

_STARTS: Final = re.compile(
    r"(?<=@)(?=[\w-])"  # a mention, an address
    r"|(?<=#)(?=\w*[^\W\d_])|(?<=\$)(?=[A-Z])"  # a tag
    r"|(?<=:)(?=//)"  # a link with its scheme, tg:// among them
    r"|(?<=\w)(?=\.[^\W\d_])"  # a host's name: t.me, install.md
    r"|(?<=\d)(?=\.\d+\.\d)"  # a host's number
)
_COMMAND: Final = re.compile(r"(?<!\w)/(?=\w)")
_OURS: Final = re.compile(r"(?<![\w/])/[a-z_]{2,32}(?: #?\d{1,10})?(?: (?:[0-9a-f]{12,64}|[A-Z]{2,}))?(?![\w/])")
"""A command as we advise it, with its number and digest: one piece to press and copy."""
_WORD: Final = re.compile(rf"{_OURS.pattern}|\S+")
_AROUND: Final = "“”\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\"'()[]{},;:!?.…"
"""What stands around a word and is none of it."""


@dataclass(frozen=True, slots=True)
class TextSpan:
    """An entity over `length` UTF-16 units from `offset` on; `kind` is one of MessageEntity's types."""

    kind: str
    offset: int
    length: int
    language: str = ""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A part of a line. `kind` styles it; ``url`` is a link of ours, left for Telegram to find."""

    text: str
    kind: str = ""

    @property
    def plain(self) -> str:
        """As it stands where there are no entities; of a diff the bytes count for more than that nothing acts."""
        return self.text if self.kind in ("pre", "url") else neutralize(self.text)


Line = Sequence[TextPiece]


def utf16_length(text: str) -> int:
    """The length of `text` in UTF-16 code units, which is what Telegram counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def neutralize(text: str) -> str:
    """`text` in which Telegram finds nothing to link, tag, mention or run: parted by spaces where it would."""
    return _STARTS.sub(GAP, _COMMAND.sub("/" + GAP, text))


def triggers_entity(text: str) -> bool:
    """Whether Telegram would find something to link, tag, mention or run in `text`."""
    return bool(_STARTS.search(text) or _COMMAND.search(text))


def triggering_ranges(text: str) -> Iterator[tuple[int, int]]:
    """Where the words of `text` in which Telegram would find something begin and end, without what is around them."""
    for match in _WORD.finditer(text):
        if not triggers_entity(match.group()):
            continue
        start, end = match.span()
        word = match.group().lstrip(_AROUND)
        inner = end - len(word)
        word = word.rstrip(_AROUND)
        bare = not triggers_entity(text[start:inner]) and not triggers_entity(text[inner + len(word) : end])
        yield (inner, inner + len(word)) if word and bare and triggers_entity(word) else (start, end)


def truncate(text: str, limit: int) -> str:
    """`text` in at most `limit` units, neutral or not; an ellipsis stands for its end."""
    if utf16_length(text) <= limit and utf16_length(neutralize(text)) <= limit:
        return text
    room = limit
    while True:
        head = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, room - 1)].decode("utf-16-le", "ignore")
        found = f"{whole_words(text, len(head))}…"
        over = utf16_length(neutralize(found)) - limit
        if over <= 0 or room <= 1:
            return found
        room -= max(1, over // 2)


def truncate_path(path: str, limit: int) -> str:
    """`path` in at most `limit` units; its middle gives way, the file's name stays longest."""
    if utf16_length(path) <= limit:
        return path
    raw = path.encode("utf-16-le", "surrogatepass")
    tail = 2 * (limit - limit // 3 - 1)
    return f"{truncate(path, limit // 3).removesuffix('…')}…{raw[-tail:].decode('utf-16-le', 'ignore')}"


def measure(lines: Iterable[Line]) -> int:
    """The most units that lines take, with or without entities, each with its end."""
    return sum(
        max(sum(utf16_length(p.text) for p in line), sum(utf16_length(p.plain) for p in line)) + 1 for line in lines
    )


def join_pieces(parts: Iterable[TextPiece], between: str = " · ") -> Iterator[TextPiece]:
    """Pieces with a mark between them."""
    for n, part in enumerate(parts):
        if n:
            yield TextPiece(between)
        yield part


def render_lines(lines: Sequence[Line]) -> tuple[str, tuple[TextSpan, ...]]:
    """Lines as a text and its spans; pieces past the number that Telegram takes stand without one, neutral."""
    text: list[str] = []
    spans: list[TextSpan] = []
    at = 0
    for n, line in enumerate(lines):
        if n:
            text.append("\n")
            at += 1
        for piece in line:
            found = list(_spans(piece, at))
            fits = len(spans) + len(found) <= MAX_ENTITIES
            shown = piece.text if fits else piece.plain
            spans += found if fits else []
            text.append(shown)
            at += utf16_length(shown)
    return "".join(text), tuple(spans)


def _spans(piece: TextPiece, at: int) -> Iterator[TextSpan]:
    """The entities of a piece that begins at `at`: its own, and ``code`` for each word that would act.

    ``code`` contains no other entity and is in none but a quotation (core.telegram.org/bots/api#messageentity), so
    another style is interrupted by it.
    """
    if piece.kind in ("code", "pre"):
        if piece.text.strip():
            yield TextSpan(piece.kind, at, utf16_length(piece.text), "diff" if piece.kind == "pre" else "")
        return
    if piece.kind == "url" or not piece.text.strip():
        return
    live = list(triggering_ranges(piece.text))
    if piece.kind == "blockquote":
        yield TextSpan(piece.kind, at, utf16_length(piece.text))
    elif piece.kind:
        ends = [0, *(place for word in live for place in word), len(piece.text)]
        rest = [(ends[n], ends[n + 1]) for n in range(0, len(ends), 2)]
        yield from (_span(piece, at, *part, piece.kind) for part in rest if piece.text[slice(*part)].strip())
    yield from (_span(piece, at, *word, "code") for word in live)


def _span(piece: TextPiece, at: int, start: int, end: int, kind: str) -> TextSpan:
    return TextSpan(kind, at + utf16_length(piece.text[:start]), utf16_length(piece.text[start:end]))


def plain_text(lines: Sequence[Line]) -> str:
    """The same without entities, for when Telegram refuses them."""
    return "\n".join("".join(piece.plain for piece in line) for line in lines)
