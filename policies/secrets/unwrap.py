"""Decodes the texts that a text contains in split, escaped, encoded or compressed form, recursively.

Every function takes linear time. Nested and compressed texts are limited in depth and size, and count as sealed beyond
the limits. A position in a decoded text can be traced to its line in the original.
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
"""Longer runs of base64 are decoded only from their first character, shorter ones from each of the first four."""

MAX_DEPTH: Final = 4
"""The most nested encodings that are decoded."""
MAX_INNER_BYTES: Final = 4 * 1024 * 1024
"""The most bytes that nested and compressed texts may decode to in all."""

# The first bytes of archives and compressed files (file(1), magic/Magdir/archive and compress).
_SEALED: Final = {
    b"\x1f\x8b\x08": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x04\x22\x4d\x18": "lz4",
    b"MSCF": "cab", b"!<arch>\n": "ar",
}  # fmt: skip

_BASE64: Final = r"[A-Za-z0-9+/_-]{20,}(?:\r?\n[ \t]{0,40}[A-Za-z0-9+/_-]{4,})*"
_HEX: Final = r"[0-9a-fA-F]{32,}"
# Hex digits with separators, then character codes; lines of hexdump and xxd begin with an offset and end with text.
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
        """The line of `position`."""
        if self._starts is None:
            self._starts = array("Q", [0])
            end = self._text.find(b"\n")
            while end >= 0:
                self._starts.append(end + 1)
                end = self._text.find(b"\n", end + 1)
        return bisect_right(self._starts, position)


@dataclass(slots=True)
class EncodedLayer:
    """A decoded text. `starts` are the positions of its pieces, `numbers` their lines in the original.

    `lasts` maps a line to the last line of the piece that begins there; by default the same line.
    """

    how: str
    text: bytes
    starts: array[int] = field(default_factory=lambda: array("Q"))
    numbers: array[int] = field(default_factory=lambda: array("Q"))
    lasts: dict[int, int] = field(default_factory=dict)
    decoded: bool = False
    sealed: str = ""

    def at(self, position: int) -> int:
        """As `line_at`, so that a layer can replace `TextLines` for nested layers."""
        return self.line_at(position)

    def line_at(self, position: int) -> int:
        """The line (from 1) of `position` in the original text."""
        if not self.starts:
            return self.text.count(b"\n", 0, position) + 1
        return self.numbers[bisect_right(self.starts, position) - 1]

    def last_at(self, position: int) -> int:
        """The last original line of the piece at `position`."""
        return self.last_of(self.line_at(position))

    def last_of(self, line: int) -> int:
        """The last original line of the piece that begins on `line`."""
        return self.lasts.get(line, line)


def sealed_kind(blob: bytes) -> str | None:
    """The kind of archive or compressed file that `blob` is; None for other files."""
    if blob[257:262] == b"ustar":
        return "tar"
    if blob.startswith(b"BZh") and blob[4:10] == b"1AY&SY":
        return "bzip2"
    return next((kind for magic, kind in _SEALED.items() if blob.startswith(magic)), None)


@dataclass(slots=True)
class _Budget:
    """The remaining bytes that nested texts may decode to."""

    size: int = MAX_INNER_BYTES


def layers(text: bytes) -> Iterator[EncodedLayer]:
    """Every decoding of `text`, and the decodings of these, recursively."""
    budget = _Budget()
    for layer in _outer(text):
        yield layer
        if layer.decoded:
            yield from _inner(layer, 1, budget)


def opened(blob: bytes) -> Iterator[EncodedLayer]:
    """The content of `blob` if it is a compressed file, and the decodings of that."""
    budget, whole = _Budget(), EncodedLayer("the file", blob, array("Q", [0]), array("Q", [1]), decoded=True)
    for layer in _within(whole, [_streams(whole, budget)], 1, budget):
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
    """`text` decoded from each supported text encoding."""
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


def _inner(layer: EncodedLayer, depth: int, budget: _Budget) -> Iterator[EncodedLayer]:
    yield from _within(layer, (*_codes(layer.text, layer), _streams(layer, budget)), depth, budget)


def _within(
    layer: EncodedLayer, inner_layers: Iterable[EncodedLayer], depth: int, budget: _Budget
) -> Iterator[EncodedLayer]:
    """The `inner_layers` of `layer` and their decodings; a layer beyond the limits is sealed."""
    for inner in inner_layers:
        if not inner.text:
            continue
        inner.how = f"{inner.how} in {layer.how}"
        inner.lasts = {number: layer.last_of(number) for number in inner.numbers}
        budget.size -= len(inner.text)
        if budget.size < 0 or depth >= MAX_DEPTH:
            inner.sealed = "text that is encoded too often, or too large,"
            yield inner
            return
        yield inner
        yield from _inner(inner, depth + 1, budget)


def _streams(layer: EncodedLayer, budget: _Budget) -> EncodedLayer:
    """The content of the compressed pieces of `layer`, one after the other, within the budget."""
    inner, out, text = EncodedLayer("compressed", b"", decoded=True), bytearray(), layer.text
    for (start, end), number in zip(pairwise((*layer.starts, len(text))), layer.numbers, strict=True):
        if start < end and text[start] in STREAM_STARTS and len(out) <= budget.size:
            piece = decompressed(text[start:end], budget.size + 1 - len(out))
            if piece:
                inner.starts.append(len(out))
                inner.numbers.append(number)
                out += piece + b"\n"
    inner.text = bytes(out)
    return inner


def joined(text: bytes) -> EncodedLayer:
    """`text` without line endings, string ends and concatenations, which joins the parts of a split token."""
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
    """(kind, line, bytes) of each decoded piece of `layer` that cannot be inspected."""
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
    """The decoded runs of `regex`, or of its first group, each followed by `end`."""
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
