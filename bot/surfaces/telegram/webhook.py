"""The webhook: Telegram brings updates to an address that only it knows, with a secret that only it has.

The secret is compared in constant time before a byte of the body is read (security.md 25); the path is derived from
the token and does not show it. An update is answered 200 only once it is kept; one that cannot be kept now gets 503,
and Telegram brings it again (core.telegram.org/bots/api#setwebhook). What can never be read is answered 200 as well:
Telegram would bring it again for a day, and nothing after it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.web.body import BodyError, read_body
from core.log import log
from core.model.errors import TransientError

SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
MAX_BODY_BYTES: Final = 1_000_000
BODY_S: Final = 10.0

StoreUpdateBody = Callable[[object], Awaitable[bool]]
"""Keeps what a body says; false when it says nothing that Telegram would send."""


def webhook_route(path: str, secret: str, keep: StoreUpdateBody) -> Route:
    """The one route: 401 without the secret, 4xx for a body that does not come whole, 503 for not kept, else 200."""

    async def endpoint(request: Request) -> Response:
        given = request.headers.get(SECRET_HEADER, "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, secret.encode("ascii")):
            return _reply(401, "who are you?")
        try:
            update = json.loads(await read_body(request, MAX_BODY_BYTES, BODY_S))
        except BodyError as error:
            return _reply(error.status, error.problem.message)
        except (ValueError, RecursionError):
            log.warning("telegram_update_was_odd", part="all of it")
            return _reply(200, "not JSON")
        try:
            taken = await keep(update)
        except TransientError as error:
            log.warning("telegram_update_was_not_kept", why=str(error))
            return _reply(503, "later, please")
        return _reply(200, "kept" if taken else "not an update")

    return Route(path, endpoint, methods=["POST"])


def _reply(status: int, words: str) -> Response:
    return PlainTextResponse(words, status)
