"""The clock of recurring requests: makes each due request once, on any number of hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from core.log import log
from core.model.errors import CountersignError, TransientError
from core.model.place import EVERY_REPOSITORY, RepositoryScope, ScopeOfPlace
from core.model.schedule import Schedule
from core.model.turn import Actor
from core.services.idle_looks import IdleLooks
from core.services.requests import NewRequest, Requests
from core.services.schedules import Schedules

SWEEP_S: Final = 5.0
GRACE_MS: Final = 300_000
"""A time that passed less than this ago is late, not missed, so that a restart or upgrade loses no request."""
BATCH: Final = 100

if TYPE_CHECKING:
    from bot.schedule.recurrence import Recurrence

Ask = Callable[[Schedule, datetime], Awaitable[object]]
"""Makes a schedule's request for one time. It is called at least once for each time, and must use `dedup_of`."""


def dedup_of(schedule: Schedule, at: datetime) -> str:
    """The idempotency key of a schedule's request for one time: the same on every host and after every crash."""
    return schedule.dedup(round(at.timestamp() * 1000))


def asker(requests: Requests, scope_of: ScopeOfPlace) -> Ask:
    """Makes requests as the schedule's author, with the author's permissions at that moment.

    A schedule that was added in a conversation is limited to the repositories that the conversation is for then.
    """

    async def ask(schedule: Schedule, at: datetime) -> None:
        scope = RepositoryScope(scope_of(schedule.place)) if schedule.place is not None else EVERY_REPOSITORY
        await requests.ask(
            NewRequest(
                text=schedule.text,
                actor=Actor(schedule.person, schedule.surface, scope=scope),
                repo=schedule.repo,
                lane=schedule.lane,
                parameters=schedule.parameters,
                dedup=dedup_of(schedule, at),
                place=schedule.place,
            )
        )

    return ask


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """The next step of a due schedule: make the request for `at_ms` (None: skip it), then wait for `next_ms`."""

    at_ms: int | None
    next_ms: int | None


def step_of(schedule: Schedule, when: Recurrence, now_ms: int) -> ScheduleStep:
    """The next step of a due schedule; pure.

    However many times were missed, at most one request is made. A time within `GRACE_MS` is late, not missed; if there
    is none, ``once`` makes the request of the first missed time and ``skip`` makes none.
    """
    assert schedule.next_ms is not None
    next_ms = when.after(now_ms, schedule.zone, schedule.created_ms)
    if now_ms - schedule.next_ms <= GRACE_MS:
        return ScheduleStep(schedule.next_ms, next_ms)
    late_ms = when.after(now_ms - GRACE_MS - 1, schedule.zone, schedule.created_ms)
    if late_ms is not None and late_ms <= now_ms:
        return ScheduleStep(late_ms, next_ms)
    return ScheduleStep(schedule.next_ms if schedule.missed == "once" else None, next_ms)


class ScheduleClock:
    """Makes the requests of due schedules until it is cancelled; `idle` leaves out looks that find nothing."""

    def __init__(
        self, schedules: Schedules, ask: Ask, *, sweep_s: float = SWEEP_S, idle: IdleLooks | None = None
    ) -> None:
        self._schedules = schedules
        self._ask = ask
        self._sweep_s = sweep_s
        self._idle = idle

    async def run(self) -> None:
        """Sweep every few seconds, until cancelled; sweeps do not overlap."""
        while True:
            try:
                await (self._idle.unless_idle(self.sweep) if self._idle is not None else self.sweep())
            except CountersignError as error:  # the next sweep tries the rows again
                log.warning("schedules_wait", problem=error.problem.message)
            await asyncio.sleep(self._sweep_s)

    async def sweep(self) -> int:
        """Make the requests of all due schedules; returns how many were made."""
        count = 0
        due = await self._schedules.due(BATCH)
        if self._idle is not None and due.next_ms is not None:
            self._idle.look_within((due.next_ms - due.now_ms) / 1000)
        for schedule in due.schedules:
            try:
                count += await self._make(schedule, due.now_ms)
            except CountersignError as error:
                log.warning("schedule_waits", schedule=schedule.id, problem=error.problem.message)
            except Exception:  # noqa: BLE001 (one broken schedule must not stop the others)
                log.exception("schedule_broke", schedule=schedule.id)
        return count

    async def _make(self, schedule: Schedule, now_ms: int) -> bool:
        """Make the request of one due schedule and set its next time; False if no request was made.

        The request comes first: after a crash in between, or on two hosts at once, it is made again with the same
        idempotency key, which makes no second task. Setting the next time first could lose the request.
        """
        from bot.schedule.recurrence import read_recurrence

        try:
            step = step_of(schedule, read_recurrence(schedule.phrase), now_ms)
            if step.at_ms is not None and await self._schedules.skip_behind_pause(schedule, step.next_ms):
                return False
            if step.at_ms is not None:
                await self._ask(schedule, datetime.fromtimestamp(step.at_ms / 1000, UTC))
        except TransientError as error:
            log.warning("schedule_waits", schedule=schedule.id, problem=error.problem.message)
            return False
        except CountersignError as error:  # its author, repository or lane is gone: a retry cannot help
            await self._schedules.refuse(schedule, error.problem)
            log.warning("schedule_refused", schedule=schedule.id, problem=error.problem.message)
            return False
        advanced = await self._schedules.advance(schedule, step.next_ms, step.at_ms)
        log.info("schedule_met", schedule=schedule.id, asked=step.at_ms is not None, mine=advanced)
        return step.at_ms is not None
