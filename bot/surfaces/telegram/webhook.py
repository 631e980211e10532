"""The webhook: Telegram posts updates to a secret path, with a secret header.

The secret is compared in constant time before the body is read (security.md 25); the path is derived from the token and
does not reveal it. An update is answered with 200 only after it was stored; one that cannot be stored now gets 503, and
Telegram delivers it again (core.telegram.org/bots/api#setwebhook). An update that can never be read is answered with
200 as well, because Telegram would repeat it for a day and hold back all others.
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
"""Stores the update of a body; returns false if it is not an update."""


def webhook_route(path: str, secret: str, store: StoreUpdateBody) -> Route:
    """The route: 401 without the secret, 4xx for an incomplete body, 503 if not stored, else 200."""

    async def endpoint(request: Request) -> Response:
        header = request.headers.get(SECRET_HEADER, "").encode("latin-1", "replace")
        if not hmac.compare_digest(header, secret.encode("ascii")):
            return _reply(401, "unauthorized")
        try:
            update = json.loads(await read_body(request, MAX_BODY_BYTES, BODY_S))
        except BodyError as error:
            return _reply(error.status, error.problem.message)
        except (ValueError, RecursionError):
            log.warning("telegram_update_was_odd", part="all of it")
            return _reply(200, "not JSON")
        try:
            is_update = await store(update)
        except TransientError as error:
            log.warning("telegram_update_was_not_kept", why=str(error))
            return _reply(503, "try again later")
        return _reply(200, "stored" if is_update else "not an update")

    return Route(path, endpoint, methods=["POST"])


def _reply(status: int, text: str) -> Response:
    return PlainTextResponse(text, status)
