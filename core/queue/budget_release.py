"""Continues tasks that wait for their lane's day: once the last 24 hours leave budget again, without an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.model.errors import ConflictError, PermanentError
from core.model.turn import SYSTEM
from core.rules.budgets import day_account, free_again_ms
from core.services.budgets import resume
from core.settings import SettingsSource
from core.store import tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, writes


@dataclass(frozen=True, slots=True)
class BudgetRelease:
    """Resumes paused tasks whose lane has budget for the day again."""

    database: Database
    settings: SettingsSource

    async def resume_if_free(self, numbers: Sequence[int]) -> int:
        """Resume those of these tasks whose lane has budget again; returns how many continue."""
        resumed = 0
        for number in numbers:
            try:
                resumed += await self._resume_if_free(number)
            except ConflictError:  # it was answered meanwhile
                continue
        return resumed

    @writes
    async def _resume_if_free(self, tx: Tx, number: int) -> bool:
        """Resume a task if its lane has budget, else look again when it may have some."""
        task = await tasks.load(tx, number, lock=True)
        budget = task.question.budget if task.question is not None else None
        if budget is None or not budget.is_day:  # it asks something else now
            await tasks.save(tx, task, {"nudge_ms": None})
            return False
        try:
            lane = self.settings().lane(task.current.lane or "")
        except PermanentError:
            lane = None
        if lane is not None and lane.budget.has_day and (await day_account(tx, lane)).exceeded is not None:
            await tasks.save(tx, task, {"nudge_ms": await free_again_ms(tx, lane)})
            return False
        await resume(tx, task, SYSTEM, {"by": "the lane has budget for the day again"})
        return True
