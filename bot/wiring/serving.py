"""Serving: every configured surface beside the worker; what fails is told, comes back by itself, and stops no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bot.messaging.card_delivery import CardDelivery
from bot.messaging.inbox import DurableInbox
from bot.messaging.inbox_consumer import InboxConsumer
from bot.surfaces.port import Place, Surface
from core.log import fault_of, log
from core.model.errors import CountersignError, Kind, Problem
from core.store import cards, events, notes, switches
from core.store.database import Database
from core.store.unit_of_work import Tx

if TYPE_CHECKING:
    from bot.web.server import WebServer
    from core.queue.worker import Worker

DRAIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RestartDelays:
    """How a surface in trouble is treated, in seconds.

    It is started again after `first_wait_s`, then after twice as long each time, up to `longest_wait_s`; one that ran
    for `steady_s` is up. A trouble that may pass by itself is told elsewhere once it has lasted for `lasting_s`.
    """

    first_wait_s: float = 2.0
    longest_wait_s: float = 300.0
    steady_s: float = 5.0
    lasting_s: float = 60.0


@dataclass(slots=True)
class ServeProcess:
    """Runs the surfaces, the ears, the couriers and the web server until the worker ends.

    `rooms` are the places that are told of another surface's trouble, once it lasts, and of its end; `also` are further
    loops, by name.
    """

    database: Database
    surfaces: Mapping[str, Surface]
    ears: DurableInbox
    hearing: InboxConsumer
    couriers: Mapping[str, CardDelivery]
    web: WebServer | None = None
    rooms: Sequence[Place] = ()
    also: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    patience: RestartDelays = field(default_factory=RestartDelays)

    async def run(self, worker: Worker, *, claims: bool) -> None:
        """Serve until `worker` is stopped; then take nothing in any more, and bring out what is owed."""
        async with asyncio.TaskGroup() as group:
            doors = [group.create_task(self._keep_open(surface)) for surface in self.surfaces.values()]
            hearing = {"hearing": self.hearing.run} if self.surfaces else {}
            loops = [
                *(group.create_task(_again_and_again(f"courier.{n}", c.run)) for n, c in self.couriers.items()),
                *(group.create_task(_again_and_again(name, loop)) for name, loop in {**hearing, **self.also}.items()),
            ]
            if self.web is not None:
                doors.append(group.create_task(self.web.run()))
            try:
                await worker.run(claims=claims)
            finally:
                await _stop(doors)
                await _stop(loops)
        await self._bring_out()
        for surface in self.surfaces.values():
            await surface.close()

    async def _bring_out(self) -> None:
        """What was heard and what is owed, once more: a click in the last second is kept and shown (F34)."""
        with contextlib.suppress(TimeoutError, CountersignError):
            async with asyncio.timeout(DRAIN_S):
                while await self.hearing.round():
                    pass
                for courier in self.couriers.values():
                    await courier.round()

    async def _keep_open(self, surface: Surface) -> None:
        """Listen on one surface for ever; each time it fails, wait longer."""
        wait_s, down = self.patience.first_wait_s, await self._was_down(surface.name)
        loop = asyncio.get_running_loop()
        while True:
            steady = asyncio.create_task(self._up_later(surface, down))
            problem, asked_s = await self._listen(surface)
            wait_s = asked_s or wait_s
            await _stop([steady])
            if down is not None and down.over:
                wait_s, down = self.patience.first_wait_s, None
            down = down or _Down(loop.time())
            passing = problem.kind is Kind.UNAVAILABLE and loop.time() - down.since < self.patience.lasting_s
            down.lasts = down.lasts or not passing
            await _despite_faults(self._record_down(surface.name, problem, down))
            log.warning("surface_down", surface=surface.name, problem=problem.message, wait_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)
            wait_s = min(self.patience.longest_wait_s, wait_s * 2)

    async def _listen(self, surface: Surface) -> tuple[Problem, float | None]:
        """Listen until it fails: why, and how long the platform wants to be left alone."""
        name = platform_name(surface.name)
        try:
            await surface.run(self.ears)
        except CountersignError as error:
            return error.problem, getattr(error, "retry_after_s", None)
        except Exception as error:  # noqa: BLE001 - a surface that breaks must not take the others along
            log.error("surface_broke", surface=surface.name, **fault_of(error))
            mend = "The log says where; it is started again by itself."
            return Problem(Kind.UNAVAILABLE, "bug", f"something in Countersign's part for {name} failed", mend), None
        return Problem(Kind.UNAVAILABLE, "ended", f"{name} stopped listening", "It is started again by itself."), None

    async def _up_later(self, surface: Surface, down: _Down | None) -> None:
        """It is up once it has run for a while; where people were told of trouble, they are told of its end."""
        await asyncio.sleep(self.patience.steady_s if down is not None else 0)

        async def work(tx: Tx) -> None:
            await switches.set_value(tx, _switch(surface.name), {"up": True})
            if down is not None:
                await cards.revive(tx, surface.name)
                await notes.revive(tx, surface.name)
                await _record(tx, "surface.up", surface.name, {})
                if down.told:
                    await self._tell_rooms(tx, surface.name, f"{platform_name(surface.name)} is back.")

        if down is not None:
            down.over = True
        await _despite_faults(self.database.write(work))

    async def _was_down(self, name: str) -> _Down | None:
        """The trouble that an earlier run of ours left behind."""

        async def look(tx: Tx) -> dict[str, Any] | None:
            return await switches.value_of(tx, _switch(name))

        try:
            found = await self.database.read(look)
        except CountersignError:
            return None
        if found is None or found.get("up"):
            return None
        told = bool(found.get("told", True))  # earlier versions told of everything
        return _Down(asyncio.get_running_loop().time(), recorded=True, lasts=told, told=told)

    async def _record_down(self, name: str, problem: Problem, down: _Down) -> None:
        """An event, the doctor's row, and once it lasts a word where the others are."""
        tells = down.lasts and not down.told

        async def work(tx: Tx) -> None:
            shown = problem.to_json()
            value = {"up": False, "problem": shown, "told": down.told or tells}
            await switches.set_value(tx, _switch(name), value)
            if not down.recorded:
                await _record(tx, "surface.down", name, {"error": shown})
            if tells:
                await self._tell_rooms(tx, name, _trouble(name, problem))

        await self.database.write(work)
        down.recorded, down.told = True, down.told or tells

    async def _tell_rooms(self, tx: Tx, name: str, words: str) -> None:
        for place in self.rooms:
            if place.surface != name:
                await notes.add(tx, place, words)


