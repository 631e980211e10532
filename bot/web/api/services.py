"""What the API needs of an opened home: the services of core, and the event feed that its streams share."""

from __future__ import annotations

from typing import Protocol

from core.services.api_responses import ApiResponses
from core.services.api_tokens import ApiTokens
from core.services.approvals import Approvals
from core.services.budgets import Budgets
from core.services.home_checks import HomeChecks
from core.services.inventory import Inventory
from core.services.partial_changes import PartialChanges
from core.services.queries import Queries
from core.services.queue_control import QueueControl
from core.services.request_preview import RequestPreview
from core.services.requests import Requests
from core.services.schedule_runs import ScheduleRuns
from core.services.schedules import Schedules
from core.services.spending_report import SpendingReport
from core.services.staged_diffs import StagedDiffs
from core.services.task_document import TaskDocuments
from core.services.task_search import TaskSearch
from core.settings import SettingsSource


class ApiServices(Protocol):
    """The part of an opened home (`bot.wiring.app.App`) behind the API."""

    @property
    def settings(self) -> SettingsSource:
        """The settings in force."""

    @property
    def api_tokens(self) -> ApiTokens:
        """The tokens of the API."""

    @property
    def api_responses(self) -> ApiResponses:
        """The responses that are repeated."""

    @property
    def requests(self) -> Requests:
        """Requests, replies, cancelling, merging and undoing."""

    @property
    def approvals(self) -> Approvals:
        """Approvals and rejections."""

    @property
    def queries(self) -> Queries:
        """Queries of events, the queue and artifacts."""

    @property
    def task_search(self) -> TaskSearch:
        """The list of tasks."""

    @property
    def documents(self) -> TaskDocuments:
        """Documents of tasks."""

    @property
    def diffs(self) -> StagedDiffs:
        """Staged diffs."""

    @property
    def partial_changes(self) -> PartialChanges:
        """Keeping some parts of staged diffs."""

    @property
    def budgets(self) -> Budgets:
        """Extending the budgets of tasks that ask for it."""

    @property
    def queue_control(self) -> QueueControl:
        """Pausing and resuming the queue."""

    @property
    def inventory(self) -> Inventory:
        """Endpoints and nodes."""

    @property
    def schedules(self) -> Schedules:
        """Recurring requests."""

    @property
    def schedule_runs(self) -> ScheduleRuns:
        """Running recurring requests now."""

    @property
    def home_checks(self) -> HomeChecks:
        """Counts of the whole home."""

    @property
    def spending(self) -> SpendingReport:
        """What models cost."""

    @property
    def preview(self) -> RequestPreview:
        """The plan for a request, without making it."""
