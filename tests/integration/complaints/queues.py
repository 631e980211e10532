"""What a scenario of a complaint is run against: Countersign's queue, or a rival's rule, in front of the same shims."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from core.model.inventory import Gpu, HostHardware
from core.model.job import JobState
from core.model.model_lease import LeaseState, ModelWork, working_for
from core.store import model_leases
from core.store.database import Database
from core.store.lease_table import ModelLeaseRow
from core.store.unit_of_work import Tx
from lanes.inventory.canary_watch import CanaryPace
from lanes.inventory.snapshots import SnapshotTaker
from lanes.models.chat import ChatMessage, ChatRequest
from lanes.models.endpoint import Endpoint
from tests import builders
from tests.integration.leases.leased_models import LeasedModels, endpoint_of
from tests.shims.ollama.server import GpuShim

QUICK = CanaryPace(every_s=0.1, limit_s=2.0)
"""Canaries that a test need not wait for: the product's find a dead runner within 30 s."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: the models that may answer it, who asks, and how much.

    `context` is the context length that the client would ask a server for, `agent` the agent whose turn it is; with one
    it is bulk work.
    """

    models: tuple[str, ...]
    person: str = ""
    is_chat: bool = True
    tokens: int = 1
    context: int = 1024
    agent: str = ""


class Queue(Protocol):
    """What stands between clients and model servers."""

    async def ask(self, ask: Ask) -> str:
        """The name of the model that answered; raises when none did."""

    async def end_agent(self, agent: str) -> None:
        """The agent's work is over."""

    async def why(self, model: str) -> str:
        """What a person can learn of why a request for the model waits; empty: nothing."""


@dataclass
class CountersignQueue:
    """The live queue: real leases, a granter, a refresher with canaries, and the database."""

    leased: LeasedModels
    jobs: dict[str, str] = field(default_factory=dict)
    """A job for each person and each agent; a lease is of the person of its job."""

    async def ask(self, ask: Ask) -> str:
        """Ask as a lane does: the context is the endpoint's, whatever the client would choose."""
        job = await self._job(ask.agent or ask.person) if ask.agent or ask.person else None
        request = ChatRequest((ChatMessage("user", "hello"),), max_tokens=ask.tokens)
        with working_for(ModelWork(job, ask.is_chat and not ask.agent, is_agent=bool(ask.agent))):
            return (await self.leased.workers[0].models.model_for(ask.models).ask(request)).model

    async def end_agent(self, agent: str) -> None:
        await self.leased.database.write(lambda tx: model_leases.end_held(tx, [self.jobs[agent]]))

    async def why(self, model: str) -> str:
        waiting = [each for each in (await self.leased.book.alive()).leases if each.state is LeaseState.WAITING]
        return next((each.reason for each in waiting if each.model == model), "")

    async def _job(self, person: str) -> str:
        if person not in self.jobs:
            self.jobs[person] = f"job of {person}"  # reserved: no two are made while the first is written
            number = await builders.put_task(self.leased.database)
            self.jobs[person] = await builders.put_job(
                self.leased.database, number, person=person, state=JobState.RUNNING.value
            )
        while self.jobs[person].startswith("job of"):  # noqa: ASYNC110 - another request is writing it
            await asyncio.sleep(0.01)
        return self.jobs[person]


@dataclass
class MeasuredLeasedModels(LeasedModels):
    """Leased models whose GPUs are measured, as NVML does, so that the memory of other programs is seen."""

    shims: Mapping[str, GpuShim] = field(default_factory=dict)
    sends_canaries: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.taker = SnapshotTaker(lambda: self.endpoints, "here", sends_canaries=self.sends_canaries, pace=QUICK)

    async def look(self) -> None:
        """Measure the GPUs, one node for each shim, and look at the shims."""
        for name, shim in self.shims.items():
            memory = shim.hardware.memory_bytes
            gpu = Gpu(f"GPU-{name}", "", memory, shim.scheduler.free_bytes)
            await self.inventory.record_hardware(name, HostHardware((gpu,)))
        await super().look()


@asynccontextmanager
async def countersign(
    database: Database,
    shims: Mapping[str, GpuShim],
    *,
    sends_canaries: bool = False,
    past_work_s: Iterable[tuple[str, float]] = (),
) -> AsyncIterator[CountersignQueue]:
    """Countersign's queue in front of these shims; `past_work_s` is how long work with a model took before."""
    endpoints = {
        name: replace(endpoint_of(name, shim), gpu_memory_mib=(), node=name, first_token_s=3.0)
        for name, shim in shims.items()
    }
    for name in shims:
        await builders.put_worker(database, f"worker of {name}", node=name)
    for model, seconds in past_work_s:
        await database.write(partial(_add_history, model=model, seconds=seconds))
    leased = MeasuredLeasedModels(database, endpoints, held_ms=10_000, shims=shims, sends_canaries=sends_canaries)
    await leased.look()
    looking = asyncio.create_task(leased.keep_looking())
    try:
        leased.add_worker("w1")
        await leased.granting()
        yield CountersignQueue(leased)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        leased.taker.close()
        await leased.close()


async def _add_history(tx: Tx, *, model: str, seconds: float) -> None:
    """Thirty leases of a model that ended a while ago."""
    for n in range(30):
        granted_ms = tx.now_ms - 3_600_000
        times = {"arrived_ms": granted_ms, "granted_ms": granted_ms, "until_ms": granted_ms}
        ended_ms = granted_ms + round(1000 * seconds)
        row = ModelLeaseRow(
            id=f"past-{model}-{n}", state=LeaseState.ENDED.value, model=model, kind=["", model], is_chat=False
        )
        tx.session.add(row.sqlmodel_update({**times, "ended_ms": ended_ms}))


def endpoints_of(shims: Mapping[str, GpuShim]) -> dict[str, Endpoint]:
    """The shims as a client without Countersign knows them, which waits as long as it takes."""
    return {
        name: replace(endpoint_of(name, shim), first_token_s=3600.0, total_s=3600.0) for name, shim in shims.items()
    }
