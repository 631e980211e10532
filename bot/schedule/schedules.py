"""Schedules: adding, listing, pausing and deleting recurring requests, the same for chat and the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from bot.cards.safe import one_line
from bot.schedule.planned_request import PlannedRequest
from bot.schedule.when import LEAST_S, read_when, zone_named
from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.errors import NotFoundError, RefusedError, UsageError
from core.model.place import Place
from core.model.schedule import ACTIVE, PAUSED, Schedule
from core.model.turn import Actor
from core.settings import SettingsSource
from core.store import events, schedules
from core.store.database import Database
from core.store.unit_of_work import Tx

MOST_NAMED: Final = 5
MOST: Final = 100
"""Recurring requests that one person may have."""
MAX_TEXT_BYTES: Final = 16 * 1024
MISSED: Final = ("skip", "once")
MAINTAINER: Final = "maintainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSchedule:
    """A recurring request as somebody asked for it; without a `zone` it is the one of the configuration."""

    when: str
    text: str
    actor: Actor
    repo: str | None = None
    lane: str | None = None
    zone: str | None = None
    missed: str = "skip"
    place: Place | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


Check = Callable[[PlannedRequest], Awaitable[None]]
"""Raises `UsageError` or `RefusedError` for a request that could never succeed."""


async def checks_nothing(_planned: PlannedRequest) -> None:
    """A `Check` where there is nothing to check with."""


@dataclass(frozen=True, slots=True)
class ScheduleUseCases:
    """The recurring requests of one home. `zone` is its time zone, an IANA name; `check` judges a new request."""

    database: Database
    settings: SettingsSource
    zone: str = "UTC"
    check: Check = checks_nothing

    async def add(self, wanted: WantedSchedule) -> Schedule:
        """Keep a recurring request of `wanted.actor`; raises `UsageError` for what cannot be, or is too much."""
        when = read_when(wanted.when)
        zone = wanted.zone or self.zone
        zone_named(zone)
        person = self._checked(wanted)
        text, surface = wanted.text.strip(), wanted.actor.surface or ""
        await self.check(
            PlannedRequest(
                text=text,
                person=person,
                surface=surface,
                repo=wanted.repo,
                lane=wanted.lane,
                parameters=wanted.parameters,
            )
        )

        async def work(tx: Tx) -> Schedule:
            if await schedules.count_of(tx, person) >= MOST:
                mend = advise("Delete some with ", Suggestion(CommandName.UNSCHEDULE, args=(BLANK,)), ".")
                raise UsageError("too_many", f"{person} has {MOST} recurring requests already", mend)
            made = Schedule(
                id=tx.new_id("sch"),
                person=person,
                surface=surface,
                place=wanted.place,
                text=text,
                repo=wanted.repo,
                lane=wanted.lane,
                phrase=when.phrase,
                zone=zone,
                state=ACTIVE,
                missed=wanted.missed,
                next_ms=when.after(tx.now_ms, zone, tx.now_ms),
                last_ms=None,
                created_ms=tx.now_ms,
                parameters=dict(wanted.parameters),
            )
            await schedules.add(tx, made)
            await _record(tx, made, "schedule.added", wanted.actor)
            return made

        return await self.database.write(work)

    async def listed(self, person: str | None = None) -> list[Schedule]:
        """All recurring requests, or those of one person; the oldest first."""
        return await self.database.read(lambda tx: schedules.listed(tx, person))

    async def pause(self, name: str, actor: Actor) -> Schedule:
        """Leave it out until it is resumed; being paused already is success."""

        async def work(tx: Tx) -> Schedule:
            found = await self._theirs(tx, name, actor)
            if found.state != PAUSED:
                await schedules.set_state(tx, found.id, PAUSED, None)
                await _record(tx, found, "schedule.paused", actor)
            return replace(found, state=PAUSED, next_ms=None)

        return await self.database.write(work)

    async def resume(self, name: str, actor: Actor) -> Schedule:
        """Let it go on from its next time; what fell into the pause is left out."""

        async def work(tx: Tx) -> Schedule:
            found = await self._theirs(tx, name, actor)
            if found.state == ACTIVE:
                return found
            next_ms = read_when(found.phrase).after(tx.now_ms, found.zone, found.created_ms)
            await schedules.set_state(tx, found.id, ACTIVE, next_ms)
            await _record(tx, found, "schedule.resumed", actor)
            return replace(found, state=ACTIVE, next_ms=next_ms, problem=None)

        return await self.database.write(work)

    async def remove(self, name: str, actor: Actor) -> Schedule:
        """Forget it; what it asked for already stays."""

        async def work(tx: Tx) -> Schedule:
            found = await self._theirs(tx, name, actor)
            await schedules.remove(tx, found.id)
            await _record(tx, found, "schedule.removed", actor)
            return found

        return await self.database.write(work)

    def _checked(self, wanted: WantedSchedule) -> str:
        """The person's name, when all that was named is configured."""
        settings = self.settings()
        person = settings.people.named(wanted.actor.person or "")
        text = wanted.text.strip()
        if not text or len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
            raise UsageError("bad_text", f"a recurring request has 1 to {MAX_TEXT_BYTES} bytes", "Say what to change.")
        if any(0xD800 <= ord(char) <= 0xDFFF for char in text) or "\0" in text:
            raise UsageError("not_text", "the text is not valid Unicode", "Type it again as UTF-8.")
        if wanted.missed not in MISSED:
            raise UsageError("bad_missed", f"{wanted.missed!r} is not known", f"Say {' or '.join(MISSED)}.")
        if wanted.repo is not None:
            settings.repository(wanted.repo)
        if wanted.lane is not None and wanted.lane not in settings.lanes:
            known = f"Known: {', '.join(sorted(settings.lanes)) or 'none'}."
            raise UsageError("no_such_lane", f"no lane called {wanted.lane!r} is configured", known)
        if wanted.parameters and wanted.lane is None:
            mend = "Name the lane that has them with --lane."
            raise UsageError("which_lane", f"it is not clear whose parameter {next(iter(wanted.parameters))} is", mend)
        return person.name

    async def _whole(self, tx: Tx, start: str) -> str:
        """The one id that begins with `start`, with ``sch_`` or without; `start` itself when there is none."""
        if start.removeprefix("sch_") == "":
            return start
        start = start if start.startswith("sch_") else f"sch_{start}"
        found = await schedules.beginning(tx, start, MOST_NAMED + 1)
        if start in found or not found:
            return start
        if len(found) > 1:
            more = " and others" if len(found) > MOST_NAMED else ""
            message = f"{start!r} begins several ids: {', '.join(found[:MOST_NAMED])}{more}"
            raise UsageError("ambiguous", message, "Write more of the one that you mean.")
        return found[0]

    async def _theirs(self, tx: Tx, name: str, actor: Actor) -> Schedule:
        """The schedule, if `actor` may change it: its author, a maintainer, or the operator (no person at all)."""
        found = await schedules.get(tx, await self._whole(tx, name.lower()), lock=True)
        if found is None:
            raise NotFoundError("no_such_schedule", f"there is no recurring request {name[:64]!r}", "See /schedules.")
        if actor.person is not None and actor.person != found.person:
            person = self.settings().people.named(actor.person)
            if MAINTAINER not in person.roles:
                raise RefusedError(
                    "not_yours", f"{found.id} is a recurring request of {found.person}", f"Ask {found.person}."
                )
        return found


async def _record(tx: Tx, schedule: Schedule, kind: str, actor: Actor) -> None:
    await events.append(
        tx,
        number=events.SYSTEM,
        kind=kind,
        person=actor.person,
        surface=actor.surface,
        body={"schedule": schedule.id, "of": schedule.person, "when": schedule.phrase, "zone": schedule.zone},
    )


def next_words(schedule: Schedule) -> str:
    """When it is made next, in its own zone and in words."""
    if schedule.next_ms is None:
        why = f": {one_line(schedule.problem, 120)}" if schedule.problem else ""
        return f"paused{why}" if schedule.state == PAUSED else "never again"
    at = datetime.fromtimestamp(schedule.next_ms / 1000, UTC).astimezone(ZoneInfo(schedule.zone))
    return f"next {at:%a %Y-%m-%d %H:%M} {schedule.zone}"


__all__ = ["LEAST_S", "MISSED", "MOST", "ScheduleUseCases", "WantedSchedule", "next_words"]
