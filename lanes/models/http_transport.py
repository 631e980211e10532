"""The line to an endpoint: it heeds no proxy of the environment, follows no redirect, and never reads without end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final, cast

import httpx

from lanes.models.endpoint import Endpoint

CONNECT_S: Final = 10.0
MOST_BYTES: Final = 32 * 1024 * 1024
_LONGEST_WAIT_S: Final = 3600.0


class ResponseTooLargeError(Exception):
    """The endpoint sent more than anybody asked for."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"more than {most_bytes:,} bytes")


class HttpTransport(httpx.AsyncBaseTransport):
    """What carries the requests of one conversation with `endpoint`, and bounds what comes back in bytes.

    It alone says who we are: a key that the vendor's client found in the environment goes nowhere. `retry_after_s` is
    what the last refusal asked for.
    """

    def __init__(self, endpoint: Endpoint, *, most_bytes: int = MOST_BYTES) -> None:
        secure = endpoint.url.startswith("https:")
        self._inner = httpx.AsyncHTTPTransport(verify=_trusted() if secure else False, trust_env=False)
        self._key, self._most_bytes = endpoint.key, most_bytes
        self.retry_after_s: float | None = None

    def options(self) -> dict[str, Any]:
        """What an HTTP client is made with, for this to carry its requests."""
        return {
            "transport": self,
            "trust_env": False,
            "follow_redirects": False,
            "timeout": httpx.Timeout(None, connect=CONNECT_S),
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its answer may not be packed, for a little of that can be very much."""
        request.headers.pop("Authorization", None)
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.DecodingError("the answer is packed though nobody asked for that")
        self.retry_after_s = _seconds(response.headers.get("Retry-After", ""))
        response.stream = _Bounded(cast("httpx.AsyncByteStream", response.stream), self._most_bytes)
        return response

    async def aclose(self) -> None:
        """Hang up."""
        await self._inner.aclose()


class _Bounded(httpx.AsyncByteStream):
    """A stream that ends in `ResponseTooLargeError` after so many bytes."""

    def __init__(self, stream: httpx.AsyncByteStream, most_bytes: int) -> None:
        self._stream, self._most_bytes = stream, most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._stream:
            read += len(chunk)
            if read > self._most_bytes:
                raise ResponseTooLargeError(self._most_bytes)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


@cache
def _trusted() -> Any:
    """The authorities that https endpoints are checked against; SSL_CERT_FILE may name others."""
    return httpx.create_ssl_context()


def _seconds(said: str) -> float | None:
    """A Retry-After, in seconds or as a date (RFC 9110, 10.2.3), within reason."""
    if not said:
        return None
    try:
        wait_s = float(int(said)) if said.isdecimal() else _until(said)
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)


def _until(date: str) -> float:
    then = parsedate_to_datetime(date)
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
