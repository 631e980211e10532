"""The clock: one job of APScheduler that asks for what is due, each time once, on any number of hosts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.schedule.when import Recurrence, read_when
from core.log import log
from core.model.errors import CountersignError, TransientError
from core.model.schedule import PAUSED, Schedule
from core.model.turn import Actor
from core.services.requests import NewRequest, Requests
from core.store import events, schedules
from core.store.database import Database, from_ms
from core.store.unit_of_work import Tx

SWEEP_S: Final = 5.0
GRACE_MS: Final = 300_000
"""A time that passed less than this ago is late, not missed: a restart or an upgrade loses nothing."""
BATCH: Final = 100

Ask = Callable[[Schedule, datetime], Awaitable[object]]
"""Makes a schedule's request for one time. It is called at least once for each, so it must tell by `dedup_of`."""


def dedup_of(schedule: Schedule, at: datetime) -> str:
    """The name of one making of a request, the same on every host and after every crash."""
    return f"schedule:{schedule.id}:{round(at.timestamp() * 1000)}"


def asker(service: Requests) -> Ask:
    """Asks the heart, as the author: what they may do now is judged now, as for anything they say."""

    async def ask(schedule: Schedule, at: datetime) -> None:
        await service.ask(
            NewRequest(
                text=schedule.text,
                actor=Actor(schedule.person, schedule.surface),
                repo=schedule.repo,
                lane=schedule.lane,
                parameters=schedule.parameters,
                dedup=dedup_of(schedule, at),
                place=schedule.place,
            )
        )

    return ask


@dataclass(frozen=True, slots=True)
class DueTurn:
    """What is to be done with a due schedule: ask for `at_ms` (None: leave it out), then wait for `next_ms`."""

    at_ms: int | None
    next_ms: int | None


def turn_of(schedule: Schedule, when: Recurrence, now_ms: int) -> DueTurn:
    """What a due schedule comes to now; pure.

    However many times were missed, at most one is made up for. One that is still within `GRACE_MS` is simply late; if
    none is, ``once`` makes up for the first that was missed and ``skip`` for none.
    """
    assert schedule.next_ms is not None
    next_ms = when.after(now_ms, schedule.zone, schedule.created_ms)
    if now_ms - schedule.next_ms <= GRACE_MS:
        return DueTurn(schedule.next_ms, next_ms)
    late_ms = when.after(now_ms - GRACE_MS - 1, schedule.zone, schedule.created_ms)
    if late_ms is not None and late_ms <= now_ms:
        return DueTurn(late_ms, next_ms)
    return DueTurn(schedule.next_ms if schedule.missed == "once" else None, next_ms)


class ScheduleClock:
    """Asks for what is due until cancelled."""

    def __init__(self, database: Database, ask: Ask, *, sweep_s: float = SWEEP_S) -> None:
        self._database = database
        self._ask = ask
        self._sweep_s = sweep_s

    async def run(self) -> None:
        """Sweep every few seconds; a sweep that takes longer is not begun again before it has ended."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # that a slow sweep is not begun twice is no news
        scheduler = AsyncIOScheduler(timezone=UTC)
        job = scheduler.add_job(
            self._swept,
            IntervalTrigger(seconds=self._sweep_s, timezone=UTC),
            next_run_time=datetime.now(UTC),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        scheduler.start()
        try:
            while True:
                await asyncio.sleep(max(60.0, self._sweep_s))
                ahead = job.next_run_time - datetime.now(UTC)
                if ahead.total_seconds() > 2 * self._sweep_s:  # this host's clock was put back
                    job.modify(next_run_time=datetime.now(UTC))
        finally:
            scheduler.shutdown(wait=False)

    async def _swept(self) -> None:
        try:
            await self.sweep()
        except CountersignError as error:  # the rows are still there at the next sweep
            log.warning("schedules_wait", problem=error.problem.message)
        except asyncio.CancelledError:
            return  # only the end of the program cancels it; APScheduler would print that as a fault of ours

    async def sweep(self) -> int:
        """Ask for everything that is due; how many requests were made."""
        made = 0

        async def look(tx: Tx) -> tuple[int, list[Schedule]]:
            if not await schedules.any_due(tx):
                return tx.now_ms, []
            return tx.now_ms, await schedules.due(tx, BATCH)

        now_ms, found = await self._database.read(look)
        for schedule in found:
            try:
                made += await self._made(schedule, now_ms)
            except CountersignError as error:
                log.warning("schedule_waits", schedule=schedule.id, problem=error.problem.message)
            except Exception:  # noqa: BLE001 (one that breaks us must not keep the others waiting)
                log.exception("schedule_broke", schedule=schedule.id)
        return made

    async def _made(self, schedule: Schedule, now_ms: int) -> bool:
        """Make one due schedule's request and move it on.

        The request comes first: after a crash in between, or on two hosts at once, it is made again under the same
        name, and so is no second one. Moving on first could lose it.
        """
        try:
            turn = turn_of(schedule, read_when(schedule.phrase), now_ms)
            if turn.at_ms is not None:
                await self._ask(schedule, from_ms(turn.at_ms))
        except TransientError as error:
            log.warning("schedule_waits", schedule=schedule.id, problem=error.problem.message)
            return False
        except CountersignError as error:  # its author, repository or lane is no more: asking again cannot help
            await self._give_up(schedule, error)
            return False
        await self._move_on(schedule, turn)
        return turn.at_ms is not None

    async def _move_on(self, schedule: Schedule, turn: DueTurn) -> None:
        seen_ms = schedule.next_ms
        assert seen_ms is not None

        async def work(tx: Tx) -> bool:
            return await schedules.advance(tx, schedule.id, seen_ms, turn.next_ms, made_ms=turn.at_ms)

        mine = await self._database.write(work)
        log.info("schedule_met", schedule=schedule.id, asked=turn.at_ms is not None, mine=mine)

    async def _give_up(self, schedule: Schedule, error: CountersignError) -> None:
        """Pause what cannot be asked for, and write down why."""

        async def work(tx: Tx) -> None:
            found = await schedules.get(tx, schedule.id, lock=True)
            if found is None or found.next_ms != schedule.next_ms:
                return
            await schedules.set_state(tx, schedule.id, PAUSED, None, error.problem.message)
            await events.append(
                tx,
                number=events.SYSTEM,
                kind="schedule.refused",
                person=schedule.person,
                surface=schedule.surface,
                body={"schedule": schedule.id, "code": error.problem.code, "problem": error.problem.message},
            )

        await self._database.write(work)
        log.warning("schedule_refused", schedule=schedule.id, problem=error.problem.message)
