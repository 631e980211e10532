"""Reads the body of a webhook request exactly as it was sent, within a size and a time limit."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from core.model.errors import UsageError

if TYPE_CHECKING:
    from starlette.requests import Request


class BodyError(UsageError):
    """The request's body was not read to its end; `status` is the HTTP status of the response."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status


async def read_body(request: Request, limit_bytes: int, within_s: float) -> bytes:
    """Read the request's body; at most `limit_bytes` bytes, within `within_s` seconds.

    A Content-Length is trusted only to refuse a body that is too long. Chunks are counted as they arrive, so at most
    the limit and one chunk are in memory. A body with a content encoding is refused, which rules out decompression
    bombs (security.md 120). Raises `BodyError` with status 400, 408, 413 or 415.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise BodyError(415, "encoded_body", "The body is compressed; send it as it is.")
    announced = request.headers.get("content-length")
    if announced is not None:
        if not (announced.isascii() and announced.isdecimal()):
            raise BodyError(400, "bad_length", "Content-Length is not a number.")
        if len(announced) > 18 or int(announced) > limit_bytes:
            raise _too_large(limit_bytes)
    try:
        async with asyncio.timeout(within_s):
            return await _read(request, limit_bytes)
    except TimeoutError as error:
        raise BodyError(408, "slow_body", f"The body did not arrive within {within_s:g} seconds.") from error


async def _read(request: Request, limit_bytes: int) -> bytes:
    from starlette.requests import ClientDisconnect

    body = bytearray()
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                if len(body) + len(chunk) > limit_bytes:
                    raise _too_large(limit_bytes)
                body += chunk
    except ClientDisconnect as error:
        raise BodyError(400, "cut_short", "The connection ended before the body did.") from error
    return bytes(body)


def _too_large(limit_bytes: int) -> BodyError:
    return BodyError(413, "body_too_large", f"The body is larger than {limit_bytes} bytes.")
