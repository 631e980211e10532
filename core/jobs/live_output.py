"""The output of a running job for those who look: kept in memory, and stored only while someone does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from core.jobs.job_context import JobContext
from core.jobs.output_lines import OutputLines
from core.log import log
from core.model.errors import CountersignError
from core.model.job import Job
from core.ports.reporting import OutputReporter
from core.store import job_output
from core.store.unit_of_work import Tx

LOOK_EVERY_S: Final = 1.0
"""How often a worker that has output to store asks whether someone looks."""
MAX_NAMES: Final = 50
"""How many programs of one job are told apart; what others write is not shown while it runs."""


@dataclass(slots=True)
class JobOutput:
    """The `OutputReporter` of a claimed job.

    While no one looks it costs one read by key in a second in which a program wrote something, and no write.
    """

    context: JobContext
    job: Job
    _lines: dict[str, OutputLines] = field(default_factory=dict)
    _fresh: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, name: str, chunk: bytes, secret: str = "") -> None:
        """Take what the program `name` wrote."""
        lines = self._lines.get(name)
        if lines is None:
            if len(self._lines) >= MAX_NAMES:
                return
            lines = self._lines[name] = OutputLines(secret)
        lines.add(chunk)
        self._fresh.set()

    def part(self, name: str) -> OutputReporter:
        """The reporter of one part of the work."""
        return _PartOutput(self, name)

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Store output for those who look, for as long as the context is open."""
        storing = asyncio.create_task(self._store_forever())
        try:
            yield
        finally:
            storing.cancel()
            await asyncio.wait({storing})
        with contextlib.suppress(CountersignError):  # what is missing is in the file that the work leaves
            await self._store(is_last=True)

    async def _store_forever(self) -> None:
        while True:
            await self._fresh.wait()
            try:
                await self._store()
            except CountersignError as error:  # a lost claim too; the work finds out by itself
                log.warning("output_not_shown", job=self.job.id, problem=error.problem.message)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _store(self, *, is_last: bool = False) -> None:
        if not await self.context.database.read(self._is_watched):
            return
        self._fresh.clear()
        taken = [(name, text) for name, lines in self._lines.items() if (text := lines.take(is_last=is_last))]
        mask = self.context.guard.mask
        pieces = [(name, text) for name, raw in taken if (text := await asyncio.to_thread(mask, raw))]
        if pieces:
            await self.context.database.write(lambda tx: job_output.add(tx, self.job, pieces))

    async def _is_watched(self, tx: Tx) -> bool:
        return await job_output.watched_until(tx, self.job.number) > tx.now_ms


@dataclass(frozen=True, slots=True)
class _PartOutput:
    """The output of one part of the work, whose programs are named after it as their files are."""

    whole: OutputReporter
    name: str

    def add(self, name: str, chunk: bytes, secret: str = "") -> None:
        self.whole.add(f"{self.name}.{name}", chunk, secret)

    def part(self, name: str) -> OutputReporter:
        return _PartOutput(self, name)
