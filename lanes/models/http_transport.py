"""The HTTP transport to endpoints: no proxies from the environment, no redirects, and a bound on response size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final, cast

import httpx

from lanes.models.endpoint import Endpoint

CONNECT_S: Final = 10.0
MAX_RESPONSE_BYTES: Final = 32 * 1024 * 1024
_MAX_RETRY_AFTER_S: Final = 3600.0


class ResponseTooLargeError(Exception):
    """A response exceeded the size limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"more than {max_bytes:,} bytes")


class HttpTransport(httpx.AsyncBaseTransport):
    """Sends requests to `endpoint` and bounds the size of responses, in bytes.

    It sets the authorization header itself, so a key that a vendor's client found in the environment is never sent.
    `retry_after_s` is the Retry-After of the last response, None without one.
    """

    def __init__(self, endpoint: Endpoint, *, max_bytes: int = MAX_RESPONSE_BYTES) -> None:
        secure = endpoint.url.startswith("https:")
        self._inner = httpx.AsyncHTTPTransport(verify=_ssl_context() if secure else False, trust_env=False)
        self._key, self._max_bytes = endpoint.key, max_bytes
        self.retry_after_s: float | None = None

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for an `httpx.AsyncClient` that uses this transport."""
        return {
            "transport": self,
            "trust_env": False,
            "follow_redirects": False,
            "timeout": httpx.Timeout(None, connect=CONNECT_S),
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; rejects a compressed response, which could expand beyond the size limit."""
        request.headers.pop("Authorization", None)
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.DecodingError("the response is compressed although we asked for none")
        self.retry_after_s = _parse_retry_after(response.headers.get("Retry-After", ""))
        response.stream = _BoundedStream(cast("httpx.AsyncByteStream", response.stream), self._max_bytes)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    """A stream that raises `ResponseTooLargeError` after `max_bytes`."""

    def __init__(self, stream: httpx.AsyncByteStream, max_bytes: int) -> None:
        self._stream, self._max_bytes = stream, max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._stream:
            read += len(chunk)
            if read > self._max_bytes:
                raise ResponseTooLargeError(self._max_bytes)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


@cache
def _ssl_context() -> Any:
    """The context that verifies https endpoints; SSL_CERT_FILE may name other authorities."""
    return httpx.create_ssl_context()


def _parse_retry_after(header: str) -> float | None:
    """Parse a Retry-After header, in seconds or as a date (RFC 9110, 10.2.3); bounded, None if invalid."""
    if not header:
        return None
    try:
        wait_s = float(int(header)) if header.isdecimal() else _seconds_until(header)
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), _MAX_RETRY_AFTER_S)


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
