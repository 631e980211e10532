"""An engine that is made when the first job runs: a process that only waits does not load DBOS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.jobs.job_context import StepOutput
from core.model.job import Job

if TYPE_CHECKING:
    from core.queue.engine import Engine, RunStep


class LazyEngine:
    """`Engine`: what `make` returns, made and started when the first job runs."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Do nothing yet."""

    async def run(self, job: Job, steps: tuple[str, ...], run_step: RunStep) -> StepOutput:
        """Run the steps of a job; the first call starts the engine."""
        async with self._starting:
            if self._engine is None:
                engine = self._make()
                await engine.start()
                self._engine = engine
        return await self._engine.run(job, steps, run_step)

    async def stop(self) -> None:
        """Stop the engine, if a job ran."""
        if self._engine is not None:
            await self._engine.stop()
