"""Recurring requests: adding, listing, pausing, resuming and deleting them, and making those that are due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.errors import NotFoundError, Problem, UsageError
from core.model.lifecycle import State
from core.model.place import EVERY_REPOSITORY, Place
from core.model.role import Role
from core.model.schedule import ACTIVE, PAUSED, Schedule, zone_named
from core.model.turn import SYSTEM, Actor
from core.rules.authorization import Authorization
from core.rules.visibility import visibility_of
from core.services.request_checks import check_lane, requested_repository
from core.settings import Settings, SettingsSource
from core.store import events, schedules, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes

MOST: Final = 100
"""Recurring requests that one person may have."""
MOST_NAMED: Final = 5
"""Ids that are listed if the beginning of an id is ambiguous."""
MAX_TEXT_BYTES: Final = 16 * 1024
MISSED: Final = ("skip", "once")


class RecurrenceRule(Protocol):
    """When a recurring request is made."""

    @property
    def phrase(self) -> str:
        """The rule in its canonical written form."""

    def after(self, at_ms: int, zone: str, since_ms: int) -> int | None:
        """The first time after `at_ms`, in UTC milliseconds; None if there is none.

        Spans are counted from `since_ms`; `zone` is an IANA name.
        """


ReadRecurrence = Callable[[str], RecurrenceRule]
"""Reads a phrase such as ``weekday 09:00``; raises `UsageError` for one that it does not understand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSchedule:
    """A recurring request that a person wants to add; without a `zone` it uses the configured time zone."""

    when: str
    text: str
    actor: Actor
    repo: str | None = None
    lane: str | None = None
    zone: str | None = None
    missed: str = "skip"
    place: Place | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """The request that a schedule makes later, by `person` from `surface`."""

    text: str
    person: str
    surface: str
    repo: str | None
    lane: str | None
    parameters: Mapping[str, str]

    @classmethod
    def of(cls, schedule: Schedule) -> PlannedRequest:
        """The request that `schedule` makes."""
        return cls(
            text=schedule.text,
            person=schedule.person,
            surface=schedule.surface,
            repo=schedule.repo,
            lane=schedule.lane,
            parameters=schedule.parameters,
        )


@dataclass(frozen=True, slots=True)
class DueSchedules:
    """The schedules whose time has come, the database's clock when they were read, and the time of the next of all."""

    now_ms: int
    schedules: tuple[Schedule, ...]
    next_ms: int | None = None


CheckPlanned = Callable[[PlannedRequest], Awaitable[None]]
"""Raises `UsageError` or `RefusedError` for a request that could never succeed."""


async def checks_nothing(_planned: PlannedRequest) -> None:
    """A `CheckPlanned` that accepts every request."""


