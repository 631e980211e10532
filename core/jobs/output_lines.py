"""The newest lines of a program's output, in bounded memory and never cut within a secret that could be masked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

TAIL_BYTES: Final = 32 * 1024
"""How much is kept until it is taken: the newest lines."""
MAX_LINE_BYTES: Final = 16 * 1024
SHOWN_LINE_BYTES: Final = 4 * 1024
"""Of a longer line only so much is shown; far enough from where it was cut that no half of a secret is in it."""
_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "


@dataclass(slots=True)
class OutputLines:
    """Takes chunks, gives whole lines; `secret` is replaced wherever it occurs.

    The lines of a private key are given only together, because a part of them would not be recognised as one.
    """

    secret: str = ""
    _buffer: bytearray = field(default_factory=bytearray)
    _left_out: int = 0
    _skips_line: bool = False
    _in_block: bool = False

    def add(self, chunk: bytes) -> None:
        """Append output; the oldest lines are dropped when it is too much."""
        if self._skips_line:
            _, line_end, chunk = chunk.partition(b"\n")
            self._skips_line = not line_end
        self._buffer += chunk
        if len(self._buffer) > 2 * TAIL_BYTES:
            self._trim()
        last_line = self._buffer.rfind(b"\n") + 1
        if len(self._buffer) - last_line > MAX_LINE_BYTES:
            del self._buffer[last_line + MAX_LINE_BYTES :]
            self._buffer += b"\n"
            self._skips_line = True

    def take(self, *, is_last: bool = False) -> str:
        """The whole lines since the last call, as text; with `is_last` what is left of a line too."""
        end = len(self._buffer) if is_last else self._buffer.rfind(b"\n") + 1
        end = end if is_last else self._before_open_block(end)
        taken = bytes(self._buffer[:end])
        del self._buffer[:end]
        if self._in_block:  # the begin of a key was dropped: its rest is not shown
            _, found, rest = taken.partition(_END)
            self._in_block, taken = not found, rest.partition(b"\n")[2] if found else b""
        text = "".join(map(_shown_line, taken.decode("utf-8", "replace").splitlines(keepends=True)))
        if self.secret:
            text = text.replace(self.secret, "[hidden]")
        left_out, self._left_out = self._left_out, 0
        return f"[… {left_out:,} bytes left out …]\n{text}" if left_out else text

    def _before_open_block(self, end: int) -> int:
        """Where the lines end that may be given: before a key that is not complete yet, if it is not too long."""
        begin = self._buffer.rfind(_BEGIN, 0, end)
        if begin < 0 or self._buffer.find(_END, begin, end) >= 0:
            return end
        return self._buffer.rfind(b"\n", 0, begin) + 1

    def _trim(self) -> None:
        cut = self._buffer.find(b"\n", len(self._buffer) - TAIL_BYTES) + 1 or len(self._buffer)
        dropped = bytes(self._buffer[:cut])
        del self._buffer[:cut]
        self._left_out += len(dropped)
        begin, end = dropped.rfind(_BEGIN), dropped.rfind(_END)
        if begin >= 0 or end >= 0:
            self._in_block = begin > end


def _shown_line(line: str) -> str:
    """A line, without the end of a very long one."""
    return line if len(line) <= SHOWN_LINE_BYTES else f"{line[:SHOWN_LINE_BYTES]} …\n"
