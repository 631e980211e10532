"""Unwrapping: the other texts that a text may carry: split, escaped, encoded, and whatever these carry in turn.

Every function is linear in the text; what is wrapped more than once, or compressed, is bounded in depth and size, and
sealed beyond that. A position in an unwrapped text leads back to the line it came from.
"""

from __future__ import annotations

import base64
import binascii
import io
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import re2

from policies.secrets.streams import STREAM_STARTS, decompressed

REALIGN_BYTES: Final = 65536
"""Runs of base64 up to this long are decoded from each of their first four characters; longer, from the first."""

MAX_DEPTH: Final = 4
"""How many wrappings are taken off, one after the other."""
MAX_INNER_BYTES: Final = 4 * 1024 * 1024
"""How much all that is wrapped more than once, or compressed, may unwrap to."""

# First bytes of files that hold other bytes than they show (file(1), magic/Magdir/archive and compress).
_SEALED: Final = {
    b"\x1f\x8b\x08": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x04\x22\x4d\x18": "lz4",
    b"MSCF": "cab", b"!<arch>\n": "ar",
}  # fmt: skip

_BASE64: Final = r"[A-Za-z0-9+/_-]{20,}(?:\r?\n[ \t]{0,40}[A-Za-z0-9+/_-]{4,})*"
_HEX: Final = r"[0-9a-fA-F]{32,}"
# Hex with something between, then numbers of characters; lines of hexdump and xxd have an offset before, text after.
_SPACED: Final = r"(?:[0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})?[ \t:_,-]{1,2}(?:\r?\n[ \t]{0,20})?){7,}[0-9a-fA-F]{2,4}"
_NUMBERS: Final = r"(?:(?:chr\(|&#)?[0-9]{2,3}[),; ]{1,2}[+. ]{0,3}\s{0,20}){12,}(?:(?:chr\(|&#)?[0-9]{2,3})?"
_ENTITIES: Final = r"(?:&#[xX]0{0,4}[0-9a-fA-F]{2};){8,}"
_BASE32: Final = r"[A-Z2-7]{32,}"
_DUMPED: Final = r"(?m)^[ \t]{0,20}[0-9a-fA-F]{4,16}:?[ \t]{1,8}((?:[0-9a-fA-F]{2}(?:[0-9a-fA-F]{2})?[ \t]{1,2}){2,})"
_ESCAPED: Final = r"(?:(?:\\x|0x|\\u00|, ?0x|,0x)[0-9a-fA-F]{2}){8,}"
_SEAM: Final = r"[\"'`][ \t]*[+.&]?[ \t]*[rbfu]?[\"'`]"
_EDGES: Final = b" \t\r\n\"'`+.&,\\#*"
_QUOTES: Final = (b'"', b"'")


class TextLines:
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
class EncodedLayer:
    """One reading of a text. `starts` are positions where a piece begins, `numbers` the line it came from.

    `lasts` gives for each of these lines the last one of what was unwrapped there; without, it is the line itself.
    """

    how: str
    text: bytes
    starts: array[int] = field(default_factory=lambda: array("Q"))
    numbers: array[int] = field(default_factory=lambda: array("Q"))
    lasts: dict[int, int] = field(default_factory=dict)
    decoded: bool = False
    sealed: str = ""

    def at(self, position: int) -> int:
        """`line_at`: a layer stands for the lines of what is unwrapped from it."""
        return self.line_at(position)

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


@dataclass(slots=True)
class _Left:
    """How much may still be unwrapped from what was unwrapped."""

    size: int = MAX_INNER_BYTES


def layers(text: bytes) -> Iterator[EncodedLayer]:
    """Every other reading of `text` than the plain one, and the readings of what was decoded."""
    left = _Left()
    for layer in _outer(text):
        yield layer
        if layer.decoded:
            yield from _inner(layer, 1, left)


def opened(blob: bytes) -> Iterator[EncodedLayer]:
    """What is in `blob`, if it is one compressed file as a whole, and the readings of that."""
    left, whole = _Left(), EncodedLayer("the file", blob, array("Q", [0]), array("Q", [1]), decoded=True)
    for layer in _within(whole, [_streams(whole, left)], 1, left):
        layer.lasts = {1: blob.count(b"\n") + 1}
        yield layer


def _outer(text: bytes) -> Iterator[EncodedLayer]:
    if b"\0" in text:
        yield EncodedLayer("UTF-16", text.replace(b"\0", b""))
    yield joined(text)
    yield from _codes(text, TextLines(text))
    if b"%" in text:
        yield EncodedLayer("percent-encoded", unquote_to_bytes(text))


