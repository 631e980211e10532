"""The webhook endpoint: verifies deliveries over their raw bytes, reads and stores them, and only then acknowledges."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from bot.surfaces.github.delivery import DeliveryFilter, GitHubDelivery, parse_payload, read_delivery
from bot.surfaces.port import Inbox
from bot.web.body import BodyError, read_body
from core.log import fault_of, log
from core.model.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

SIGNATURE_HEADER: Final = "x-hub-signature-256"
_SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)

MAX_BYTES: Final = 25 * 1024 * 1024
"""GitHub sends no larger payload. Source: GitHub, "Webhook events and payloads"."""
WITHIN_S: Final = 10.0
LARGE: Final = 1_000_000
"""Bytes from which on a body waits for a slot, so that many large ones do not fill the memory."""
LARGE_AT_ONCE: Final = 4

WakeFollowJob = Callable[[str, int | None, str | None], Awaitable[None]]


@dataclass(slots=True)
class WebhookEndpoint:
    """Serves ``POST /hooks/github``; `delivery_filter` returns the filter in force."""

    secret: bytes
    inbox: Inbox
    delivery_filter: Callable[[], DeliveryFilter]
    now: Callable[[], datetime]
    wake_follow_job: WakeFollowJob | None
    _large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_AT_ONCE))

    async def answer(self, request: Request) -> Response:
        """401 for a body that GitHub did not sign, 4xx for an unreadable one, 503 if not stored, else 202."""
        signature = request.headers.get(SIGNATURE_HEADER)
        if not is_signature(signature):
            return _reply(401, "X-Hub-Signature-256 has no valid signature.")
        try:
            body = await self._body(request)
        except BodyError as error:
            return _reply(error.status, error.problem.message)
        if not await _off_loop(len(body), lambda: is_signed(body, signature, self.secret)):
            return _reply(401, "The signature is not that of this body.")
        refusal = _rejection(request)
        if refusal:
            return _reply(*refusal)
        try:
            payload = await asyncio.to_thread(parse_payload, body)
        except ValueError as error:
            return _reply(400, f"The body is not the expected JSON: {_explain(error)}.")
        event = request.headers["x-github-event"]
        try:
            delivery = await asyncio.to_thread(read_delivery, event, payload, self.delivery_filter(), self.now())
        except Exception as error:  # noqa: BLE001 - it would fail again; others are still processed
            log.error("webhook_broke", surface="github", **fault_of(error))
            delivery = GitHubDelivery(reason="it cannot be read")
        return await self._store(delivery, request.headers.get("x-github-delivery", ""))

    async def _body(self, request: Request) -> bytes:
        """The body. GitHub announces every length, so a body without one must be small."""
        announced = request.headers.get("content-length")
        if announced is None or len(announced) < len(str(LARGE)):
            return await read_body(request, LARGE, WITHIN_S)
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._large.acquire()
        except TimeoutError as error:
            raise BodyError(503, "too_much", "Too many large bodies at once.") from error
        try:
            return await read_body(request, MAX_BYTES, WITHIN_S)
        finally:
            self._large.release()

    async def _store(self, delivery: GitHubDelivery, name: str) -> Response:
        try:
            accepted = [await self.inbox.accept(message) for message in delivery.messages]
            if self.wake_follow_job is not None:
                for signal in delivery.signals:
                    await self.wake_follow_job(signal.repository, signal.number, signal.sha)
        except TransientError as error:
            log.warning("webhook_not_kept", surface="github", delivery=name[:64], problem=error.problem.message)
            wait_s = max(1, round(error.retry_after_s or 30))
            return _reply(503, "It cannot be stored now; deliver it again.", {"Retry-After": str(wait_s)})
        except PermanentError as error:
            log.error("webhook_cannot_be_kept", surface="github", delivery=name[:64], problem=error.problem.message)
            return _reply(202, f"Ignored: {error.problem.message}.")
        if accepted:
            again = sum(1 for each in accepted if not each.is_new)
            return _reply(202, f"Accepted: {len(accepted) - again}, accepted before: {again}.")
        return _reply(202, f"Ignored: {delivery.reason}." if delivery.reason else "Noted.")


def _rejection(request: Request) -> tuple[int, str] | None:
    """Why a signed body is not parsed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return 415, "The webhook sends forms. Set its content type to application/json."
    if kind != "application/json":
        return 415, "Send application/json."
    if not request.headers.get("x-github-event"):
        return 400, "The header X-GitHub-Event is missing."
    return None


def _explain(error: ValueError) -> str:
    return "its bytes are not UTF-8" if isinstance(error, UnicodeError) else str(error)[:200]


async def _off_loop(size: int, work: Callable[[], bool]) -> bool:
    return await asyncio.to_thread(work) if size > LARGE else work()


def _reply(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(f"{text}\n", status, headers)


def is_signature(header: str | None) -> bool:
    """Whether a header could be a signature; a cheap check before the body is read."""
    return header is not None and _SIGNATURE.fullmatch(header) is not None


def is_signed(body: bytes, header: str | None, secret: bytes) -> bool:
    """Whether `header` is ``sha256=`` and the lower-case HMAC of exactly these bytes; compares in constant time.

    The older SHA-1 header is ignored. Source: GitHub, "Validating webhook deliveries".
    """
    match = _SIGNATURE.fullmatch(header or "")
    if match is None or not secret:
        return False
    return hmac.compare_digest(hmac.digest(secret, body, hashlib.sha256).hex(), match[1])
