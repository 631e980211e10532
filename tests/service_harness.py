"""The services of core on a real store, with settings that a test may change between two calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from core.model.lifecycle import State
from core.model.task import Task
from core.services.approvals import Approvals
from core.services.budgets import Budgets
from core.services.requests import Requests
from core.services.task_document import TaskDocument, TaskDocuments
from core.settings import Settings
from core.store.database import Database
from tests import builders
from tests.fakes.policy import FakePolicy
from tests.fakes.ports import Milestones


@dataclass
class ServiceHarness:
    """Services for requests and approvals. `settings` are those in force; `configure` changes them."""

    database: Database
    policy: FakePolicy = field(default_factory=lambda: FakePolicy(builders.terms()))
    settings: Settings = field(init=False)
    milestones: Milestones = field(default_factory=Milestones)

    def __post_init__(self) -> None:
        self.settings = builders.settings(self.policy)
        self.requests = Requests(self.database, lambda: self.settings, self.milestones)
        self.approvals = Approvals(self.database, lambda: self.settings, self.milestones)
        self.budgets = Budgets(self.database, lambda: self.settings, self.milestones)

    def configure(self, **changes: Any) -> None:
        """Change settings, as an edit of countersign.yaml does."""
        self.settings = replace(self.settings, **changes)

    async def task(self, number: int) -> Task:
        """The task as it is now."""
        return await builders.load(self.database, number)

    async def document(self, number: int) -> TaskDocument:
        """The task's document, as cards and ``show`` get it."""
        return await TaskDocuments(self.database, lambda: self.settings).document(number)

    async def state(self, number: int) -> State:
        """The task's state now."""
        return (await self.task(number)).state

    async def kinds(self, number: int) -> list[str]:
        """The kinds of the task's events; checks that their chain is unbroken."""
        return await builders.kinds_of(self.database, number)

    async def owed(self, number: int) -> list[str]:
        """The kinds of the task's active jobs."""
        return [job.kind.value for job in await builders.active_jobs(self.database, number)]
