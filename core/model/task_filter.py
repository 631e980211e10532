"""Which tasks a list shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.model.lifecycle import State
from core.model.search_query import SearchQuery
from core.model.task import TaskSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """The tasks of a list; None leaves a condition out.

    `person` is the requester, `since` when it was requested at the earliest, `before` the number that all are below.
    """

    state: State | None = None
    repo: str | None = None
    lane: str | None = None
    person: str | None = None
    since: datetime | None = None
    search: SearchQuery | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks of a list, the newest first; `next_before` is the `before` of the next page, None on the last one."""

    tasks: tuple[TaskSummary, ...]
    next_before: int | None
