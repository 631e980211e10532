"""What a command prints at Ctrl-C: a sentence about what exists by then, updated at each phase of the command."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

GOES_ON = "continues when a worker runs; nothing was lost"
_UNKNOWN = "nothing was lost, queued work continues when a worker runs"


@dataclass(slots=True)
class _Phase:
    so_far: str = _UNKNOWN


_PHASE = _Phase()  # of the one command that this process runs


def interrupt_report() -> str:
    """The sentence to print if the command is interrupted now."""
    return _PHASE.so_far


def on_interrupt(sentence: str = _UNKNOWN) -> None:
    """Set the sentence to print at Ctrl-C from here on; the default is true for any command."""
    _PHASE.so_far = sentence


async def uninterrupted(work: Coroutine[Any, Any, T], describe: Callable[[T], str | None]) -> T:
    """Run `work`, which makes one change, to completion even if Ctrl-C arrives; `describe` says what exists then.

    Raises `CancelledError` afterwards if Ctrl-C arrived. `describe` returns None if nothing changed.
    """
    import asyncio

    task = asyncio.ensure_future(work)
    try:
        result = await asyncio.shield(task)
    except asyncio.CancelledError:
        before = interrupt_report()
        on_interrupt("check with `countersign list` whether it was saved")  # true if a second Ctrl-C arrives now
        await asyncio.wait([task])
        failed = task.cancelled() or task.exception() is not None
        on_interrupt(before if failed else describe(task.result()) or before)
        raise
    if (sentence := describe(result)) is not None:
        on_interrupt(sentence)
    return result
