"""The webhook: Telegram brings updates to an address that only it knows, with a secret that only it has.

The secret is compared in constant time before a byte of the body is read (security.md 25); the path is derived from
the token and does not show it. An update is answered 200 only once it is kept; one that cannot be kept now gets 503,
and Telegram brings it again (core.telegram.org/bots/api#setwebhook).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.errors import TransientError
from core.log import log

SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
MAX_BODY_BYTES: Final = 1_000_000

Keep = Callable[[object], Awaitable[bool]]
"""Keeps what a body says; false when it says nothing that Telegram would send."""


def webhook_route(path: str, secret: str, keep: Keep) -> Route:
    """The one route: 401 without the secret, 413 for too much, 400 for what is no update, 503 for not kept."""

    async def endpoint(request: Request) -> Response:
        given = request.headers.get(SECRET_HEADER, "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, secret.encode("ascii")):
            return _reply(401, "who are you?")
        try:
            body = await _body(request)
        except ClientDisconnect:
            return _reply(400, "cut short")
        if body is None:
            return _reply(413, "too much")
        try:
            update = json.loads(body)
        except (ValueError, RecursionError):
            return _reply(400, "not JSON")
        try:
            taken = await keep(update)
        except TransientError as error:
            log.warning("telegram_update_was_not_kept", why=str(error))
            return _reply(503, "later, please")
        return _reply(200, "kept") if taken else _reply(400, "not an update")

    return Route(path, endpoint, methods=["POST"])


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it is known to be longer than we read."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > MAX_BODY_BYTES:
        return None
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MAX_BODY_BYTES:
            return None
    return bytes(found)


def _reply(status: int, words: str) -> Response:
    return PlainTextResponse(words, status)
