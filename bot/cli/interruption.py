"""What a command prints at Ctrl-C: what exists by then, in a sentence that is true in every phase of the command."""

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


def interrupt_report() -> str:
    """The sentence to print if the command is interrupted now."""
    return _PHASE.so_far


def on_interrupt(sentence: str = _UNKNOWN) -> None:
    """Set what is printed at Ctrl-C from here on; without a sentence, what is true of any command."""
    _PHASE.so_far = sentence


async def uninterrupted(work: Coroutine[Any, Any, T], describe: Callable[[T], str | None]) -> T:
    """Run `work`, which makes one change, to its end even when Ctrl-C comes; `describe` says what exists then.

    Raises `CancelledError` afterwards if Ctrl-C came. `describe` returns None when nothing changed.
    """
    import asyncio

    whole = asyncio.ensure_future(work)
    try:
        result = await asyncio.shield(whole)
    except asyncio.CancelledError:
        before = interrupt_report()
        on_interrupt("see with `countersign list` whether it was taken in")  # true if a second Ctrl-C comes now
        await asyncio.wait([whole])
        failed = whole.cancelled() or whole.exception() is not None
        on_interrupt(before if failed else describe(whole.result()) or before)
        raise
    if (sentence := describe(result)) is not None:
        on_interrupt(sentence)
    return result
