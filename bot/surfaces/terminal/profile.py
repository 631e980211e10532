"""What an output stream can show: its width, its colours, and the characters of its encoding."""

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
"""Columns of output to a file or a pipe, unless COLUMNS says otherwise."""
MIN_WIDTH: Final = 40
ACCENT: Final = "cyan"
MINUS: Final = "\N{MINUS SIGN}"
_DUMB_TERMINALS: Final = ("dumb", "unknown")
_HEIGHT: Final = 50  # without one, rich asks the terminal for both height and width
_ASCII_SUBSTITUTES: Final = {
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
    """A line that is already rendered, as by `TerminalProfile.block`; for many lines, where rich is slow."""

    text: str


Item = Union["RenderableType", TerminalBlock]
"""What can be drawn."""


@dataclass(frozen=True, slots=True)
class TerminalProfile:
    """What a stream can show; without `colours` (the name of a rich colour system) output is plain."""

    width: int = PIPE_WIDTH
    colours: str | None = None
    encoding: str = "utf-8"

    def displayable(self, text: str) -> str:
        """`text` made visible, and in characters that the stream's encoding has."""
        safe = visible(text)
        if safe.isascii() or self._can_encode(safe):
            return safe
        return "".join(
            char if char.isascii() or self._can_encode(char) else _ASCII_SUBSTITUTES.get(char) or _substitute(char)
            for char in safe
        )

    def icon(self, icon: str) -> str:
        """`icon` with a space after it, or nothing if it cannot be shown."""
        return f"{icon} " if self._can_encode(icon) else ""

    def text(self, *parts: str | tuple[str, str]) -> Text:
        """A line of texts, plain or each with its style; the only way to draw text.

        The texts are never interpreted as rich's markup.
        """
        from rich.text import Text

        line = Text(overflow="fold")
        for part in parts:
            content, style = (part, "") if isinstance(part, str) else part
            line.append(self.displayable(content), style=style or None)
        return line

    def block(self, *parts: tuple[str, str]) -> TerminalBlock:
        """Like `text`, but rendered immediately and never wrapped."""
        if self.colours is None:
            return TerminalBlock("".join(self.displayable(content) for content, _ in parts).rstrip(" "))
        return TerminalBlock(
            "".join(_coloured(self.displayable(content), style, self.colours) for content, style in parts if content)
        )

    def render(self, items: Iterable[Item], *, width: int | None = None) -> str:
        """`items` one below the other, as the text to write; no line ends with a space."""
        drawn = (
            "".join(f"{item.text}\n" for item in group if isinstance(item, TerminalBlock))
            if is_drawn
            else self._render_with_rich([item for item in group if not isinstance(item, TerminalBlock)], width)
            for is_drawn, group in groupby(items, lambda item: isinstance(item, TerminalBlock))
        )
        return "".join(drawn)

    def _render_with_rich(self, items: list[RenderableType], width: int | None) -> str:
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
        text = (
            canvas.getvalue() if self._can_encode("…") else canvas.getvalue().replace("…", "~")
        )  # rich's own ellipsis has one cell
        return "".join(line.rstrip(" ") + "\n" for line in text.removesuffix("\n").split("\n"))

    def _can_encode(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except (UnicodeError, LookupError):
            return False
        return True


def detect_profile(stream: TextIO) -> TerminalProfile:
    """What `stream` can show; colours only on a terminal without NO_COLOR or TERM=dumb (https://no-color.org)."""
    from rich.console import Console

    encoding = getattr(stream, "encoding", None) or "utf-8"
    console = Console(file=stream)
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "").lower() in _DUMB_TERMINALS
    if not console.is_terminal or is_plain or console.legacy_windows:
        width = console.width if console.is_terminal else _columns()
        return TerminalProfile(max(MIN_WIDTH, width), None, encoding)
    return TerminalProfile(max(MIN_WIDTH, console.width), console.color_system, encoding)


def write_items(stream: TextIO, profile: TerminalProfile, items: Iterable[Item], *, width: int | None = None) -> None:
    """Draw `items` on `stream`."""
    stream.write(profile.render(items, width=width))
    stream.flush()


@cache
def _codes(style: str, colours: str) -> tuple[str, str]:
    """The escape sequences that begin and end a style, taken from rich."""
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
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else PIPE_WIDTH


def _substitute(char: str) -> str:
    return "" if char in _ASCII_SUBSTITUTES else code_point(char)
