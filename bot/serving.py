"""Serving: every configured surface beside the worker; what fails is told, comes back by itself, and stops no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bot.conversation.hearing import Hearing
from bot.courier import Courier
from bot.ears import DurableEars
from bot.surfaces.port import Place, Surface
from core.errors import CountersignError, PermanentError, Problem
from core.log import log
from core.store import cards, events, notes, switches
from core.store.database import Database, Session

if TYPE_CHECKING:
    from bot.web.server import WebServer
    from core.worker import Worker

STEADY_S: Final = 5.0
"""A surface that ran this long is up."""
FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 300.0
DRAIN_S: Final = 10.0


@dataclass(slots=True)
class Serving:
    """Runs the surfaces, the ears, the couriers and the web server until the worker ends.

    `rooms` are the places that are told of another surface's trouble; `also` are further loops, by name.
    """

    database: Database
    surfaces: Mapping[str, Surface]
    ears: DurableEars
    hearing: Hearing
    couriers: Mapping[str, Courier]
    web: WebServer | None = None
    rooms: Sequence[Place] = ()
    also: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)

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
        wait_s, told = FIRST_WAIT_S, await self._was_down(surface.name)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            steady = asyncio.create_task(self._say_up_later(surface, told=told))
            try:
                await surface.run(self.ears)
                problem = Problem(PermanentError.kind, "ended", f"{surface.name} stopped listening")
            except CountersignError as error:
                problem = error.problem
                wait_s = getattr(error, "retry_after_s", None) or wait_s
            except Exception as error:  # noqa: BLE001 - a surface that breaks must not take the others along
                log.exception("surface_broke", surface=surface.name)
                problem = Problem(PermanentError.kind, "bug", f"{surface.name} broke: {type(error).__name__}")
            finally:
                await _stop([steady])
            if loop.time() - began > STEADY_S:
                wait_s, told = FIRST_WAIT_S, False
            if not told:
                await _despite_faults(self._say_down(surface.name, problem))
                told = True
            log.warning("surface_down", surface=surface.name, problem=problem.message, wait_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    async def _say_up_later(self, surface: Surface, *, told: bool) -> None:
        await asyncio.sleep(STEADY_S if told else 0)

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await switches.set_value(session, _switch(surface.name), {"up": True}, now_ms)
            if told:
                await cards.revive(session, surface.name, now_ms)
                await notes.revive(session, surface.name, now_ms)
                await _record(session, now_ms, "surface.up", surface.name, {})

        await _despite_faults(self.database.write(work))

    async def _was_down(self, name: str) -> bool:
        async def look(session: Session) -> dict[str, Any] | None:
            return await switches.value_of(session, _switch(name))

        try:
            found = await self.database.read(look)
        except CountersignError:
            return False
        return found is not None and not found.get("up")

    async def _say_down(self, name: str, problem: Problem) -> None:
        """An event, the doctor's row, and a word where the others are."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            shown = problem.to_json()
            await switches.set_value(session, _switch(name), {"up": False, "problem": shown}, now_ms)
            await _record(session, now_ms, "surface.down", name, {"error": shown})
            for place in self.rooms:
                if place.surface != name:
                    words = f"{name} cannot be reached: {problem.sentence()} Its cards come when it is back."
                    await notes.add(session, place, words, now_ms)

        await self.database.write(work)


async def _record(session: Session, now_ms: int, kind: str, surface: str, body: dict[str, Any]) -> None:
    await events.append(session, number=events.SYSTEM, kind=kind, at_ms=now_ms, surface=surface, body=body)


def _switch(name: str) -> str:
    return f"surface.{name}"


async def _again_and_again(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever, whatever happens in it."""
    wait_s = 1.0
    while True:
        try:
            await loop()
        except Exception:  # noqa: BLE001 - one loop's fault must not end the others; it is logged, and begun anew
            log.exception("loop_broke", loop=name)
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
