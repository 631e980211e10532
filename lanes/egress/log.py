"""The log of the broker and the proxy: one line for each request, without bodies and headers."""

from __future__ import annotations

import time
from typing import Final

from core.model.change import show_path

_MAX_LINES: Final = 5_000
_MAX_FIELD_CHARS: Final = 300


class EgressLog:
    """The lines of ``broker.log``; limited in number, with unusual characters escaped."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._lines: list[str] = []
        self._dropped = 0

    def add(self, *fields: object) -> None:
        """Append a line of these fields, after the seconds since the start."""
        if len(self._lines) >= _MAX_LINES:
            self._dropped += 1
            return
        line = " ".join(show_path(str(field).encode("utf-8", "surrogateescape"))[:_MAX_FIELD_CHARS] for field in fields)
        self._lines.append(f"{time.monotonic() - self._started_s:8.3f} {line}")

    def content(self) -> bytes:
        """The whole log."""
        omission = [f"[... {self._dropped} lines left out ...]"] if self._dropped else []
        return "".join(f"{line}\n" for line in (*self._lines, *omission)).encode()
