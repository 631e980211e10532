"""One line on a terminal's standard error that says how far a long simulation is; elsewhere nothing."""

from __future__ import annotations

import sys
import time
from typing import Final, Self

import click

_BACK: Final = "\r\x1b[2K"  # to the line's start, and erase it
_EVERY_S: Final = 0.2
_FIRST_S: Final = 0.7
"""A simulation that takes less shows no line."""


class ProgressLine:
    """Redraws one line; it is erased at the end."""

    def __init__(self) -> None:
        self._is_shown = False
        self._next_s = time.monotonic() + _FIRST_S
        self._redraws = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            click.echo(_BACK, nl=False, err=True)

    def update(self, text: str) -> None:
        """Show `text`, at most a few times a second."""
        now_s = time.monotonic()
        if self._redraws and now_s >= self._next_s:
            self._is_shown, self._next_s = True, now_s + _EVERY_S
            click.echo(f"{_BACK}{text[:79]}", nl=False, err=True)
