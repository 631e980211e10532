"""Model moves: carries out evictions and loads on endpoints, each endpoint's in order, and reports how loads ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from core.log import fault_of, log
from core.model.errors import CountersignError
from core.ports.leases import EndpointControl
from core.scheduler.events import Evict, Load
from core.services.inventory import Inventory


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """How a load ended; `problem` says why it failed, None when the model is ready. `evicted` went before it."""

    endpoint: str
    model: str
    problem: str | None
    evicted: tuple[str, ...] = ()


@dataclass(slots=True)
class ModelMoves:
    """The moves under way; `wake` is called when a load ended."""

    control: EndpointControl
    inventory: Inventory
    wake: Callable[[], None]
    _moving: set[str] = field(default_factory=set)
    _finished: list[MoveOutcome] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def moving(self) -> Collection[str]:
        """The models that are being loaded or unloaded."""
        return self._moving

    def begin(self, moves: Iterable[Evict | Load]) -> None:
        """Begin a load after the evictions before it; there are no evictions without one."""
        evictions: list[Evict] = []
        for move in moves:
            self._moving.add(move.family)
            if isinstance(move, Evict):
                evictions.append(move)
                continue
            task = asyncio.create_task(self._swap(tuple(evictions), move), name=f"load {move.family}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            evictions = []

    def take_finished(self) -> list[MoveOutcome]:
        """The loads that ended since this was called last."""
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """Give up what is under way; the servers finish it by themselves, and the next look shows it."""
        for task in self._tasks:
            task.cancel()

    async def _swap(self, evictions: tuple[Evict, ...], load: Load) -> None:
        problem: str | None = None
        began_s = time.monotonic()
        try:
            for each in evictions:
                await self.control.unload(each.endpoint, _name(each.family))
            began_s = time.monotonic()
            await self.control.load(load.endpoint, _name(load.family))
        except CountersignError as error:
            problem = error.problem.message
        except Exception as error:  # noqa: BLE001 - a server's odd answer is a load that failed
            log.error("load_broke", **fault_of(error))
            problem = f"{load.family} could not be loaded: {error}"
        evicted = tuple(each.family for each in evictions)
        self._moving -= {load.family, *evicted}
        self._finished.append(MoveOutcome(load.endpoint, load.family, problem, evicted))
        self.wake()
        if problem is None:
            await self._remember(load, time.monotonic() - began_s)

    async def _remember(self, load: Load, seconds: float) -> None:
        try:
            await self.inventory.record_load_time(load.endpoint, _name(load.family), seconds)
        except CountersignError as error:  # one time less to learn from
            log.warning("load_time_not_recorded", problem=error.problem.message)


def _name(family: str) -> str:
    return family.partition("/")[2]
