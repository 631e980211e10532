"""Progress while somebody waits: one living line on a terminal, one line a change of state anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

from bot.cards.parts import ICONS
from bot.cards.times import duration
from bot.surfaces.terminal.layout import STATE_STYLES
from bot.surfaces.terminal.profile import TerminalProfile, detect_profile
from core.model.lifecycle import State

_TURNING: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURNING_ASCII: Final = "|/-\\"
_BACK: Final = "\r\x1b[2K"  # to the line's start, and erase it


class TaskProgress:
    """Tells how a task gets on; use it as a context, and `update` it at every look.

    On a terminal the line is redrawn at each update and gone at the end; elsewhere each new state (or detail) is a line
    of its own.
    """

    def __init__(
        self,
        stream: TextIO,
        number: int,
        *,
        look: TerminalProfile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._number = number
        self._look = look or detect_profile(stream)
        self._clock = clock
        self._began = clock()
        self._said = ""
        self._turns = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._look.colours is not None and self._said:
            self._stream.write(_BACK)
            self._stream.flush()

    def update(self, state: str, detail: str = "") -> None:
        """Say that the task is in `state`; `detail` is the newest step, e.g. ``pushed``."""
        new = f"{state} {detail}".strip()
        changed, self._said = new != self._said, new
        if self._look.colours is not None:
            self._redraw(State(state), detail)
        elif changed:
            icon = self._look.icon(ICONS[State(state)])
            self._stream.write(self._look.fit(f"{icon}#{self._number} {new}").rstrip() + "\n")
            self._stream.flush()

    def _redraw(self, state: State, detail: str) -> None:
        marks = _TURNING if self._look.icon(_TURNING) else _TURNING_ASCII
        self._turns += 1
        line = self._look.text(
            (marks[self._turns % len(marks)], "cyan"),
            f" #{self._number} ",
            (state.value, STATE_STYLES[state]),
            (f" · {detail}" if detail else "", "dim"),
            (f" · {duration(self._clock() - self._began)}", "dim"),
        )
        line.truncate(self._look.width - 1, overflow="ellipsis")
        self._stream.write(_BACK + self._look.paint([line]).removesuffix("\n"))
        self._stream.flush()
