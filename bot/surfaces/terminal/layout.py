"""Layout pieces that all terminal output shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bot.surfaces.terminal.profile import ACCENT, TerminalProfile
from core.model.lifecycle import State

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STATE_STYLES: dict[State, str] = {
    **dict.fromkeys((State.RECEIVED, State.QUEUED, State.RUNNING, State.APPROVED), ACCENT),
    **dict.fromkeys((State.STAGED, State.ASKING), f"bold {ACCENT}"),
    **dict.fromkeys((State.PUBLISHED, State.MERGED), "green"),
    **dict.fromkeys((State.REFUSED, State.REJECTED, State.FAILED), "red"),
    **dict.fromkeys((State.EXPIRED, State.CANCELLED, State.CLOSED), "dim"),
}


_COLUMNS: dict[str, dict[str, Any]] = {
    "fixed": {"no_wrap": True},
    "right": {"no_wrap": True, "justify": "right"},
    "flow": {"overflow": "fold"},
    "fill": {"overflow": "fold", "ratio": 1},
    "cut": {},
}


def elide(path: str, width: int, mark: str = "…") -> str:
    """`path` in at most `width` cells with `mark` for its middle; the name and the first folders stay longest."""
    from rich.cells import cell_len

    if cell_len(path) <= width:
        return path
    available = width - cell_len(mark)
    head, slash, name = path.rpartition("/")
    head_cells = available - cell_len(slash + name)
    if slash and head_cells >= 4:
        return f"{_first(head, head_cells)}{mark}{slash}{name}"
    return f"{_first(path, available // 2)}{mark}{_last(path, available - available // 2)}"


def grid(*columns: str, gap: int = 2) -> Table:
    """A table without lines.

    Its columns are ``fixed``, ``right`` (fixed, right-aligned), ``flow`` (wrapped), ``fill`` (wrapped, takes the
    remaining width) or ``cut`` (shrinks first; its cells come from `on_one_line`).
    """
    from rich.table import Table

    table = Table.grid(padding=(0, gap, 0, 0))
    for kind in columns:
        table.add_column(**_COLUMNS[kind])
        table.expand = table.expand or kind == "fill"
    return table


def on_one_line(text: Text) -> Text:
    """`text` on one line, with an ellipsis where the width ends."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def with_mark(profile: TerminalProfile, mark: tuple[str, str], text: str, style: str = "") -> Table:
    """A mark, and beside it `text`, wrapped with a hanging indent."""
    table = grid("fixed", "flow", gap=1)
    table.add_row(profile.text(mark), profile.text((text, style)))
    return table


def join_parts(profile: TerminalProfile, parts: Iterable[tuple[str, str]], separator: str = " · ") -> Text:
    """Styled parts on one line, with a dim separator between them."""
    pieces: list[tuple[str, str]] = []
    for part in parts:
        pieces += [(separator, "dim"), part] if pieces else [part]
    return profile.text(*pieces)


def max_width(texts: Sequence[str], at_most: int) -> int:
    """The width in cells of the widest of `texts`, at most `at_most`."""
    from rich.cells import cell_len

    return min(at_most, max((cell_len(text) for text in texts), default=0))


def _first(text: str, cells: int) -> str:
    from rich.cells import chop_cells

    return chop_cells(text, cells)[0] if text and cells > 1 else ""


def _last(text: str, cells: int) -> str:
    from rich.cells import cell_len

    while text and cell_len(text) > cells:
        text = text[max(1, (len(text) - cells) // 2) :]
    return text
