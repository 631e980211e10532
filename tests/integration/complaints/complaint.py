"""A complaint: a scenario that says what went wrong, and the rule under which it was reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.integration.complaints.queues import Queue
from tests.integration.complaints.rivals import OllamaRules
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, words

MODELS: Final = {
    "alpha": ShimModel(8 * GIB, 1024, load_s=4.0, wake_s=4.0),
    "beta": ShimModel(8 * GIB, 1024, load_s=4.0, wake_s=4.0),
    "gamma": ShimModel(8 * GIB, 1024, load_s=4.0, wake_s=4.0),
    "small": ShimModel(2 * GIB, 1024, load_s=1.0, wake_s=1.0),
    "tiny": ShimModel(1 * GIB, 1024, load_s=1.0, wake_s=1.0),
    "mini": ShimModel(1 * GIB, 1024, load_s=1.0, wake_s=1.0),
}
_SPEED: Final = 20.0
_TOKENS_S: Final = 5.0
"""A token takes 10 ms, so that work which takes a while costs this machine little; a load takes 200 ms."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """`symptom` runs the scenario; it returns what went wrong in a sentence, or an empty text.

    Each of `endpoints` is a shim with `memory_gib`, of which other programs have `foreign_gib`. `rival` builds the rule
    that it was reported of.
    """

    number: int
    text: str
    symptom: Callable[[Queue, Mapping[str, GpuShim]], Awaitable[str]]
    rival: Callable[[Mapping[str, GpuShim]], OllamaRules]
    memory_gib: int = 12
    foreign_gib: int = 0
    endpoints: tuple[str, ...] = ("gpu",)
    sends_canaries: bool = False
    """Else none is sent: no job runs here that would tell that the endpoint is in use."""
    past_work_s: tuple[tuple[str, float], ...] = ()
    """How long work with models took before, from which the queue learned."""

    @asynccontextmanager
    async def shims(self) -> AsyncIterator[dict[str, GpuShim]]:
        """The model servers of the scenario."""
        shims = {name: self._shim() for name in self.endpoints}
        for shim in shims.values():
            await shim.start()
        try:
            yield shims
        finally:
            await asyncio.gather(*(shim.stop() for shim in shims.values()))

    def _shim(self) -> GpuShim:
        hardware = Hardware(memory_bytes=self.memory_gib * GIB, foreign_bytes=self.foreign_gib * GIB)
        return GpuShim(MODELS, hardware, reply=words(200), tokens_s=_TOKENS_S, speed=_SPEED)


def loads(shims: Mapping[str, GpuShim]) -> int:
    """How many loads there were, from disk or from RAM."""
    return sum(shim.scheduler.tally.loads + shim.scheduler.tally.wakes for shim in shims.values())


async def cancelled(*tasks: asyncio.Task[object]) -> None:
    """Cancel tasks, and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
