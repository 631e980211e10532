"""The HTTP client for configured addresses: checks each address, follows no redirects, and limits time and size."""

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
    """A response: its status, and the first `MAX_ANSWER_BYTES` of its body."""

    status: int
    body: bytes


class CheckedClient:
    """Posts to untrusted addresses. Each call has its own connection; calls share no state."""

    def __init__(
        self, *, resolve: Resolve | None = None, trust: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs, which may contain secrets
        self._resolve = resolve
        self._trust = trust
        self._timeout_s = timeout_s

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, allow_private: bool = False
    ) -> HttpReply:
        """Send a request and return the reply, whose status is 2xx.

        Raises `PermanentError` if a retry cannot help (a refused address, status 3xx or 4xx), and `TransientError`
        otherwise, with the wait that the receiver asked for. Errors do not repeat the address.
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
        """Post to the checked address itself; resolving the name again could give another one."""
        own_headers = {"User-Agent": "countersign", "Accept-Encoding": "identity", "Host": target.host_header}
        all_headers = {**headers, **own_headers}
        if self._trust is None:
            self._trust = httpx.create_ssl_context()  # slow, because it loads all root certificates
        client = httpx.AsyncClient(
            verify=self._trust,
            trust_env=False,  # a proxy would resolve the name again
            follow_redirects=False,
            timeout=self._timeout_s,
        )
        extensions = {"sni_hostname": target.host}
        async with (
            client,
            client.stream("POST", target.url, content=content, headers=all_headers, extensions=extensions) as r,
        ):
            return _checked(r, await _read(r))


async def _read(response: httpx.Response) -> bytes:
    """The beginning of the body as it was sent; it is requested uncompressed, because of decompression bombs."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES]


def _checked(response: httpx.Response, body: bytes) -> HttpReply:
    status = response.status_code
    if 200 <= status < 300:
        return HttpReply(status, body)
    if status in _LATER or status >= 500:
        wait_s = _retry_after_s(response.headers.get("Retry-After"))
        raise TransientError(
            "not_taken", f"the receiver answered {status}", "Countersign tries again.", retry_after_s=wait_s
        )
    outcome = "redirects to another address" if 300 <= status < 400 else "refused it"
    raise PermanentError("refused_there", f"the receiver {outcome} ({status})", "Check its address and secret.")


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
