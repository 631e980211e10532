"""Reading what a model says, piece by piece: within its deadlines, within its bounds, and as text that can be kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

from core.strict_json import NotJsonError
from lanes.models.endpoint import Endpoint
from lanes.models.faults import FaultOrigin, babbled, slow

T = TypeVar("T")

_BYTES_A_TOKEN: Final = 64
_SLACK_BYTES: Final = 65_536
_DEEPEST: Final = 40
_LONGEST_INT: Final = 10**18


async def in_time(whose: FaultOrigin, pieces: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The pieces of an answer, the first, each further and the last of them within the endpoint's deadlines.

    When one strikes, or the caller stops, the line is hung up, so that the server stops too. Raises `TransientError`.
    """
    endpoint, loop = whose.endpoint, asyncio.get_running_loop()
    end, first = loop.time() + endpoint.total_s, True
    async with aclosing(pieces):
        while True:
            wait_s = endpoint.first_token_s if first else endpoint.between_tokens_s
            deadline = asyncio.timeout_at(min(loop.time() + wait_s, end))
            try:
                async with deadline:
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not deadline.expired():
                    raise
                raise _struck(whose, endpoint, first=first, total=loop.time() >= end) from None
            yield piece
            first = False


def _struck(whose: FaultOrigin, endpoint: Endpoint, *, first: bool, total: bool) -> Exception:
    if total:
        return slow(whose, "did not finish (total_s)", endpoint.total_s)
    if first:
        return slow(whose, "said nothing (first_token_s)", endpoint.first_token_s)
    return slow(whose, "said nothing more (between_tokens_s)", endpoint.between_tokens_s)


class StreamMeter:
    """Counts an answer as it comes; raises `PermanentError` for more than so many tokens can be."""

    def __init__(self, whose: FaultOrigin, most_tokens: int) -> None:
        self._whose, self._most_bytes, self._bytes = whose, most_tokens * _BYTES_A_TOKEN + _SLACK_BYTES, 0

    def count(self, *texts: str | None) -> None:
        """These came."""
        self._bytes += sum(len(text.encode("utf-8", "replace")) for text in texts if text)
        if self._bytes > self._most_bytes:
            raise babbled(self._whose, f"it went on after {self._most_bytes:,} bytes")


def storable(text: str) -> str:
    """Text without what no database and no UTF-8 takes: halves of pairs, and NUL."""
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def storable_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments as JSON that can be kept; raises `NotJsonError` for NaN and for depths nobody means."""
    return {storable(str(name)): _storable(value, 1) for name, value in arguments.items()}


def _storable(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise NotJsonError(f"The arguments are nested deeper than {_DEEPEST}.")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): _storable(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise NotJsonError("The arguments hold NaN or an infinite number.")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LONGEST_INT:
        raise NotJsonError("The arguments hold a number that does not fit into 64 bits.")
    return value