@dataclass(slots=True)
class _Down:
    """One trouble of a surface: since when, and whether it is recorded, lasts, was told, and is over."""

    since: float
    recorded: bool = False
    lasts: bool = False
    told: bool = False
    over: bool = False


def platform_name(surface: str) -> str:
    """What people call a surface's platform."""
    return {"github": "GitHub"}.get(surface, surface.capitalize())


def _trouble(name: str, problem: Problem) -> str:
    """The trouble in plain sentences."""
    why = problem.sentence()
    end = "" if why.endswith((".", "?", "!")) else "."
    return f"{platform_name(name)} cannot be reached: {why}{end} Its cards come when it is back."


async def _record(tx: Tx, kind: str, surface: str, body: dict[str, Any]) -> None:
    await events.append(tx, number=events.SYSTEM, kind=kind, surface=surface, body=body)


def _switch(name: str) -> str:
    return f"surface.{name}"


async def _again_and_again(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever, whatever happens in it."""
    wait_s = 1.0
    while True:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - one loop's fault must not end the others; it is begun anew
            log.error("loop_broke", loop=name, **fault_of(error))
        await asyncio.sleep(wait_s)
        wait_s = min(60.0, wait_s * 2)


async def _despite_faults(work: Awaitable[None]) -> None:
    try:
        await work
    except CountersignError as error:
        log.warning("not_recorded", problem=error.problem.message)


async def _stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
