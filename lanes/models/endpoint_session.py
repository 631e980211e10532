"""A conversation with an endpoint whose faults come out translated, and the quick questions of plain HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from lanes.models.faults import BROKEN, NONSENSE, FaultOrigin, of_broken_line, of_nonsense, of_status, slow
from lanes.models.http_transport import HttpTransport

QUICK_S: Final = 10.0
"""How long an endpoint may take to say what it has."""


@asynccontextmanager
async def translated(whose: FaultOrigin) -> AsyncIterator[None]:
    """Raise what goes wrong within as `core.model.errors` has it."""
    try:
        yield
    except NONSENSE as error:  # before BROKEN, for httpx counts what cannot be decoded among its own
        raise of_nonsense(whose, error) from None
    except BROKEN as error:
        raise of_broken_line(whose, error) from None


@asynccontextmanager
async def in_seconds(whose: FaultOrigin, seconds: float) -> AsyncIterator[None]:
    """Raise `TransientError` when what is done within takes longer."""
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise slow(whose, "did not answer", seconds) from None


@asynccontextmanager
async def sent(
    whose: FaultOrigin, method: str, path: str, body: dict[str, Any] | None = None
) -> AsyncIterator[httpx.Response]:
    """The answer to one request, its body still to be read; one that is no 200 is a fault."""
    wire = HttpTransport(whose.endpoint)
    async with (
        translated(whose),
        httpx.AsyncClient(**wire.options()) as client,
        client.stream(method, f"{whose.endpoint.url}{path}", json=body) as response,
    ):
        if response.status_code != httpx.codes.OK:
            words = _words(await response.aread())
            raise of_status(whose, response.status_code, words, wire.retry_after_s)
        yield response


async def got(whose: FaultOrigin, path: str) -> Any:
    """The JSON at `path`, soon."""
    async with in_seconds(whose, QUICK_S), sent(whose, "GET", path) as response:
        await response.aread()
        return response.json()


def _words(raw: bytes) -> str:
    """What the body of a refusal says: Ollama and OpenAI write ``error``, the latter with a ``message`` in it."""
    try:
        said = httpx.Response(200, content=raw).json()
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")
    said = said.get("error", said) if isinstance(said, dict) else said
    said = said.get("message", said) if isinstance(said, dict) else said
    return said if isinstance(said, str) else ""