@dataclass(frozen=True, slots=True)
class Schedules:
    """The recurring requests of one home. `check` judges a request before its schedule is added."""

    database: Database
    settings: SettingsSource
    read_recurrence: ReadRecurrence
    check: CheckPlanned = checks_nothing

    async def add(self, wanted: WantedSchedule) -> Schedule:
        """Add a recurring request of `wanted.actor`; raises `UsageError` or `RefusedError`."""
        settings = self.settings()
        rule, zone = self.read_recurrence(wanted.when), wanted.zone or settings.zone
        zone_named(zone)
        planned = _planned(settings, wanted)
        Authorization(self.settings).check_role(wanted.actor, Role.REQUESTER, planned.repo)
        await self.check(planned)
        return await self._add(wanted, planned, rule, zone)

    @writes
    async def _add(
        self, tx: Tx, wanted: WantedSchedule, planned: PlannedRequest, rule: RecurrenceRule, zone: str
    ) -> Schedule:
        if await schedules.count_of(tx, planned.person) >= MOST:
            mend = advise("Delete some with ", Suggestion(CommandName.UNSCHEDULE, args=(BLANK,)), ".")
            raise UsageError("too_many", f"{planned.person} already has {MOST} recurring requests", mend)
        schedule = Schedule(
            id=tx.new_id("sch"),
            person=planned.person,
            surface=planned.surface,
            place=wanted.place,
            text=planned.text,
            repo=planned.repo,
            lane=planned.lane,
            phrase=rule.phrase,
            zone=zone,
            state=ACTIVE,
            missed=wanted.missed,
            next_ms=rule.after(tx.now_ms, zone, tx.now_ms),
            last_ms=None,
            created_ms=tx.now_ms,
            parameters=dict(planned.parameters),
        )
        await schedules.add(tx, schedule)
        await _record(tx, schedule, "schedule.added", wanted.actor)
        return schedule

    @reads
    async def list(self, tx: Tx, actor: Actor = SYSTEM, *, own: bool = False) -> tuple[Schedule, ...]:
        """The recurring requests that `actor` can see, or only their `own`; the oldest first."""
        listed = await schedules.listed(tx, actor.person if own else None)
        return tuple([each for each in listed if self._is_visible(each, actor)])

    def _is_visible(self, schedule: Schedule, actor: Actor) -> bool:
        """Whether a schedule belongs to a team of the actor's."""
        return visibility_of(self.settings(), actor).owns(schedule.repo, EVERY_REPOSITORY, schedule.person)

    @writes
    async def pause(self, tx: Tx, name: str, actor: Actor) -> Schedule:
        """Skip a schedule until it is resumed; pausing a paused one changes nothing."""
        schedule = await self._changeable(tx, name, actor)
        if schedule.state != PAUSED:
            await schedules.set_state(tx, schedule.id, PAUSED, None)
            await _record(tx, schedule, "schedule.paused", actor)
        return replace(schedule, state=PAUSED, next_ms=None)

    @writes
    async def resume(self, tx: Tx, name: str, actor: Actor) -> Schedule:
        """Continue with the next time; the times during the pause are skipped."""
        schedule = await self._changeable(tx, name, actor)
        if schedule.state == ACTIVE:
            return schedule
        rule = self.read_recurrence(schedule.phrase)
        next_ms = rule.after(tx.now_ms, schedule.zone, schedule.created_ms)
        await schedules.set_state(tx, schedule.id, ACTIVE, next_ms)
        await _record(tx, schedule, "schedule.resumed", actor)
        return replace(schedule, state=ACTIVE, next_ms=next_ms, problem=None)

    @writes
    async def remove(self, tx: Tx, name: str, actor: Actor) -> Schedule:
        """Delete a schedule; the tasks that it made stay."""
        schedule = await self._changeable(tx, name, actor)
        await schedules.remove(tx, schedule.id)
        await _record(tx, schedule, "schedule.removed", actor)
        return schedule

    @reads
    async def runnable(self, tx: Tx, name: str, actor: Actor) -> Schedule:
        """A schedule that `actor` may run now, paused or not; raises `NotFoundError` or `RefusedError`."""
        return await self._changeable(tx, name, actor, lock=False)

    @reads
    async def due(self, tx: Tx, limit: int) -> DueSchedules:
        """The schedules whose time has come, at most `limit`, the longest due first."""
        next_ms = await schedules.next_due_ms(tx)
        rows = await schedules.due(tx, limit) if next_ms is not None and next_ms <= tx.now_ms else []
        return DueSchedules(tx.now_ms, tuple(rows), next_ms)

    @writes
    async def advance(self, tx: Tx, schedule: Schedule, next_ms: int | None, made_ms: int | None) -> bool:
        """Move a due schedule on to `next_ms`; False when another host did, or it was paused or deleted meanwhile.

        `made_ms` is the time for which its request was made, None when that time was skipped.
        """
        assert schedule.next_ms is not None
        return await schedules.advance(tx, schedule.id, schedule.next_ms, next_ms, made_ms=made_ms)

    @writes
    async def skip_behind_pause(self, tx: Tx, schedule: Schedule, next_ms: int | None) -> bool:
        """Skip a due time if the last run still waits for a larger budget; False, and nothing changes, if it does not.

        Otherwise further runs would ask for the same budget behind it.
        """
        waiting = await _paused_run(tx, schedule)
        if waiting is None:
            return False
        assert schedule.next_ms is not None
        if await schedules.advance(tx, schedule.id, schedule.next_ms, next_ms):
            body = {"schedule": schedule.id, "waits_for": waiting}
            await events.append(tx, number=events.SYSTEM, kind="schedule.skipped", person=schedule.person, body=body)
        return True

    @writes
    async def refuse(self, tx: Tx, schedule: Schedule, problem: Problem) -> None:
        """Pause a schedule whose request was refused, and record why; nothing when it changed meanwhile."""
        current = await schedules.get(tx, schedule.id, lock=True)
        if current is None or current.next_ms != schedule.next_ms:
            return
        await schedules.set_state(tx, schedule.id, PAUSED, None, problem.message)
        await events.append(
            tx,
            number=events.SYSTEM,
            kind="schedule.refused",
            person=schedule.person,
            surface=schedule.surface,
            body={"schedule": schedule.id, "code": problem.code, "problem": problem.message},
        )

    async def _changeable(self, tx: Tx, name: str, actor: Actor, *, lock: bool = True) -> Schedule:
        """The schedule, if `actor` may change it: its author, a maintainer, or the operator (no person at all)."""
        ids = [each.id for each in await schedules.listed(tx, None) if self._is_visible(each, actor)]
        full_id = _full_id(ids, name.lower())
        schedule = await schedules.get(tx, full_id, lock=lock) if full_id in ids else None
        if schedule is None:
            mend = advise("See them with ", Suggestion(CommandName.SCHEDULES), ".")
            raise NotFoundError("no_such_schedule", f"there is no recurring request {name[:64]!r}", mend)
        Authorization(self.settings).may_change_schedule(schedule.id, schedule.person, actor, schedule.repo)
        return schedule


