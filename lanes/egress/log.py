"""What passed through a broker: a line for each request, never a body, never a header."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from core.model.change import show_path

_MOST_LINES: Final = 5_000


class EgressLog:
    """The lines of ``broker.log``; bounded, and every odd character shown."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._lines: list[str] = []
        self._dropped = 0

    def add(self, *words: object) -> None:
        """One line, with the seconds since the start before it."""
        if len(self._lines) >= _MOST_LINES:
            self._dropped += 1
            return
        said = " ".join(show_path(str(word).encode("utf-8", "surrogateescape"))[:300] for word in words)
        self._lines.append(f"{self._clock() - self._began:8.3f} {said}")

    def content(self) -> bytes:
        """The whole log."""
        more = [f"[... {self._dropped} lines left out ...]"] if self._dropped else []
        return "".join(f"{line}\n" for line in (*self._lines, *more)).encode()
