"""Workers that share the models of Ollama shims through leases in one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.model.model_lease import ModelWork, working_for
from core.queue.duty_lease import DutyLease
from core.queue.lease_client import LeaseClient
from core.queue.lease_granter import LeaseGranter
from core.services.inventory import Inventory
from core.services.model_leases import ModelLeaseBook
from core.store import leaders
from core.store.database import Database
from lanes.inventory.control import ModelControl
from lanes.inventory.snapshots import SnapshotTaker
from lanes.models.chat import ChatMessage, ChatRequest
from lanes.models.endpoint import Endpoint
from lanes.models.registry import ModelRegistry
from tests import builders
from tests.fakes.admission import MemoryAdmission
from tests.shims.ollama.server import GpuShim
from tests.worker_harness import eventually


def endpoint_of(name: str, shim: GpuShim) -> Endpoint:
    """The shim as it is configured: with its GPU's memory, and a small context."""
    memory_mib = shim.hardware.memory_bytes // 1024**2
    return Endpoint(name, "ollama", shim.url, context_tokens=1024, gpu_memory_mib=(memory_mib,), reserve_mib=0)


@dataclass
class LeasedWorker:
    """One process's share: its client, its models and its granter."""

    name: str
    client: LeaseClient
    granter: LeaseGranter
    models: ModelRegistry

    @staticmethod
    def request(tokens: int = 8) -> ChatRequest:
        """A question."""
        return ChatRequest((ChatMessage("user", "hello"),), max_tokens=tokens)

    async def ask(self, *names: str, job: str | None = None, is_chat: bool = True, tokens: int = 8) -> str:
        """One question to the first of these models that answers; the name of that model."""
        with working_for(ModelWork(job, is_chat, is_agent=not is_chat)):
            return (await self.models.model_for(names).ask(self.request(tokens))).model


@dataclass
class LeasedModels:
    """Shims behind one database, and the workers that use them."""

    database: Database
    endpoints: Mapping[str, Endpoint]
    held_ms: int = 1_000
    workers: list[LeasedWorker] = field(default_factory=list)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = builders.always(builders.settings())
        self.book = ModelLeaseBook(self.database, self.held_ms)
        kinds = {name: endpoint.kind for name, endpoint in self.endpoints.items()}
        self.inventory = Inventory(self.database, settings, lambda: kinds)
        self.taker = SnapshotTaker(lambda: self.endpoints, "here", sends_canaries=False)
        self.settings = settings

    async def look(self) -> None:
        """Look at the shims, as the refresher of a worker does."""
        state = await self.inventory.state()
        await self.inventory.record(await self.taker.look(state.snapshots, state.hardware, state.in_use, state.now))

    def add_worker(self, name: str) -> LeasedWorker:
        """A worker whose granter runs."""
        client = LeaseClient(self.book)
        granter = LeaseGranter(
            self.book,
            self.inventory,
            DutyLease(self.database, self.settings, leaders.LEASES, name),
            ModelControl(lambda: self.endpoints),
            client.notify,
        )
        client.wake_granter = granter.wake.set
        worker = LeasedWorker(name, client, granter, ModelRegistry(self.endpoints, MemoryAdmission(), client))
        self.workers.append(worker)
        self._tasks[name] = asyncio.create_task(granter.run())
        return worker

    async def kill_granter(self, name: str) -> None:
        """End a granter, and give up its duty as the reconciler does for a dead worker."""
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await self.database.write(lambda tx: leaders.resign(tx, name))

    async def granting(self) -> None:
        """Wait until some worker grants."""

        async def is_led() -> bool:
            return (await self.database.read(lambda tx: leaders.lease_of(tx, leaders.LEASES)))[0] is not None

        await eventually(is_led)

    async def keep_looking(self) -> None:
        """Look again and again."""
        while True:
            await self.look()
            await asyncio.sleep(0.3)

    async def close(self) -> None:
        """End every granter."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@asynccontextmanager
async def leased_models(database: Database, *workers: str, **shims: GpuShim) -> AsyncIterator[LeasedModels]:
    """Workers with these names on shims with these names, all started."""
    endpoints = {name: endpoint_of(name, shim) for name, shim in shims.items()}
    async with leased_endpoints(database, workers, endpoints) as leased:
        yield leased


@asynccontextmanager
async def leased_endpoints(
    database: Database, workers: Iterable[str], endpoints: Mapping[str, Endpoint], held_ms: int = 1_000
) -> AsyncIterator[LeasedModels]:
    """Workers with these names on these endpoints, whose servers run."""
    leased = LeasedModels(database, endpoints, held_ms)
    await leased.look()
    looking = asyncio.create_task(leased.keep_looking())
    try:
        for name in workers:
            leased.add_worker(name)
        await leased.granting()
        yield leased
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await leased.close()
