"""The first message of a TLS connection, which names in the clear the server that it is meant for.

RFC 8446, section 4.1.2, and RFC 6066, section 3. One address may serve many names, so the name in this message must be
the one that was asked for. Encrypted ClientHello shows another name outside, and is refused by the same rule.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The message's bytes as they came, and the server's name in it; empty where it has none."""

    raw: bytes
    server_name: str

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> ClientHello:
        """Read one whole message, from one or several records.

        Raises `ValueError` for anything else, and `asyncio.IncompleteReadError` where the connection ends early.
        """
        raw, message = b"", b""
        while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[3:], "big"))
            raw, message = raw + head + body, message + body
            if head[0] != _HANDSHAKE or not body or message[0] != _CLIENT_HELLO or len(raw) > _MAX_BYTES:
                raise ValueError("not a ClientHello of TLS")
        return cls(raw, _server_name(message[4:]))


def _server_name(hello: bytes) -> str:
    """The value of the extension ``server_name``."""
    rest = hello[34:]  # behind the version and the random bytes
    for size in (1, 2, 1):  # session, ciphers, compressions
        _, rest = _split(rest, size)
    rest, _ = _split(rest, 2)
    while rest:
        kind, (body, rest) = int.from_bytes(rest[:2], "big"), _split(rest[2:], 2)
        if kind == _SERVER_NAME:
            names, _ = _split(body, 2)
            name, more = _split(names[1:], 2)
            if more:
                raise ValueError("more than one server name")
            return name.decode("ascii").casefold()
    return ""


def _split(data: bytes, size: int) -> tuple[bytes, bytes]:
    """A part that begins with its own length, in `size` bytes, and what is behind it."""
    end = size + int.from_bytes(data[:size], "big")
    if len(data) < max(end, size):
        raise ValueError("the ClientHello is cut off")
    return data[size:end], data[end:]
