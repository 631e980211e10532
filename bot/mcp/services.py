"""What the tools need of an opened home; there is no method here that approves, rejects, merges or spends."""

from __future__ import annotations

from typing import Protocol

from core.model.task import Task
from core.model.task_filter import TaskFilter, TaskPage
from core.model.turn import Actor
from core.services.queries import TaskActivity
from core.services.requests import NewRequest
from core.services.task_document import TaskDocument


class AskedTasks(Protocol):
    """The part of `core.services.requests.Requests` that decides nothing."""

    async def ask(self, request: NewRequest) -> int:
        """Accept a request; returns the task's number."""

    async def reply(self, number: int, text: str, actor: Actor, dedup: str | None = None) -> Task:
        """Begin the next revision of a task."""

    async def cancel(self, number: int, actor: Actor) -> Task:
        """Stop a task that is not published."""


class ReadDocuments(Protocol):
    """The part of `core.services.task_document.TaskDocuments` that is read."""

    async def document(self, number: int, actor: Actor) -> TaskDocument:
        """A task that the actor can see; raises `NotFoundError`."""


class ReadDiffs(Protocol):
    """The part of `core.services.staged_diffs.StagedDiffs` that is read."""

    async def of(self, task: Task) -> bytes | None:
        """The staged diff, or None if nothing is staged."""


class ReadActivity(Protocol):
    """The part of `core.services.queries.Queries` that `watch` reads."""

    async def newest_event(self) -> int:
        """The id of the newest event of all."""

    async def activity(self, number: int, actor: Actor) -> TaskActivity:
        """A task's state and its unfinished jobs."""


class ListedTasks(Protocol):
    """The part of `core.services.task_search.TaskSearch` that is read."""

    async def page(self, wanted: TaskFilter, limit: int, actor: Actor) -> TaskPage:
        """A page of the tasks that the actor can see."""


class McpHome(Protocol):
    """The part of an opened home (`bot.wiring.app.App`) behind the tools."""

    @property
    def requests(self) -> AskedTasks:
        """Asking, replying, cancelling."""

    @property
    def documents(self) -> ReadDocuments:
        """Documents of tasks."""

    @property
    def diffs(self) -> ReadDiffs:
        """Staged diffs."""

    @property
    def queries(self) -> ReadActivity:
        """What happens."""

    @property
    def task_search(self) -> ListedTasks:
        """The list of tasks."""
