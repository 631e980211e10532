"""Deliveries over HTTP: signed requests, verified over their raw bytes before anything parses them.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.surfaces.slack import payloads
from core.log import fault_of, log

MAX_BODY_BYTES: Final = 1_000_000
MAX_AGE_S: Final = 300
"""The maximum age of a signed request; a replay within it is deduplicated by its content."""
BODY_S: Final = 10.0
UNHANDLED_STATUS: Final = 404
"""Bolt's status for a delivery that no listener handles; it is acknowledged, or Slack would repeat it."""
_SIGNATURE: Final = re.compile(rb"v0=[0-9a-f]{64}")
_TIMESTAMP: Final = re.compile(rb"[0-9]{1,12}")
_SSL_CHECK: Final = re.compile(rb"(?:token=[A-Za-z0-9]{0,100}&)?ssl_check=1(?:&token=[A-Za-z0-9]{0,100})?")
"""The body of Slack's certificate check (https://docs.slack.dev/interactivity/implementing-slash-commands)."""
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


def is_signed(secret: bytes, timestamp: bytes, signature: bytes, body: bytes, now_s: float) -> bool:
    """Whether Slack signed exactly these bytes within the last `MAX_AGE_S`; never raises (security.md 15-18).

    slack_sdk's own verifier raises for a timestamp that is not a number, a signature that is not ASCII and a body that
    is not UTF-8, so that anyone could cause a status 500.
    """
    if not secret or not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return False
    if abs(now_s - int(timestamp)) > MAX_AGE_S:
        return False
    digest = hmac.new(secret, b"v0:" + timestamp + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(b"v0=" + digest.encode(), signature)


def build_routes(app: AsyncApp, secret: str, clock: Callable[[], float] = time.time) -> Sequence[BaseRoute]:
    """The three routes that the app's settings at Slack name; all accept POST only."""

    async def events(request: Request) -> Response:
        return await _receive(app, secret.encode(), clock, request, _JSON)

    async def forms(request: Request) -> Response:
        return await _receive(app, secret.encode(), clock, request, _FORM)

    return (
        Route("/slack/events", events, methods=["POST"]),
        Route("/slack/interactions", forms, methods=["POST"]),
        Route("/slack/commands", forms, methods=["POST"]),
    )


async def _receive(
    app: AsyncApp, secret: bytes, clock: Callable[[], float], request: Request, media_type: str
) -> Response:
    try:
        async with asyncio.timeout(BODY_S):
            body = await _body(request)
    except (TimeoutError, ClientDisconnect):
        return Response(status_code=408)
    if body is None:
        return Response(status_code=413)
    if media_type == _FORM and _SSL_CHECK.fullmatch(body):
        return Response(status_code=200)  # Slack checks that the address exists
    headers = dict(request.scope["headers"])
    stamp, signature = headers.get(b"x-slack-request-timestamp", b""), headers.get(b"x-slack-signature", b"")
    if not is_signed(secret, stamp, signature, body, clock()):
        log.info("slack_signature_refused", path=request.url.path)
        return Response(status_code=401)
    return await _dispatch(app, request.url.path, body, media_type)


async def _dispatch(app: AsyncApp, path: str, body: bytes, media_type: str) -> Response:
    """Process a signed delivery; one that can never be read is acknowledged, or Slack would repeat it."""
    text, payload = _read(body, media_type)
    if text is None:
        return Response(status_code=401)
    if payload is not None and payload.get("type") == "url_verification" and media_type == _JSON:
        return JSONResponse({"challenge": str(payload.get("challenge", ""))[:1000]})
    if payload is None or not payloads.is_well_formed(payload):
        log.warning("slack_delivery_malformed", path=path)
        return Response(status_code=200)
    try:
        answer = await app.async_dispatch(AsyncBoltRequest(body=text, headers={"content-type": media_type}))
    except Exception as error:  # noqa: BLE001 - bolt reads more than we check, and its errors may hold user data
        log.error("slack_delivery_broke", kind=payloads.delivery_kind(payload), **fault_of(error))
        return Response(status_code=200)
    if answer.status == UNHANDLED_STATUS:
        return Response(status_code=200)
    kind = answer.headers.get("content-type", ["text/plain"])[0]
    return Response(answer.body or b"", status_code=answer.status, media_type=kind)


async def _body(request: Request) -> bytes | None:
    """The raw bytes, or None if there are too many; reads no further than that."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        return None
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            return None
    return bytes(received)


def _read(body: bytes, media_type: str) -> tuple[str | None, dict[str, Any] | None]:
    """The body as text (None: not UTF-8) and its payload (None: not what Slack sends)."""
    text = None
    try:
        text = body.decode()
        if media_type == _JSON:
            payload = json.loads(text)
        else:
            fields = parse_qs(text, max_num_fields=100)
            payload = json.loads(fields["payload"][0]) if "payload" in fields else {"command": fields["command"][0]}
    except (ValueError, KeyError, RecursionError):
        return text, None
    return text, payload if isinstance(payload, dict) else None
