"""What Ctrl-C tells a person: what exists by now, in one sentence that is true in every phase of a command."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

GOES_ON = "goes on when a worker runs; nothing was lost"
_UNKNOWN = "nothing was lost, what is queued goes on when a worker runs"


@dataclass(slots=True)
class _Phase:
    so_far: str = _UNKNOWN


_PHASE = _Phase()  # of the one command that this process runs


def so_far() -> str:
    """What is true of the command that runs now."""
    return _PHASE.so_far


def now(sentence: str = _UNKNOWN) -> None:
    """From here on this is what Ctrl-C has to tell; without a sentence, what is true of any command."""
    _PHASE.so_far = sentence


async def committed(work: Coroutine[Any, Any, T], told: Callable[[T], str | None]) -> T:
    """Do `work`, which makes one change, to its end even when Ctrl-C comes meanwhile; then `told` says what exists.

    Raises `CancelledError` afterwards, as the caller was told to stop. `told` may say None when nothing changed.
    """
    import asyncio

    whole = asyncio.ensure_future(work)
    try:
        result = await asyncio.shield(whole)
    except asyncio.CancelledError:
        before = so_far()
        now("see with `countersign list` whether it was taken in")  # true if a second Ctrl-C comes now
        await asyncio.wait([whole])
        failed = whole.cancelled() or whole.exception() is not None
        now(before if failed else told(whole.result()) or before)
        raise
    if (sentence := told(result)) is not None:
        now(sentence)
    return result
