"""A duty of a worker that begins, and imports what it needs, only when the worker lives for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.queue.worker import BackgroundDuty

BEGINS_AFTER_S: Final = 1.0
"""A worker that a command waits for is often done before."""


@dataclass(frozen=True, slots=True)
class LateDuty:
    """Runs the duty that `build` returns, `after_s` seconds after the worker began."""

    build: Callable[[], BackgroundDuty]
    after_s: float = BEGINS_AFTER_S

    async def run(self) -> None:
        """Run until cancelled."""
        await asyncio.sleep(self.after_s)
        await self.build().run()
