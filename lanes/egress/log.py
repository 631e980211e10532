"""The log of a broker: one line for each request, never a body, never a header."""

from __future__ import annotations

import time
from typing import Final

from core.model.change import show_path

_MAX_LINES: Final = 5_000
_MAX_WORD_CHARS: Final = 300


class EgressLog:
    """The lines of ``broker.log``; bounded, and every odd character written out."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._lines: list[str] = []
        self._dropped = 0

    def add(self, *words: object) -> None:
        """Append one line, with the seconds since the start before it."""
        if len(self._lines) >= _MAX_LINES:
            self._dropped += 1
            return
        line = " ".join(show_path(str(word).encode("utf-8", "surrogateescape"))[:_MAX_WORD_CHARS] for word in words)
        self._lines.append(f"{time.monotonic() - self._began_s:8.3f} {line}")

    def content(self) -> bytes:
        """The whole log."""
        more = [f"[... {self._dropped} lines left out ...]"] if self._dropped else []
        return "".join(f"{line}\n" for line in (*self._lines, *more)).encode()
