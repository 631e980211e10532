"""HTTP requests to an endpoint, with its failures translated into the errors of `core.model.errors`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from lanes.models.faults import (
    CONNECTION_FAILURES,
    INVALID_ANSWER,
    FaultOrigin,
    connection_error,
    deadline_error,
    status_error,
    unreadable_answer_error,
)
from lanes.models.http_transport import MAX_RESPONSE_BYTES, HttpTransport

QUICK_REQUEST_S: Final = 10.0
"""The time limit of requests that need no model, in seconds."""


@asynccontextmanager
async def translate_errors(origin: FaultOrigin) -> AsyncIterator[None]:
    """Translate exceptions raised in the block into `TransientError` or `PermanentError`."""
    try:
        yield
    except INVALID_ANSWER as error:  # before CONNECTION_FAILURES: httpx.DecodingError is an HTTPError too
        raise unreadable_answer_error(origin, error) from None
    except CONNECTION_FAILURES as error:
        raise connection_error(origin, error) from None


@asynccontextmanager
async def time_limit(origin: FaultOrigin, seconds: float) -> AsyncIterator[None]:
    """Raise `TransientError` when the block takes longer than `seconds`."""
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise deadline_error(origin, "did not answer", seconds) from None


@asynccontextmanager
async def send_request(
    origin: FaultOrigin,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    max_bytes: int = MAX_RESPONSE_BYTES,
) -> AsyncIterator[httpx.Response]:
    """Send a request and yield the response with its body unread; any status but 200 raises."""
    transport = HttpTransport(origin.endpoint, max_bytes=max_bytes)
    async with (
        translate_errors(origin),
        httpx.AsyncClient(**transport.client_options()) as client,
        client.stream(method, f"{origin.endpoint.url}{path}", json=body) as response,
    ):
        if response.status_code != httpx.codes.OK:
            message = _error_message(await response.aread())
            raise status_error(origin, response.status_code, message, transport.retry_after_s)
        yield response


async def get_json(origin: FaultOrigin, path: str) -> Any:
    """GET `path` and decode its JSON, within `QUICK_REQUEST_S`."""
    async with time_limit(origin, QUICK_REQUEST_S), send_request(origin, "GET", path) as response:
        await response.aread()
        return response.json()


async def read_json(
    origin: FaultOrigin, path: str, body: dict[str, Any] | None = None, *, limit_s: float, max_bytes: int
) -> Any:
    """GET `path`, or POST `body` to it, and decode the JSON of the answer; bounded in time and size."""
    method = "GET" if body is None else "POST"
    async with (
        time_limit(origin, limit_s),
        send_request(origin, method, path, body, max_bytes=max_bytes) as response,
    ):
        await response.aread()
        return response.json()


async def read_text(origin: FaultOrigin, path: str, *, limit_s: float, max_bytes: int) -> str:
    """GET `path` and decode the answer as text; bounded in time and size."""
    async with (
        time_limit(origin, limit_s),
        send_request(origin, "GET", path, max_bytes=max_bytes) as response,
    ):
        await response.aread()
        return response.text


def _error_message(content: bytes) -> str:
    """The message in an error body: Ollama and OpenAI send it under ``error``, OpenAI as ``error.message``."""
    try:
        body = httpx.Response(200, content=content).json()
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")
    body = body.get("error", body) if isinstance(body, dict) else body
    body = body.get("message", body) if isinstance(body, dict) else body
    return body if isinstance(body, str) else ""
