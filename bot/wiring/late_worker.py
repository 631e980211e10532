"""The worker of `serve`, which is built after the surfaces listen, so that what waits there is acknowledged first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from core.queue.worker import Worker

HEAD_START_S: Final = 1.0
"""How long the surfaces have the process to themselves: building a worker imports lanes, policies and the sandbox."""


@dataclass(slots=True)
class LateWorker:
    """Runs the worker that `build` returns, `after_s` seconds after `run` was called, unless it is stopped before."""

    build: Callable[[], Worker]
    after_s: float = HEAD_START_S
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _worker: Worker | None = None

    async def run(self, *, claims: bool) -> None:
        """Wait, then build the worker and run it until it is stopped; raises what building or running it raises."""
        try:
            async with asyncio.timeout(self.after_s):
                await self._stopped.wait()
        except TimeoutError:
            self._worker = self.build()
            await self._worker.run(claims=claims)

    def stop(self) -> None:
        """Claim no more jobs; running ones finish first."""
        self._stopped.set()
        if self._worker is not None:
            self._worker.stop()
