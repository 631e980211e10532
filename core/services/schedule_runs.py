"""Running a schedule now: makes its request at once, beside its times."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.model.place import EVERY_REPOSITORY, Place, RepositoryScope
from core.model.turn import Actor
from core.services.requests import NewRequest, Requests, ScheduleRun
from core.services.schedules import Schedules

FindScope = Callable[[Place], Awaitable[tuple[str, ...] | None]]
"""The repositories that a conversation is for now; None for all of them."""


@dataclass(frozen=True, slots=True)
class ScheduleRuns:
    """Makes the request of a schedule at once, in its author's name and with its author's permissions."""

    schedules: Schedules
    requests: Requests
    find_scope: FindScope

    async def run_now(self, name: str, actor: Actor, dedup: str | None = None) -> int:
        """Make the request of a schedule now; returns the task's number. Its times and its pause stay as they are.

        A person who is not the author counts as one too, and so does not approve what they started where the rule
        separates the two. Raises `NotFoundError`, or `RefusedError` for those who may not change the schedule.
        """
        schedule = await self.schedules.runnable(name, actor)
        scope = (
            RepositoryScope(await self.find_scope(schedule.place)) if schedule.place is not None else EVERY_REPOSITORY
        )
        return await self.requests.ask(
            NewRequest(
                text=schedule.text,
                actor=Actor(schedule.person, schedule.surface, scope=scope),
                repo=schedule.repo,
                lane=schedule.lane,
                parameters=schedule.parameters,
                dedup=None if dedup is None else f"{schedule.id} now {dedup}",
                place=schedule.place,
                also_by=() if actor.person in (None, schedule.person) else (actor.person,),
                run_of=ScheduleRun(schedule.id, actor),
            )
        )
