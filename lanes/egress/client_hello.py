"""The first words of a TLS connection, as far as they say in the clear whom it is meant for.

RFC 8446, section 4.1.2, and RFC 6066, section 3. A host's address may serve other names as well, so the name in the
greeting must be the one that was asked for. What hides it (an encrypted greeting shows another's name outside) is
refused by the same rule.
"""

from __future__ import annotations

import asyncio
from typing import Final

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_MOST: Final = 64 * 1024


async def read_client_hello(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    """The bytes of a whole greeting, and the name it is meant for, empty where it says none.

    Raises `ValueError` for what is no greeting, and `asyncio.IncompleteReadError` for one that ends early.
    """
    raw, said = b"", b""
    while len(said) < 4 or len(said) < 4 + int.from_bytes(said[1:4], "big"):
        head = await reader.readexactly(5)
        body = await reader.readexactly(int.from_bytes(head[3:], "big"))
        raw, said = raw + head + body, said + body
        if head[0] != _HANDSHAKE or not body or said[0] != _CLIENT_HELLO or len(raw) > _MOST:
            raise ValueError("no greeting of TLS")
    return raw, _named(said[4:])


def _named(hello: bytes) -> str:
    """The server's name in a client's greeting."""
    rest = hello[34:]  # behind the version and the random bytes
    for size in (1, 2, 1):  # session, ciphers, compressions
        _, rest = _cut(rest, size)
    rest, _ = _cut(rest, 2)
    while rest:
        kind, (body, rest) = int.from_bytes(rest[:2], "big"), _cut(rest[2:], 2)
        if kind == _SERVER_NAME:
            names, _ = _cut(body, 2)
            name, more = _cut(names[1:], 2)
            if more:
                raise ValueError("more than one name")
            return name.decode("ascii").casefold()
    return ""


def _cut(words: bytes, size: int) -> tuple[bytes, bytes]:
    """A part that begins with its own length, in `size` bytes, and what is behind it."""
    end = size + int.from_bytes(words[:size], "big")
    if len(words) < max(end, size):
        raise ValueError("the greeting is broken")
    return words[size:end], words[end:]
