"""Serving: runs every configured surface beside the worker, and restarts each one separately if it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from bot.messaging.inbox import DurableInbox
from bot.messaging.inbox_consumer import InboxConsumer
from bot.messaging.surface_delivery import SurfaceDelivery
from bot.surfaces.port import Place, Surface
from core.log import fault_of, log
from core.model.errors import CountersignError, Kind, Problem
from core.services.surface_health import SurfaceHealth

if TYPE_CHECKING:
    from bot.web.server import WebServer

DRAIN_S: Final = 10.0


class RunsJobs(Protocol):
    """A worker, or one that is built later."""

    async def run(self, *, claims: bool) -> None:
        """Work until it is stopped; without `claims` only sweep and send heartbeats."""


@dataclass(frozen=True, slots=True)
class RestartDelays:
    """When a surface that is down is restarted and announced, in seconds.

    It is restarted after `first_wait_s`, then after twice as long each time, up to `longest_wait_s`; after `steady_s`
    without failure it is up. A temporary outage is announced on other surfaces once it has lasted for `lasting_s`.
    """

    first_wait_s: float = 2.0
    longest_wait_s: float = 300.0
    steady_s: float = 5.0
    lasting_s: float = 60.0


@dataclass(slots=True)
class ServeProcess:
    """Runs the surfaces, the inbox consumer, the deliveries and the web server until the worker ends.

    Lasting outages, and their ends, are announced in the `announcement_places` of other surfaces. `loops` are further
    loops to run, by name.
    """

    health: SurfaceHealth
    surfaces: Mapping[str, Surface]
    inbox: DurableInbox
    consumer: InboxConsumer
    deliveries: Mapping[str, SurfaceDelivery]
    web: WebServer | None = None
    announcement_places: Sequence[Place] = ()
    loops: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    delays: RestartDelays = field(default_factory=RestartDelays)

    async def run(self, worker: RunsJobs, *, claims: bool) -> None:
        """Serve until `worker` is stopped; then stop receiving, and deliver what is due."""
        async with asyncio.TaskGroup() as group:
            receiving = [group.create_task(self._keep_open(surface)) for surface in self.surfaces.values()]
            consumer = {"inbox": self.consumer.run} if self.surfaces else {}
            deliveries = {f"delivery.{name}": delivery.run for name, delivery in self.deliveries.items()}
            loops: dict[str, Callable[[], Awaitable[None]]] = {**deliveries, **consumer, **self.loops}
            working = [group.create_task(_restart_forever(name, loop)) for name, loop in loops.items()]
            if self.web is not None:
                receiving.append(group.create_task(self.web.run()))
            try:
                await worker.run(claims=claims)
            finally:
                await _stop(receiving)
                await _stop(working)
        await self._drain()
        for surface in self.surfaces.values():
            await surface.close()

    async def _drain(self) -> None:
        """Process and deliver what is left, so that a click in the last second counts (F34)."""
        with contextlib.suppress(TimeoutError, CountersignError):
            async with asyncio.timeout(DRAIN_S):
                while await self.consumer.round():
                    pass
                for delivery in self.deliveries.values():
                    await delivery.round()

    async def _keep_open(self, surface: Surface) -> None:
        """Listen on one surface until cancelled; each time it fails, wait longer."""
        wait_s, outage = self.delays.first_wait_s, await self._earlier_outage(surface.name)
        loop = asyncio.get_running_loop()
        while True:
            recovery = asyncio.create_task(self._record_up_later(surface, outage))
            problem, asked_s = await self._listen(surface)
            wait_s = asked_s or wait_s
            await _stop([recovery])
            if outage is not None and outage.is_over:
                wait_s, outage = self.delays.first_wait_s, None
            outage = outage or _Outage(loop.time())
            may_pass = problem.kind is Kind.UNAVAILABLE and loop.time() - outage.since_s < self.delays.lasting_s
            outage.lasts = outage.lasts or not may_pass
            await _logging_failure(self._record_down(surface.name, problem, outage))
            log.warning("surface_down", surface=surface.name, problem=problem.message, wait_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)
            wait_s = min(self.delays.longest_wait_s, wait_s * 2)

    async def _listen(self, surface: Surface) -> tuple[Problem, float | None]:
        """Listen until it fails; returns why, and how many seconds the platform asks to wait."""
        name = platform_name(surface.name)
        try:
            await surface.run(self.inbox)
        except CountersignError as error:
            return error.problem, getattr(error, "retry_after_s", None)
        except Exception as error:  # noqa: BLE001 - one surface's bug must not stop the others
            log.error("surface_broke", surface=surface.name, **fault_of(error))
            mend = "See the log for details. Countersign restarts it."
            return Problem(Kind.UNAVAILABLE, "bug", f"an error occurred in Countersign's {name} surface", mend), None
        return Problem(Kind.UNAVAILABLE, "ended", f"{name} stopped listening", "Countersign restarts it."), None

    async def _record_up_later(self, surface: Surface, outage: _Outage | None) -> None:
        """Record that a surface is up once it has run for a while; announces the end of an announced outage."""
        if outage is None:
            await _logging_failure(self.health.record_up(surface.name))
            return
        await asyncio.sleep(self.delays.steady_s)
        outage.is_over = True
        places = self._places_beside(surface.name) if outage.is_announced else []
        recovery = self.health.record_recovery(surface.name, places, f"{platform_name(surface.name)} is back.")
        await _logging_failure(recovery)

    async def _earlier_outage(self, name: str) -> _Outage | None:
        """An outage that an earlier process recorded and that has not ended, or None."""
        try:
            recorded = await self.health.outage(name)
        except CountersignError:
            return None
        if recorded is None:
            return None
        announced = recorded.is_announced
        return _Outage(asyncio.get_running_loop().time(), is_recorded=True, lasts=announced, is_announced=announced)

    async def _record_down(self, name: str, problem: Problem, outage: _Outage) -> None:
        """Record an outage; announce it on other surfaces once it lasts."""
        announces = outage.lasts and not outage.is_announced
        await self.health.record_down(
            name,
            problem,
            is_new=not outage.is_recorded,
            is_announced=outage.is_announced or announces,
            places=self._places_beside(name) if announces else [],
            announcement=_announcement(name, problem),
        )
        outage.is_recorded, outage.is_announced = True, outage.is_announced or announces

    def _places_beside(self, surface: str) -> list[Place]:
        return [place for place in self.announcement_places if place.surface != surface]


@dataclass(slots=True)
class _Outage:
    """One outage of a surface: since when, and whether it is recorded, lasts, was announced, and is over."""

    since_s: float
    is_recorded: bool = False
    lasts: bool = False
    is_announced: bool = False
    is_over: bool = False


def platform_name(surface: str) -> str:
    """The name of a surface's platform."""
    return {"github": "GitHub"}.get(surface, surface.capitalize())


def _announcement(name: str, problem: Problem) -> str:
    """The announcement of an outage."""
    reason = problem.sentence()
    end = "" if reason.endswith((".", "?", "!")) else "."
    return f"{platform_name(name)} cannot be reached: {reason}{end} Its cards follow when it is back."


async def _restart_forever(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until cancelled, and restart it after each failure."""
    wait_s = 1.0
    while True:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - one loop's error must not end the others; it is restarted
            log.error("loop_broke", loop=name, **fault_of(error))
        await asyncio.sleep(wait_s)
        wait_s = min(60.0, wait_s * 2)


async def _logging_failure(recording: Awaitable[None]) -> None:
    try:
        await recording
    except CountersignError as error:
        log.warning("not_recorded", problem=error.problem.message)


async def _stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
