"""Reads the server name from the first message of a TLS connection, which is not encrypted.

See RFC 8446, section 4.1.2, and RFC 6066, section 3. One address can serve many names, so this name must equal that of
the CONNECT request. An encrypted ClientHello has another outer name and is refused by the same rule.
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
    """The raw bytes of the message, and the server name in it; empty without one."""

    raw: bytes
    server_name: str

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> ClientHello:
        """Read a whole message, from one or several records.

        Raises `ValueError` for any other message, and `asyncio.IncompleteReadError` if the connection ends early.
        """
        raw, message = b"", b""
        while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[3:], "big"))
            raw, message = raw + head + body, message + body
            if head[0] != _HANDSHAKE or not body or message[0] != _CLIENT_HELLO or len(raw) > _MAX_BYTES:
                raise ValueError("not a TLS ClientHello")
        return cls(raw, _server_name(message[4:]))


def _server_name(hello: bytes) -> str:
    """The value of the extension ``server_name``."""
    rest = hello[34:]  # after the version and the random bytes
    for size in (1, 2, 1):  # session, ciphers, compressions
        _, rest = _split(rest, size)
    rest, _ = _split(rest, 2)
    while rest:
        kind, (body, rest) = int.from_bytes(rest[:2], "big"), _split(rest[2:], 2)
        if kind == _SERVER_NAME:
            names, _ = _split(body, 2)
            name, further = _split(names[1:], 2)
            if further:
                raise ValueError("more than one server name")
            return name.decode("ascii").casefold()
    return ""


def _split(data: bytes, size: int) -> tuple[bytes, bytes]:
    """The field that begins with its length in `size` bytes, and the rest."""
    end = size + int.from_bytes(data[:size], "big")
    if len(data) < max(end, size):
        raise ValueError("the ClientHello is truncated")
    return data[size:end], data[end:]
