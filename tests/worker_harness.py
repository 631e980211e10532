"""Services, workers on the real engine, and fakes of everything outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from core.jobs.job_context import JobContext, StepOutput
from core.model.ids import new_id
from core.model.job import Job
from core.model.job_order import NodeView
from core.model.lifecycle import State
from core.ports.executor import Executor
from core.ports.forge import FollowedForge, Forge
from core.ports.interpretation import Interpreter
from core.ports.repository import Repository
from core.queue.engine import DbosEngine
from core.queue.reconciler import Reconciler
from core.queue.worker import Worker
from core.services.requests import NewRequest
from core.signing import Keys
from core.store.artifacts import ArtifactFiles
from tests import builders
from tests.fakes.forge import MemoryForge
from tests.fakes.ports import FakeExecutor, FakeGuard, FakeInterpreter
from tests.fakes.repository import MemoryRepository
from tests.service_harness import ServiceHarness


class InlineEngine:
    """Runs the steps of a job one after the other, and remembers none."""

    async def start(self) -> None:
        return

    async def run(
        self, job: Job, steps: tuple[str, ...], step: Callable[[Job, str, StepOutput], Awaitable[StepOutput]]
    ) -> StepOutput:
        notes: StepOutput = {}
        for name in steps:
            notes.update(await step(job, name, dict(notes)))
            if notes.get("over") or notes.get("fault"):
                break
        return notes

    async def stop(self) -> None:
        return


@dataclass
class WorkerHarness(ServiceHarness):
    """Services with workers. One worker may run at a time, because DBOS has one instance a process.

    A worker that is not `durable` runs its jobs with `InlineEngine`, which is faster.
    """

    home: Path = field(kw_only=True)
    durable: bool = True
    executor: FakeExecutor = field(default_factory=FakeExecutor)
    interpreter: Interpreter = field(default_factory=FakeInterpreter)
    guard: FakeGuard = field(default_factory=FakeGuard)
    executors: dict[str, FakeExecutor] = field(default_factory=dict)
    forge: MemoryForge = field(default_factory=MemoryForge)

    def __post_init__(self) -> None:
        super().__post_init__()
        spec = self.settings.repositories["web"]
        self.repository = MemoryRepository.holding(spec, {"README.md": b"hello"})
        self.keys = Keys(self.home / "keys")
        self.keys.make()
        self.files = ArtifactFiles(self.home / "artifacts")

    def worker(self, *, node: NodeView = builders.NODE) -> Worker:
        """Another worker of this process."""
        identity = new_id("worker")
        context = JobContext(
            database=self.database,
            settings=lambda: self.settings,
            milestones=self.milestones,
            interpreter=self.interpreter,
            guard=self.guard,
            executors={"edit": cast("Executor", self.executor), **cast("dict[str, Executor]", self.executors)},
            forges={"local": cast("Forge", self.forge)},
            followed={"local": cast("FollowedForge", self.forge)} if self.forge.follows else {},
            repository=lambda _name: cast("Repository", self.repository),
            files=self.files,
            keys=self.keys,
        )
        reconciler = Reconciler(self.database, lambda: self.settings)
        engine = DbosEngine(self.database.location, identity) if self.durable else InlineEngine()
        return Worker(context, engine, identity, node, reconciler)

    async def drain(self, **others: Any) -> None:
        """Work until nothing is ready."""
        await self.worker(**others).run(drain=True)

    async def work_until(self, number: int, *states: State) -> State:
        """Work, through all backoffs, until the task is in one of `states`."""

        async def is_reached() -> bool:
            return await self.state(number) in states

        async with asyncio.timeout(90):
            await self.worker().run(until=is_reached)
        return await self.state(number)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
        """A worker that runs during the block."""
        worker = self.worker()
        running = asyncio.create_task(worker.run())
        try:
            yield worker, running
        finally:
            worker.stop()
            with suppress(Exception):
                await asyncio.wait_for(running, 60)

    async def ask(self, text: str = "config/app.yaml = a: 1", **others: Any) -> int:
        """Make a request as ana; returns its number."""
        return await self.requests.ask(NewRequest(**{"text": text, "actor": builders.ANA, **others}))

    async def stage(self, text: str = "config/app.yaml = a: 1") -> tuple[int, str]:
        """Make a request as ana and work on it; returns its number and its digest."""
        number = await self.ask(text)
        await self.drain()
        staged = (await self.task(number)).staged
        assert staged is not None
        return number, staged.digest

    async def publish(self, text: str = "config/app.yaml = a: 1") -> int:
        """Make a request as ana, approve it as lee, and publish it; returns its number."""
        number, digest = await self.stage(text)
        assert (await self.approvals.approve(number, digest, builders.LEE)).problem is None
        await self.drain()
        assert await self.state(number) is State.PUBLISHED
        return number


async def eventually(holds: Callable[[], bool | Awaitable[bool]], *, within_s: float = 30) -> None:
    """Wait until `holds`; fails after `within_s`."""
    until = time.monotonic() + within_s
    while True:
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < until, "the condition never held"
        await asyncio.sleep(0.02)
