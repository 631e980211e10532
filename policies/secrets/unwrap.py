"""Unwrapping: the other texts that a text may carry, one layer deep: split, escaped, base64, hex.

Every function is linear in the text. A position in an unwrapped text leads back to the line it came from.
"""

from __future__ import annotations

import base64
import binascii
import io
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import re2

REALIGN_BYTES: Final = 65536
"""Runs of base64 up to this long are decoded from each of their first four characters; longer, from the first."""

# First bytes of files that hold other bytes than they show (file(1), magic/Magdir/archive and compress).
_SEALED: Final = {
    b"\x1f\x8b\x08": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x04\x22\x4d\x18": "lz4",
    b"MSCF": "cab", b"!<arch>\n": "ar",
}  # fmt: skip

_BASE64: Final = r"[A-Za-z0-9+/_-]{20,}(?:\r?\n[ \t]{0,40}[A-Za-z0-9+/_-]{4,})*"
_HEX: Final = r"[0-9a-fA-F]{32,}"
_ESCAPED: Final = r"(?:(?:\\x|0x|\\u00|, ?0x|,0x)[0-9a-fA-F]{2}){8,}"
_SEAM: Final = r"[\"'`][ \t]*[+.&]?[ \t]*[rbfu]?[\"'`]"
_EDGES: Final = b" \t\r\n\"'`+.&,\\#*"
_DECODED: Final = frozenset({"base64", "hex", "escaped"})
_QUOTES: Final = (b'"', b"'")


class Lines:
    """Line numbers (from 1) of positions in a text; lines end at a newline byte only (security.md 77)."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._starts: array[int] | None = None

    def at(self, position: int) -> int:
        """The line that `position` is on."""
        if self._starts is None:
            self._starts = array("Q", [0])
            end = self._text.find(b"\n")
            while end >= 0:
                self._starts.append(end + 1)
                end = self._text.find(b"\n", end + 1)
        return bisect_right(self._starts, position)


@dataclass(slots=True)
class Layer:
    """One reading of a text. `starts` are positions where a piece begins, `numbers` the line it came from.

    `lasts` gives for each of these lines the last one of what was unwrapped there; without, it is the line itself.
    """

    how: str
    text: bytes
    starts: array[int] = field(default_factory=lambda: array("Q"))
    numbers: array[int] = field(default_factory=lambda: array("Q"))
    lasts: dict[int, int] = field(default_factory=dict)

    def line_at(self, position: int) -> int:
        """The line (from 1) of the original text that `position` came from."""
        if not self.starts:
            return self.text.count(b"\n", 0, position) + 1
        return self.numbers[bisect_right(self.starts, position) - 1]

    def last_at(self, position: int) -> int:
        """The last line of what `position` was unwrapped from."""
        return self.last_of(self.line_at(position))

    def last_of(self, line: int) -> int:
        """The last line of what was unwrapped on `line`."""
        return self.lasts.get(line, line)


def sealed_kind(blob: bytes) -> str | None:
    """Which kind of archive or compressed file `blob` is, or None."""
    if blob[257:262] == b"ustar":
        return "tar"
    if blob.startswith(b"BZh") and blob[4:10] == b"1AY&SY":
        return "bzip2"
    return next((kind for magic, kind in _SEALED.items() if blob.startswith(magic)), None)


def layers(text: bytes) -> Iterator[Layer]:
    """Every other reading of `text` than the plain one."""
    if b"\0" in text:
        yield Layer("UTF-16", text.replace(b"\0", b""))
    yield joined(text)
    lines = Lines(text)
    yield _collect("base64", text, lines, _BASE64, _from_base64)
    yield _collect("hex", text, lines, _HEX, lambda run: [_from_hex(run), _from_hex(run[1:])])
    if b"0x" in text or b"\\" in text:
        yield _collect("escaped", text, lines, _ESCAPED, _from_escapes)
    if b"%" in text:
        yield Layer("percent-encoded", unquote_to_bytes(text))


def joined(text: bytes) -> Layer:
    """`text` with line ends, string ends and concatenation taken out: what two halves of a token make."""
    out, done = bytearray(), 0
    for seam in _compiled(_SEAM).finditer(text):
        out += text[done : seam.start()]
        done = seam.end()
    flat = bytes(out + text[done:])
    layer = Layer("joined", b"")
    out = bytearray()
    for number, line in enumerate(io.BytesIO(flat), 1):
        layer.starts.append(len(out))
        layer.numbers.append(number)
        core = line.strip(_EDGES)
        out += core[2:] if core[1:2] in _QUOTES else core
    layer.text = bytes(out)
    return layer


def sealed_within(layer: Layer) -> Iterator[tuple[str, int, bytes]]:
    """(kind, line, bytes) of each decoded piece of `layer` that is an archive or compressed."""
    if layer.how not in _DECODED:
        return
    for index, (start, end) in enumerate(pairwise((*layer.starts, len(layer.text)))):
        if (kind := sealed_kind(layer.text[start : min(end, start + 300)])) is not None:
            yield kind, layer.numbers[index], layer.text[start:end]


def _collect(how: str, text: bytes, lines: Lines, regex: str, decode: Any) -> Layer:
    """All that the runs of `regex` decode to, one below the other."""
    layer, out = Layer(how, b""), bytearray()
    for run in _compiled(regex).finditer(text):
        number = lines.at(run.start())
        layer.lasts[number] = max(layer.lasts.get(number, 0), lines.at(run.end() - 1))
        for piece in decode(text[run.start() : run.end()]):
            if piece:
                layer.starts.append(len(out))
                layer.numbers.append(number)
                out += piece + b"\n"
    layer.text = bytes(out)
    return layer


def _from_base64(run: bytes) -> list[bytes]:
    plain = bytes(c for c in run if c > 32 and c != 92) if b"\n" in run else run
    plain = plain.replace(b"-", b"+").replace(b"_", b"/")
    starts = range(4) if len(plain) <= REALIGN_BYTES else range(1)
    pieces = []
    for start in starts:
        usable = plain[start : start + (len(plain) - start) // 4 * 4]
        tail = plain[start + len(usable) :]
        pieces.append(base64.b64decode(usable) + _tail(tail))
    return pieces


def _tail(rest: bytes) -> bytes:
    return base64.b64decode(rest + b"=" * (4 - len(rest))) if len(rest) >= 2 else b""


def _from_hex(run: bytes) -> bytes:
    return binascii.unhexlify(run[: len(run) // 2 * 2])


def _from_escapes(run: bytes) -> list[bytes]:
    digits = _compiled(r"(?:\\x|0x|\\u00)([0-9a-fA-F]{2})").findall(run)
    return [binascii.unhexlify(b"".join(digits))]


@cache
def _compiled(regex: str) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    return re2.compile(regex.encode("ascii"), options)