def _codes(text: bytes, lines: TextLines | EncodedLayer) -> Iterator[EncodedLayer]:
    """`text` decoded from each code in which a text may be written down as text."""
    yield _collect("base64", text, lines, _BASE64, _from_base64)
    yield _collect("hex", text, lines, _HEX, lambda run: [_from_hex(run), _from_hex(run[1:])])
    yield _collect("spaced hex", text, lines, _SPACED, _from_spaced)
    yield _collect("base32", text, lines, _BASE32, _from_base32)
    yield _collect("numbered", text, lines, _NUMBERS, _from_numbers)
    if b"0x" in text or b"\\" in text:
        yield _collect("escaped", text, lines, _ESCAPED, _from_escapes)
    if b"&#" in text:
        yield _collect("escaped", text, lines, _ENTITIES, _from_escapes)
    yield _collect("dumped", text, lines, _DUMPED, _from_spaced, end=b"")


def _inner(layer: EncodedLayer, depth: int, left: _Left) -> Iterator[EncodedLayer]:
    yield from _within(layer, (*_codes(layer.text, layer), _streams(layer, left)), depth, left)


def _within(layer: EncodedLayer, found: Iterable[EncodedLayer], depth: int, left: _Left) -> Iterator[EncodedLayer]:
    """What was `found` in `layer`, and the readings of that, until the bounds are reached; then it is sealed."""
    for inner in found:
        if not inner.text:
            continue
        inner.how = f"{inner.how} in {layer.how}"
        inner.lasts = {number: layer.last_of(number) for number in inner.numbers}
        left.size -= len(inner.text)
        if left.size < 0 or depth >= MAX_DEPTH:
            inner.sealed = "text that is wrapped too often, or too large,"
            yield inner
            return
        yield inner
        yield from _inner(inner, depth + 1, left)


def _streams(layer: EncodedLayer, left: _Left) -> EncodedLayer:
    """All that compressed pieces of `layer` hold, one below the other, as far as may still be unwrapped."""
    inner, out, text = EncodedLayer("compressed", b"", decoded=True), bytearray(), layer.text
    for (start, end), number in zip(pairwise((*layer.starts, len(text))), layer.numbers, strict=True):
        if start < end and text[start] in STREAM_STARTS and len(out) <= left.size:
            piece = decompressed(text[start:end], left.size + 1 - len(out))
            if piece:
                inner.starts.append(len(out))
                inner.numbers.append(number)
                out += piece + b"\n"
    inner.text = bytes(out)
    return inner


def joined(text: bytes) -> EncodedLayer:
    """`text` with line ends, string ends and concatenation taken out: what two halves of a token make."""
    out, done = bytearray(), 0
    for seam in _compiled(_SEAM).finditer(text):
        out += text[done : seam.start()]
        done = seam.end()
    flat = bytes(out + text[done:])
    layer = EncodedLayer("joined", b"")
    out = bytearray()
    for number, line in enumerate(io.BytesIO(flat), 1):
        layer.starts.append(len(out))
        layer.numbers.append(number)
        core = line.strip(_EDGES)
        out += core[2:] if core[1:2] in _QUOTES else core
    layer.text = bytes(out)
    return layer


def sealed_within(layer: EncodedLayer) -> Iterator[tuple[str, int, bytes]]:
    """(what, line, bytes) of each decoded piece of `layer` that nobody can look into."""
    if layer.sealed:
        yield layer.sealed, layer.numbers[0], layer.text
    if not layer.decoded:
        return
    for index, (start, end) in enumerate(pairwise((*layer.starts, len(layer.text)))):
        if (kind := sealed_kind(layer.text[start : min(end, start + 300)])) is not None:
            yield f"a {kind} archive", layer.numbers[index], layer.text[start:end]


def _collect(
    how: str, text: bytes, lines: TextLines | EncodedLayer, regex: str, decode: Any, *, end: bytes = b"\n"
) -> EncodedLayer:
    """All that the runs of `regex`, or their first groups, decode to, each with `end` after it."""
    layer, out, group = EncodedLayer(how, b"", decoded=True), bytearray(), _compiled(regex).groups
    for run in _compiled(regex).finditer(text):
        number = lines.at(run.start())
        layer.lasts[number] = max(layer.lasts.get(number, 0), lines.at(run.end() - 1))
        for piece in decode(text[run.start(group) : run.end(group)]):
            if piece:
                layer.starts.append(len(out))
                layer.numbers.append(number)
                out += piece + end
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


def _from_spaced(run: bytes) -> list[bytes]:
    return [_from_hex(run.translate(None, b" \t\r\n:_,-"))]


def _from_base32(run: bytes) -> list[bytes]:
    return [base64.b32decode(run[: len(run) // 8 * 8])]


def _from_numbers(run: bytes) -> list[bytes]:
    return [bytes(n for n in map(int, _compiled(r"[0-9]+").findall(run)) if n < 256)]


def _from_escapes(run: bytes) -> list[bytes]:
    digits = _compiled(r"(?:\\x|0x|\\u00|&#[xX]0{0,4})([0-9a-fA-F]{2})").findall(run)
    return [binascii.unhexlify(b"".join(digits))]


@cache
def _compiled(regex: str) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    return re2.compile(regex.encode("ascii"), options)
