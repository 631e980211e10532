"""How a stream can be drawn on: its width, its colours, and the characters its encoding has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Final, TextIO, Union

from bot.cards.safe import code_point, visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

PIPE_WIDTH: Final = 100
"""Columns of what is written into a file or a pipe, where nobody says."""
MIN_WIDTH: Final = 40
ACCENT: Final = "cyan"
MINUS: Final = "\N{MINUS SIGN}"
_DUMB: Final = ("dumb", "unknown")
_HEIGHT: Final = 50  # rich wants one, and otherwise asks the terminal for the width too
_ASCII: Final = {
    "…": "...",
    "·": "|",
    MINUS: "-",
    "\N{EN DASH}": "-",
    "—": "-",
    "→": "->",
    "▎": "|",
    "“": '"',
    "”": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "✓": "ok",
    "✗": "x",
    "\u3000": "  ",
    "\ufe0f": "",
}


@dataclass(frozen=True, slots=True)
class TerminalBlock:
    """A line that is drawn already, as `TerminalProfile.line` does: for very many lines, where rich takes long."""

    text: str


Item = Union["RenderableType", TerminalBlock]
"""What can be put onto the screen."""


@dataclass(frozen=True, slots=True)
class TerminalProfile:
    """What a stream can show. Without `colours` (rich's name of a colour system) neither colour nor lines are drawn."""

    width: int = PIPE_WIDTH
    colours: str | None = None
    encoding: str = "utf-8"

    def fit(self, text: str) -> str:
        """`text` made visible, and in characters that the stream's encoding has."""
        safe = visible(text)
        if safe.isascii() or self._has(safe):
            return safe
        return "".join(c if c.isascii() or self._has(c) else _ASCII.get(c) or _spelled(c) for c in safe)

    def icon(self, icon: str) -> str:
        """`icon` with a space after it, or nothing where it cannot be shown."""
        return f"{icon} " if self._has(icon) else ""

    def text(self, *parts: str | tuple[str, str]) -> Text:
        """A line of texts, each plain or with its style; the only way words get onto the screen.

        What is in them is never read as rich's markup.
        """
        from rich.text import Text

        line = Text(overflow="fold")
        for part in parts:
            said, style = (part, "") if isinstance(part, str) else part
            line.append(self.fit(said), style=style or None)
        return line

    def line(self, *parts: tuple[str, str]) -> TerminalBlock:
        """The same as `text`, drawn at once and never wrapped."""
        if self.colours is None:
            return TerminalBlock("".join(self.fit(said) for said, _ in parts).rstrip(" "))
        return TerminalBlock("".join(_coloured(self.fit(said), style, self.colours) for said, style in parts if said))

    def paint(self, items: Iterable[Item], *, width: int | None = None) -> str:
        """`items` below one another, as the text to write; no line ends with a space."""
        drawn = (
            "".join(f"{item.text}\n" for item in group if isinstance(item, TerminalBlock))
            if is_drawn
            else self._painted([item for item in group if not isinstance(item, TerminalBlock)], width)
            for is_drawn, group in groupby(items, lambda item: isinstance(item, TerminalBlock))
        )
        return "".join(drawn)

    def _painted(self, items: list[RenderableType], width: int | None) -> str:
        import io

        from rich.console import Console, Group

        canvas = io.StringIO()
        console = Console(
            file=canvas,
            width=width or self.width,
            height=_HEIGHT,
            force_terminal=self.colours is not None,
            color_system=self.colours,  # type: ignore[arg-type]  # one of rich's own names
            no_color=False,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
        )
        console.print(Group(*items))
        text = canvas.getvalue() if self._has("…") else canvas.getvalue().replace("…", "~")  # rich's own, one cell
        return "".join(line.rstrip(" ") + "\n" for line in text.removesuffix("\n").split("\n"))

    def _has(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except (UnicodeError, LookupError):
            return False
        return True


def detect_profile(stream: TextIO) -> TerminalProfile:
    """What `stream` can show: colours only on a terminal that wants them (NO_COLOR, TERM=dumb: https://no-color.org)."""
    from rich.console import Console

    encoding = getattr(stream, "encoding", None) or "utf-8"
    console = Console(file=stream)
    dumb = os.environ.get("NO_COLOR") or os.environ.get("TERM", "").lower() in _DUMB
    if not console.is_terminal or dumb or console.legacy_windows:
        width = console.width if console.is_terminal else _columns()
        return TerminalProfile(max(MIN_WIDTH, width), None, encoding)
    return TerminalProfile(max(MIN_WIDTH, console.width), console.color_system, encoding)


def write_items(stream: TextIO, look: TerminalProfile, items: Iterable[Item], *, width: int | None = None) -> None:
    """Draw `items` on `stream`."""
    stream.write(look.paint(items, width=width))
    stream.flush()


@cache
def _codes(style: str, colours: str) -> tuple[str, str]:
    """What begins and ends a style on a terminal, learnt from rich."""
    from rich.console import COLOR_SYSTEMS
    from rich.style import Style

    before, _, after = Style.parse(style).render("\0", color_system=COLOR_SYSTEMS[colours]).partition("\0")
    return before, after


def _coloured(text: str, style: str, colours: str) -> str:
    if not style:
        return text
    before, after = _codes(style, colours)
    return f"{before}{text}{after}"


def _columns() -> int:
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isdecimal() and int(said) else PIPE_WIDTH


def _spelled(char: str) -> str:
    return "" if char in _ASCII else code_point(char)
