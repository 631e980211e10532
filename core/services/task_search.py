"""The list of tasks as people filter and search it, a page at a time, within the scope of an actor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.model.place import RepositoryScope
from core.model.task import TaskSummary
from core.model.task_filter import TaskFilter, TaskPage
from core.model.turn import SYSTEM, Actor
from core.rules.visibility import Visibility, visibility_of
from core.settings import SettingsSource
from core.store import search, tasks
from core.store.database import Database
from core.store.tables import TaskRow
from core.store.unit_of_work import Tx, reads

FIRST: Final = 2**31 - 1
"""A number above those of all tasks, and the largest integer of PostgreSQL."""
MAX_BATCH: Final = 4000
MAX_EXAMINED: Final = 20_000
"""Matches of a search that are examined for one page; a page may be shorter, and the next one goes on there."""


@dataclass(frozen=True, slots=True)
class TaskSearch:
    """Lists tasks, the newest first."""

    database: Database
    settings: SettingsSource

    async def first(self, wanted: TaskFilter, limit: int, actor: Actor = SYSTEM) -> tuple[TaskSummary, ...]:
        """The first `limit` tasks that match, that the actor can see; reads as many pages as it takes."""
        found: list[TaskSummary] = []
        while True:
            page = await self.page(wanted, limit - len(found), actor)
            found += page.tasks
            if page.next_before is None or len(found) >= limit:
                return tuple(found)
            wanted = replace(wanted, before=page.next_before)

    @reads
    async def page(self, tx: Tx, wanted: TaskFilter, limit: int, actor: Actor = SYSTEM) -> TaskPage:
        """At most `limit` tasks that match `wanted` and that the actor can see."""
        found, visibility = list[TaskRow](), visibility_of(self.settings(), actor)
        before, examined, batch = wanted.before or FIRST, 0, limit + 1
        while len(found) <= limit and examined < MAX_EXAMINED:
            rows, last = await self._rows(tx, replace(wanted, before=before), batch, visibility)
            found += [row for row in rows if _is_shown(row, visibility)]
            if last is None:
                return _page(found, limit, None)
            before, examined, batch = last, examined + batch, min(4 * batch, MAX_BATCH)
        return _page(found, limit, before)

    async def _rows(
        self, tx: Tx, wanted: TaskFilter, limit: int, visibility: Visibility
    ) -> tuple[Sequence[TaskRow], int | None]:
        """The next rows, and the number below which to go on; None after the last ones."""
        names = visibility.repositories.names
        if wanted.search is None:
            rows = await search.listed(tx, wanted, limit=limit, names=names)
            return rows, rows[-1].number if len(rows) == limit else None
        numbers = await search.matching(tx, wanted.search, wanted.before or FIRST, limit, names)
        rows = await search.listed(tx, wanted, limit=limit, names=names, among=numbers) if numbers else []
        return rows, numbers[-1] if len(numbers) == limit else None


def _is_shown(row: TaskRow, visibility: Visibility) -> bool:
    return visibility.shows(row.repo, RepositoryScope.from_json(row.scope), row.requester)


def _page(found: Sequence[TaskRow], limit: int, next_before: int | None) -> TaskPage:
    """The first `limit` rows as a page."""
    shown = found[:limit]
    if len(found) > limit:
        next_before = shown[-1].number
    return TaskPage(tuple(tasks.summary_of(row) for row in shown), next_before)
