"""Hunks on a terminal: every line has its number and sign, so that no content can look like part of the card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.cards.diff import DiffLine, DiffView, FileDiff
from bot.surfaces.terminal.profile import ACCENT, TerminalBlock, TerminalProfile

_STYLES: Final = {"+": "green", "-": "red", "\\": "dim", " ": ""}
_GUTTER: Final = 6
_NO_HEADING: Final = DiffLine("@", None, "")


def diff_lines(profile: TerminalProfile, view: DiffView, width: int, *, more: str = "") -> Iterator[TerminalBlock]:
    """The lines of a diff; `more` is the command that shows omitted lines."""
    if view.escaped_count:
        yield profile.block((f"! {view.escaped_note} below", "yellow"))
    for n, file in enumerate(view.files):
        if n:
            yield profile.block()
        yield from _title(profile, file, width)
        lines = file.lines[1:] if file.lines and file.lines[0] == _NO_HEADING else file.lines
        for line in lines:
            yield from _line(profile, line, width)
    omitted = view.omitted_lines
    if omitted or view.omitted_files:
        of_files = f" in {view.omitted_files} more files" if view.omitted_files else ""
        count = f"{omitted} more line{'s' if omitted != 1 else ''}" if omitted else ""
        text = (count + of_files).removeprefix(" in ")
        yield profile.block(("… ", "yellow"), (text, "yellow"), (f": {more}" if more else "", "yellow"))


def _title(profile: TerminalProfile, file: FileDiff, width: int) -> Iterator[TerminalBlock]:
    """The whole path, over as many lines as it needs, so that nothing of a name is hidden."""
    notes = f"  {', '.join(file.notes)}" if file.notes else ""
    pieces = _pieces(profile.displayable(file.paths[-1]), width)
    for n, piece in enumerate(pieces, start=1):
        yield profile.block((piece, "bold"), (notes if n == len(pieces) else "", "dim"))


def _line(profile: TerminalProfile, line: DiffLine, width: int) -> Iterator[TerminalBlock]:
    if line.sign == "@":
        yield profile.block(
            (" " * (_GUTTER - 1), ""), ("… " if line.text else "…", "dim"), (line.text, f"dim {ACCENT}")
        )
        return
    number = f"{line.number:>{_GUTTER - 1}}" if line.number is not None else " " * (_GUTTER - 1)
    style = _STYLES.get(line.sign, "")
    text = line.text + (f" … {line.omitted_chars} more characters" if line.omitted_chars else "")
    for n, piece in enumerate(_pieces(profile.displayable(text), width - _GUTTER - 3)):
        gutter = number if n == 0 else " " * len(number)
        yield profile.block((f"{gutter} ", "dim"), (f"{line.sign} {piece}", style))


def _pieces(text: str, width: int) -> list[str]:
    """`text` in pieces of at most `width` cells; the sign is repeated before each."""
    from rich.cells import chop_cells

    return chop_cells(text, max(10, width)) if len(text) * 2 > width else [text]
