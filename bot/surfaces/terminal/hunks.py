"""Hunks on a terminal: every line carries its number and its sign, so that no content can pose as the card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.cards.diff import DiffLine, DiffView, FileDiff
from bot.surfaces.terminal.profile import ACCENT, TerminalBlock, TerminalProfile

_STYLES: Final = {"+": "green", "-": "red", "\\": "dim", " ": ""}
_GUTTER: Final = 6
_NO_HEADING: Final = DiffLine("@", None, "")


def diff_lines(look: TerminalProfile, view: DiffView, width: int, *, more: str = "") -> Iterator[TerminalBlock]:
    """The lines of a diff; `more` is the command that shows what is left out."""
    if view.strange:
        yield look.line((f"! {view.spelled_out} below", "yellow"))
    for n, file in enumerate(view.files):
        if n:
            yield look.line()
        yield from _title(look, file, width)
        lines = file.lines[1:] if file.lines and file.lines[0] == _NO_HEADING else file.lines
        for line in lines:
            yield from _line(look, line, width)
    left = view.lines_left_out
    if left or view.files_left_out:
        of_files = f" in {view.files_left_out} more files" if view.files_left_out else ""
        count = f"{left} more line{'s' if left != 1 else ''}" if left else ""
        said = (count + of_files).removeprefix(" in ")
        yield look.line(("… ", "yellow"), (said, "yellow"), (f": {more}" if more else "", "yellow"))


def _title(look: TerminalProfile, file: FileDiff, width: int) -> Iterator[TerminalBlock]:
    """The whole path, over as many lines as it takes: here nothing of a name may hide."""
    notes = f"  {', '.join(file.notes)}" if file.notes else ""
    pieces = _pieces(look.fit(file.paths[-1]), width)
    for n, piece in enumerate(pieces, start=1):
        yield look.line((piece, "bold"), (notes if n == len(pieces) else "", "dim"))


def _line(look: TerminalProfile, line: DiffLine, width: int) -> Iterator[TerminalBlock]:
    if line.sign == "@":
        yield look.line((" " * (_GUTTER - 1), ""), ("… " if line.text else "…", "dim"), (line.text, f"dim {ACCENT}"))
        return
    number = f"{line.number:>{_GUTTER - 1}}" if line.number is not None else " " * (_GUTTER - 1)
    style = _STYLES.get(line.sign, "")
    text = line.text + (f" … {line.cut} more characters" if line.cut else "")
    for n, piece in enumerate(_pieces(look.fit(text), width - _GUTTER - 3)):
        gutter = number if n == 0 else " " * len(number)
        yield look.line((f"{gutter} ", "dim"), (f"{line.sign} {piece}", style))


def _pieces(text: str, width: int) -> list[str]:
    """`text` in pieces of at most `width` cells; the sign is repeated before each."""
    from rich.cells import chop_cells

    return chop_cells(text, max(10, width)) if len(text) * 2 > width else [text]