async def _paused_run(tx: Tx, schedule: Schedule) -> int | None:
    """The task of the schedule's last request, if it waits for a larger budget."""
    if schedule.last_ms is None:
        return None
    number = await tasks.task_of_message(tx, schedule.surface, schedule.dedup(schedule.last_ms))
    if number is None:
        return None
    task = await tasks.load(tx, number)
    asks = task.state is State.ASKING and task.question is not None and task.question.budget is not None
    return number if asks else None


def _planned(settings: Settings, wanted: WantedSchedule) -> PlannedRequest:
    """The request to be made, checked against the configuration; raises outside the actor's scope."""
    repo = wanted.repo or wanted.actor.scope.resolve(None)
    repo = requested_repository(settings, wanted.actor, repo) if repo is not None else None
    person = settings.people.named(wanted.actor.person or "")
    text = wanted.text.strip()
    if not text or len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise UsageError("bad_text", f"a recurring request has 1 to {MAX_TEXT_BYTES} bytes", "Say what to change.")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text) or "\0" in text:
        raise UsageError("not_text", "the text is not valid Unicode", "Type it again as UTF-8.")
    if wanted.missed not in MISSED:
        raise UsageError("bad_missed", f"{wanted.missed!r} is not known", f"Say {' or '.join(MISSED)}.")
    check_lane(settings, wanted.actor, repo, wanted.lane)
    if wanted.parameters and wanted.lane is None:
        message = f"it is not clear which lane's parameter {next(iter(wanted.parameters))} is"
        raise UsageError("which_lane", message, "Name the lane that has them with --lane.")
    return PlannedRequest(
        text=text,
        person=person.name,
        surface=wanted.actor.surface or "",
        repo=repo,
        lane=wanted.lane,
        parameters=wanted.parameters,
    )


def _full_id(known: Sequence[str], start: str) -> str:
    """The only one of these ids that begins with `start`, with ``sch_`` or without; `start` itself if there is none."""
    if start.removeprefix("sch_") == "":
        return start
    start = start if start.startswith("sch_") else f"sch_{start}"
    ids = [each for each in sorted(known) if each.startswith(start)]
    if start in ids or not ids:
        return start
    if len(ids) > 1:
        more = " and others" if len(ids) > MOST_NAMED else ""
        message = f"{start!r} begins several ids: {', '.join(ids[:MOST_NAMED])}{more}"
        raise UsageError("ambiguous", message, "Write more of the one that you mean.")
    return ids[0]


async def _record(tx: Tx, schedule: Schedule, kind: str, actor: Actor) -> None:
    await events.append(
        tx,
        number=events.SYSTEM,
        kind=kind,
        person=actor.person,
        surface=actor.surface,
        body={"schedule": schedule.id, "of": schedule.person, "when": schedule.phrase, "zone": schedule.zone},
    )
