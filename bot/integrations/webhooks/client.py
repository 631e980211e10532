"""The HTTP client for configured addresses: it checks the address, follows no redirects and bounds every call."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx

from bot.integrations.webhooks.address import Resolve, ResolvedTarget, target_of
from core.model.errors import PermanentError, TransientError

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_RETRY_AFTER_S: Final = 3600.0
_LATER: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back: the status, and as much of the body as is read."""

    status: int
    body: bytes


class CheckedClient:
    """Posts to untrusted addresses. Each call has its own connection; no state is kept between calls."""

    def __init__(
        self, *, resolve: Resolve | None = None, trust: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write whole addresses, and they hold secrets
        self._resolve = resolve
        self._trust = trust
        self._timeout_s = timeout_s

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, allow_private: bool = False
    ) -> HttpReply:
        """The reply with a status of 2xx.

        Raises `PermanentError` when trying again cannot help (a refused address, a status of 4xx or 3xx), and
        `TransientError` otherwise, with the wait that the receiver asked for. No error repeats the address.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                target = await target_of(url, allow_private=allow_private, resolve=self._resolve)
                return await self._post(target, content, headers)
        except TimeoutError as error:
            raise _unreachable(f"did not answer within {self._timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise _unreachable(f"cannot be reached ({type(error).__name__})") from error

    async def _post(self, target: ResolvedTarget, content: bytes, headers: Mapping[str, str]) -> HttpReply:
        """Post to the judged address itself: the name is not resolved again, so it cannot be another by now."""
        ours = {"User-Agent": "countersign", "Accept-Encoding": "identity", "Host": target.host_header}
        sent = {**headers, **ours}
        if self._trust is None:
            self._trust = httpx.create_ssl_context()  # reads every root there is: once is enough
        client = httpx.AsyncClient(
            verify=self._trust,
            trust_env=False,  # a proxy would resolve the name anew
            follow_redirects=False,
            timeout=self._timeout_s,
        )
        extensions = {"sni_hostname": target.host}
        async with client, client.stream("POST", target.url, content=content, headers=sent, extensions=extensions) as r:
            return _judged(r, await _read(r))


async def _read(response: httpx.Response) -> bytes:
    """The beginning of the body, as it was sent: requested uncompressed, for compressed data may grow without end."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES]


def _judged(response: httpx.Response, body: bytes) -> HttpReply:
    status = response.status_code
    if 200 <= status < 300:
        return HttpReply(status, body)
    if status in _LATER or status >= 500:
        wait_s = _retry_after_s(response.headers.get("Retry-After"))
        raise TransientError(
            "not_taken", f"the receiver answered {status}", "Countersign tries again.", retry_after_s=wait_s
        )
    what = "wants to send us elsewhere" if 300 <= status < 400 else "refused it"
    raise PermanentError("refused_there", f"the receiver {what} ({status})", "Check its address and secret.")


def _retry_after_s(header: str | None) -> float | None:
    """``Retry-After``: seconds or a date (RFC 9110, section 10.2.3), at most an hour."""
    if header is None:
        return None
    try:
        wait_s = float(header) if header.strip().isdigit() else _until_s(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _until_s(header: str) -> float:
    at = email.utils.parsedate_to_datetime(header)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()


def _unreachable(why: str) -> TransientError:
    return TransientError("unreachable", f"the receiver {why}", "Countersign tries again.")
