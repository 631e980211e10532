"""Decompresses streams up to a limit, in bounded memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Final

STREAM_STARTS: Final = frozenset(b"\x1f\xfd\x42\x78\x5d")
"""The first bytes of the supported streams."""

_ZLIB: Final = frozenset({b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"})  # RFC 1950, a window of 32 KiB
_LZMA: Final = b"\x5d\x00\x00"  # the properties that xz --format=lzma writes
_LZMA_MEMORY: Final = 64 * 1024 * 1024


def decompressed(piece: bytes, limit: int) -> bytes:
    """At most `limit` decompressed bytes of a piece; empty if the piece is not compressed."""
    try:
        if piece[:2] in _ZLIB or piece[:2] == b"\x1f\x8b":
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(piece, limit)
        if piece.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(piece, limit)
        if piece.startswith((b"\xfd7zXZ", _LZMA)):
            return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(piece, limit)
    except (zlib.error, OSError, ValueError, lzma.LZMAError):
        return b""
    return b""
