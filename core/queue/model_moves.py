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
class ModelMove:
    """A decision of the scheduler with the name that its endpoint has for the family."""

    decision: Evict | Load
    model: str


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """How a load ended; `problem` says why it failed, None when the family is ready. `evicted` went before it."""

    endpoint: str
    family: str
    problem: str | None
    evicted: tuple[str, ...] = ()


@dataclass(slots=True)
class ModelMoves:
    """The moves under way; `wake` is called when a load ended."""

    control: EndpointControl
    inventory: Inventory
    wake: Callable[[], None]
    _moving: set[tuple[str, str]] = field(default_factory=set)
    _finished: list[MoveOutcome] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def moving(self) -> Collection[tuple[str, str]]:
        """The endpoint and the family of each load and eviction that is under way."""
        return self._moving

    def begin(self, moves: Iterable[ModelMove]) -> None:
        """Begin a load after the evictions before it; there are no evictions without one."""
        evictions: list[ModelMove] = []
        for move in moves:
            self._moving.add(_place_of(move))
            if isinstance(move.decision, Evict):
                evictions.append(move)
                continue
            task = asyncio.create_task(self._swap(tuple(evictions), move), name=f"load {move.model}")
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

    async def _swap(self, evictions: tuple[ModelMove, ...], load: ModelMove) -> None:
        problem: str | None = None
        endpoint, family = _place_of(load)
        began_s = time.monotonic()
        try:
            for each in evictions:
                await self.control.unload(endpoint, each.model)
            began_s = time.monotonic()
            await self.control.load(endpoint, load.model)
        except CountersignError as error:
            problem = error.problem.message
        except Exception as error:  # noqa: BLE001 - a server's odd answer is a load that failed
            log.error("load_broke", **fault_of(error))
            problem = f"{load.model} could not be loaded: {error}"
        evicted = tuple(each.decision.family for each in evictions)
        self._moving -= {_place_of(each) for each in (load, *evictions)}
        self._finished.append(MoveOutcome(endpoint, family, problem, evicted))
        self.wake()
        if problem is None:
            await self._remember(endpoint, load.model, time.monotonic() - began_s)

    async def _remember(self, endpoint: str, model: str, seconds: float) -> None:
        try:
            await self.inventory.record_load_time(endpoint, model, seconds)
        except CountersignError as error:  # one time less to learn from
            log.warning("load_time_not_recorded", problem=error.problem.message)


def _place_of(move: ModelMove) -> tuple[str, str]:
    return move.decision.endpoint, move.decision.family
