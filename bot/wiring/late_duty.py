"""A duty of a worker that begins, and imports what it needs, only when the worker lives for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from core.queue.worker import BackgroundDuty

BEGINS_AFTER_S: Final = 1.0
"""A worker that a command waits for is often done before."""
_LOOKS_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class LateDuty:
    """Runs the duty that `build` returns, `after_s` seconds after the worker began, once it `is_needed`."""

    build: Callable[[], BackgroundDuty]
    is_needed: Callable[[], bool] = lambda: True
    after_s: float = BEGINS_AFTER_S

    async def run(self) -> None:
        """Run until cancelled."""
        await asyncio.sleep(self.after_s)
        while not self.is_needed():  # noqa: ASYNC110 (it asks what a file on disk says)
            await asyncio.sleep(_LOOKS_EVERY_S)
        await self.build().run()
