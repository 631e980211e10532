"""Shows a task's progress while a command waits: one updated line on a terminal, one line per change elsewhere."""

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

_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SPINNER_ASCII: Final = "|/-\\"
_CLEAR_LINE: Final = "\r\x1b[2K"  # to the line's start, and erase it


class TaskProgress:
    """Shows the progress of a task; use it as a context manager, and call `update` after each poll.

    On a terminal the line is redrawn at each update and removed at the end; elsewhere each new state or detail is a
    separate line.
    """

    def __init__(
        self,
        stream: TextIO,
        number: int,
        *,
        profile: TerminalProfile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._number = number
        self._profile = profile or detect_profile(stream)
        self._clock = clock
        self._started = clock()
        self._shown = ""
        self._frame = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._profile.colours is not None and self._shown:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()

    def update(self, state: str, detail: str = "") -> None:
        """Show that the task is in `state`; `detail` is the newest step, for example ``pushed``."""
        text = f"{state} {detail}".strip()
        has_changed, self._shown = text != self._shown, text
        if self._profile.colours is not None:
            self._redraw(State(state), detail)
        elif has_changed:
            icon = self._profile.icon(ICONS[State(state)])
            self._stream.write(self._profile.displayable(f"{icon}#{self._number} {text}").rstrip() + "\n")
            self._stream.flush()

    def _redraw(self, state: State, detail: str) -> None:
        frames = _SPINNER if self._profile.icon(_SPINNER) else _SPINNER_ASCII
        self._frame += 1
        line = self._profile.text(
            (frames[self._frame % len(frames)], "cyan"),
            f" #{self._number} ",
            (state.value, STATE_STYLES[state]),
            (f" · {detail}" if detail else "", "dim"),
            (f" · {duration(self._clock() - self._started)}", "dim"),
        )
        line.truncate(self._profile.width - 1, overflow="ellipsis")
        self._stream.write(_CLEAR_LINE + self._profile.render([line]).removesuffix("\n"))
        self._stream.flush()
