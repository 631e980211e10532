"""The time machine of policy: every past decision, decided again under another policy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from core.model.task import Revision, Task
from core.ports.executor import Executor
from core.rules.decision_replay import ReplayedDecision, replay
from core.rules.lane_availability import LaneAvailability
from core.settings import Settings
from core.store import tasks
from core.store.database import Database
from core.store.unit_of_work import Tx

_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class DecisionReplay:
    """Reads the past of one home; writes nothing."""

    database: Database
    executors: Callable[[], Mapping[str, Executor]]

    async def decision(self, settings: Settings, number: int) -> ReplayedDecision:
        """The current revision of a task, decided again; raises `NotFoundError` if there is no such task."""
        task = await self.database.read(partial(tasks.load, number=number))
        return replay(settings, LaneAvailability(self.executors()), task, task.current)

    async def decisions(self, settings: Settings, since: datetime | None = None) -> AsyncIterator[ReplayedDecision]:
        """Every revision of the tasks requested since then, oldest first, decided again under `settings`."""
        availability, after = LaneAvailability(self.executors()), 0
        while batch := await self.database.read(partial(_batch, after=after, since=since)):
            for task, revisions in batch:
                for revision in revisions:
                    yield replay(settings, availability, task, revision)
            after = batch[-1][0].number


async def _batch(tx: Tx, *, after: int, since: datetime | None) -> list[tuple[Task, list[Revision]]]:
    """The next tasks above number `after`, with their revisions."""
    numbers = await tasks.numbers_after(tx, after, since, limit=_BATCH)
    return [(await tasks.load(tx, number), await tasks.revisions_of(tx, number)) for number in numbers]
