"""Virtual time: an event loop whose clock jumps to the next timer when nothing else is to do; for code without I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Sleeps take no time, and `time()` tells exactly when each ends, however busy the machine is."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_now_s = 0.0

    def time(self) -> float:
        """Seconds since the loop was made, in virtual time."""
        return self._virtual_now_s

    def _run_once(self) -> None:
        """Jump to the next timer when nothing is ready; asyncio calls this for each round of the loop."""
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._virtual_now_s = max(self._virtual_now_s, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
