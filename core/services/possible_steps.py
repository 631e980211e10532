"""Which steps beside verdicts a person can take on a task now, so that pages offer those and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.model.errors import CountersignError
from core.model.lifecycle import FALLS_BACK, Fact, State, advance
from core.model.task import Task
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.rules.visibility import visible_task
from core.settings import SettingsSource
from core.store import queue_queries, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads


class TaskStep(StrEnum):
    """A step that a person takes on a task, as a command names it."""

    MERGE = "merge"
    UNDO = "undo"
    RETRY = "retry"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class PossibleSteps:
    """Finds the possible steps by the checks that the steps themselves make; each checks again when it is taken."""

    database: Database
    settings: SettingsSource

    @reads
    async def of_task(self, tx: Tx, number: int, actor: Actor) -> frozenset[TaskStep]:
        """The steps that `actor` can take on task `number` now; raises `NotFoundError`."""
        task = await visible_task(tx, self.settings(), number, actor)
        may = Authorization(self.settings)
        is_busy = bool(await queue_queries.active_of(tx, number))
        found = set()
        if task.state is not State.PUBLISHED and _passes(
            lambda: advance(task, Fact.CANCELLED), lambda: may.may_stop(task, actor)
        ):
            found.add(TaskStep.CANCEL)
        if task.state is State.PUBLISHED and not is_busy and _passes(lambda: may.may_stop(task, actor)):
            found.add(TaskStep.UNDO)
        if _passes(lambda: advance(task, Fact.UNDO_ASKED)):
            found.add(TaskStep.UNDO)
        if not is_busy and await self._may_merge(tx, task, may, actor):
            found.add(TaskStep.MERGE)
        if task.state in FALLS_BACK and await self._may_retry(tx, task, may, actor):
            found.add(TaskStep.RETRY)
        return frozenset(found)

    async def _may_merge(self, tx: Tx, task: Task, may: Authorization, actor: Actor) -> bool:
        opened = task.pull_request
        if task.state is not State.PUBLISHED or opened is None or not task.has_open_pull_request:
            return False
        published = await tasks.revision_of(tx, task.number, opened.revision)
        return _passes(lambda: may.may_merge(task, published, actor))

    async def _may_retry(self, tx: Tx, task: Task, may: Authorization, actor: Actor) -> bool:
        try:
            await may.check_speaking(tx, task, actor, picks=False)
        except CountersignError:
            return False
        return True


def _passes(*checks: Callable[[], object]) -> bool:
    """Whether no check raises a refusal or a conflict."""
    try:
        for check in checks:
            check()
    except CountersignError:
        return False
    return True
