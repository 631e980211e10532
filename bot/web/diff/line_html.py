"""One line of a file as HTML: coloured, with its changed words marked, and every odd character spelled out.

What is shown is the bytes: a byte that is not UTF-8, a control character and a character that is invisible or reorders
text appears as its code point in a box of its own, so it cannot be confused with the same letters typed in the file
(security.md 127, 143; https://trojansource.codes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from bot.cards.safe import is_mark, visible
from bot.web.diff.highlight import Span, flattened

_TAB: Final = "\t"


def text_of(line: bytes) -> str:
    """A line without its newline; bytes that are not UTF-8 become lone surrogates."""
    return line.removesuffix(b"\n").decode("utf-8", "surrogateescape")


def line_html(text: str, spans: Sequence[Span] = (), marks: Sequence[tuple[int, int]] = ()) -> str:
    """The line as HTML; `spans` are its coloured ranges, `marks` those that changed."""
    if not spans and not marks:
        return inert(text)
    out = []
    for start, end, css, is_marked in flattened(spans, marks, len(text)):
        piece = inert(text[start:end])
        if css:
            piece = f"<span class={css}>{piece}</span>"
        out.append(f"<mark>{piece}</mark>" if is_marked else piece)
    return "".join(out)


def inert(text: str) -> str:
    """Escaped text, with every odd character in a box; tabs stay."""
    if text.isascii() and text.replace(_TAB, "").isprintable():
        return escape(text)
    return "".join(_cluster_html(cluster) for cluster in _clusters(text))


def _clusters(text: str) -> Iterator[str]:
    """Each character with the marks that combine with it."""
    begin = 0
    for at, char in enumerate(text):
        if at > begin and not is_mark(char):
            yield text[begin:at]
            begin = at
    if text:
        yield text[begin:]


def _cluster_html(cluster: str) -> str:
    if cluster == _TAB:
        return cluster
    shown = visible(cluster)
    return escape(shown) if shown == cluster else f"<b class=odd>{escape(shown)}</b>"


def has_odd(text: str) -> bool:
    """Whether a line has a character that is spelled out."""
    plain = text.replace(_TAB, "")
    return not (plain.isascii() and plain.isprintable()) and any(
        cluster != _TAB and visible(cluster) != cluster for cluster in _clusters(text)
    )
