"""Colours for the syntax of a file, by Pygments, as ranges of each line; what cannot be coloured quickly is left plain.

Colours are added to the text and never change it: a lexer whose tokens do not add up to the file is ignored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

Span = tuple[int, int, str]
"""The characters `start` to `end` of a line, and their class."""

MAX_CHARACTERS: Final = 200_000
MAX_LINE: Final = 2_000
MAX_S: Final = 0.25

_LEXERS: Final = {
    "python": ("py", "pyi"),
    "javascript": ("js", "mjs", "cjs", "jsx"),
    "typescript": ("ts", "tsx", "mts"),
    "json": ("json", "jsonc"),
    "yaml": ("yaml", "yml"),
    "toml": ("toml",),
    "ini": ("ini", "cfg", "conf", "editorconfig"),
    "markdown": ("md", "markdown"),
    "html": ("html", "htm", "vue"),
    "xml": ("xml", "svg", "xsd"),
    "css": ("css",),
    "scss": ("scss",),
    "bash": ("sh", "bash", "zsh"),
    "sql": ("sql",),
    "go": ("go",),
    "rust": ("rs",),
    "c": ("c", "h"),
    "cpp": ("cc", "cpp", "cxx", "hpp", "hh"),
    "java": ("java",),
    "kotlin": ("kt", "kts"),
    "ruby": ("rb", "gemspec"),
    "php": ("php",),
    "swift": ("swift",),
    "csharp": ("cs",),
    "make": ("mk", "makefile"),
    "docker": ("dockerfile", "containerfile"),
    "terraform": ("tf", "hcl"),
}
"""Lexer by the ending of a file's name, or by its whole name; a short list, so that no odd lexer meets odd text."""
_BY_ENDING: Final = {ending: lexer for lexer, endings in _LEXERS.items() for ending in endings}

_CLASSES: Final = (
    ("Comment", "c"),
    ("Keyword", "k"),
    ("Literal.String", "s"),
    ("Literal.Number", "m"),
    ("Name.Function", "f"),
    ("Name.Class", "f"),
    ("Name.Tag", "k"),
    ("Name.Attribute", "a"),
    ("Name.Decorator", "a"),
    ("Name.Builtin", "b"),
    ("Operator.Word", "k"),
    ("Generic.Heading", "f"),
    ("Generic.Subheading", "f"),
)


def lexer_name(path: str) -> str | None:
    """The lexer for a path, or None."""
    name = path.rpartition("/")[2].lower()
    return _BY_ENDING.get(name.rpartition(".")[2])


def spans_of(path: str, text: str, max_s: float = MAX_S) -> list[list[Span]] | None:
    """The coloured ranges of each line of a file's text; None if it is left plain.

    Lines end with LF only. Takes at most about `max_s` seconds.
    """
    name = lexer_name(path)
    if name is None or len(text) > MAX_CHARACTERS or max(map(len, text.split("\n"))) > MAX_LINE:
        return None
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(name, stripnl=False, ensurenl=False)
    end_s = time.monotonic() + max_s
    lines: list[list[Span]] = [[]]
    column = at = 0
    for start, kind, value in lexer.get_tokens_unprocessed(text):
        if start != at or time.monotonic() > end_s:
            return None
        at += len(value)
        css = _css(str(kind).removeprefix("Token."))
        for n, piece in enumerate(value.split("\n")):
            if n:
                lines.append([])
                column = 0
            if css and piece:
                lines[-1].append((column, column + len(piece), css))
            column += len(piece)
    return lines if at == len(text) else None


def _css(kind: str) -> str:
    return next((css for prefix, css in _CLASSES if kind.startswith(prefix)), "")


def flattened(spans: Sequence[Span], marks: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int, str, bool]]:
    """The pieces of a line: (start, end, class, whether it is marked), in order and without gaps."""
    cuts = {0, length}
    for start, end, _ in spans:
        cuts |= {min(start, length), min(end, length)}
    for start, end in marks:
        cuts |= {min(start, length), min(end, length)}
    ordered = sorted(cuts)
    pieces, span_at, mark_at = [], 0, 0
    for start, end in pairwise(ordered):
        while span_at < len(spans) and spans[span_at][1] <= start:
            span_at += 1
        while mark_at < len(marks) and marks[mark_at][1] <= start:
            mark_at += 1
        css = spans[span_at][2] if span_at < len(spans) and spans[span_at][0] <= start else ""
        is_marked = mark_at < len(marks) and marks[mark_at][0] <= start
        pieces.append((start, end, css, is_marked))
    return pieces
