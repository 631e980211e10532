"""What the pages need of the rest of the program: services of core, each made on first use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bot.identity_providers.registry import IdentityProviders
    from core.model.lane import Lane
    from core.model.turn import Actor
    from core.services.access_overview import AccessOverview
    from core.services.accounts import Accounts
    from core.services.alerts import Alerts
    from core.services.approvals import Approvals
    from core.services.attention import Attention
    from core.services.audit_trail import AuditTrail
    from core.services.authenticators import Authenticators
    from core.services.budgets import Budgets
    from core.services.code_approvals import CodeApprovals
    from core.services.diff_comments import DiffComments
    from core.services.insight import Insight
    from core.services.inventory import Inventory
    from core.services.joint_approvals import JointApprovals
    from core.services.live_output import LiveOutputs
    from core.services.partial_changes import PartialChanges
    from core.services.passkey_approvals import PasskeyApprovals
    from core.services.passkeys import Passkeys
    from core.services.possible_steps import PossibleSteps
    from core.services.provider_sign_ins import ProviderSignIns
    from core.services.queries import Queries
    from core.services.queue_control import QueueControl
    from core.services.request_preview import RequestPreview
    from core.services.requests import Requests
    from core.services.revision_comparison import RevisionComparisons
    from core.services.run_comparison import RunComparisons
    from core.services.schedule_runs import ScheduleRuns
    from core.services.schedules import Schedules
    from core.services.staged_diffs import StagedDiffs
    from core.services.step_times import StepTimes
    from core.services.step_ups import StepUps
    from core.services.task_document import TaskDocuments
    from core.services.task_search import TaskSearch
    from core.services.task_work import TaskWorks
    from core.services.web_sessions import WebSessions
    from core.settings import SettingsSource
    from core.simulator.what_if import WhatIfAnswer, WhatIfQuestion
    from policies.rules import Rules


class WhatIfService(Protocol):
    """Answers questions about other endpoints."""

    async def answer(self, question: WhatIfQuestion) -> WhatIfAnswer:
        """Replay the history; raises `CountersignError` if that cannot be done now."""


class ComparedLane(Protocol):
    """What importing a lane would do; `bot.configuration.lane_gallery.LanePreview` says it."""

    @property
    def text(self) -> str:
        """The lane's file."""


class LaneGalleryService(Protocol):
    """The lanes of the home and the templates, as files; `bot.configuration.lane_gallery.LaneGallery` has them."""

    def check(self, actor: Actor) -> None:
        """Raise `RefusedError` unless `actor` may add lanes."""

    def listed(self, word: str = "") -> Sequence[tuple[bool, Lane]]:
        """The templates (True) and the home's lanes (False) that contain `word`."""

    def exported(self, name: str, *, only_templates: bool) -> str:
        """A lane, else a template, as one file with its digest."""

    def previewed(self, text: str) -> ComparedLane:
        """What importing this text would do; changes nothing."""

    async def add(self, text: str, replaces: str, actor: Actor) -> tuple[str, str | None]:
        """Add the lane, or replace the file with this digest; returns its name and the rule that is missing."""


class SiteServices(Protocol):
    """The services behind the pages; `bot.wiring.app.App` has them."""

    @property
    def accounts(self) -> Accounts:
        """Local accounts with passwords."""

    @property
    def approvals(self) -> Approvals:
        """Approvals and rejections."""

    @property
    def alerts(self) -> Alerts:
        """What operators are alerted of."""

    @property
    def attention(self) -> Attention:
        """Whose turn it is."""

    @property
    def access_overview(self) -> AccessOverview:
        """Who has access, and how."""

    @property
    def audit_trail(self) -> AuditTrail:
        """The events of the home."""

    @property
    def examine(self) -> Callable[[], Awaitable[list[dict[str, Any]]]] | None:
        """Runs the checks of `countersign doctor`; None in a process that cannot."""

    @property
    def authenticators(self) -> Authenticators:
        """The authenticator apps of people."""

    @property
    def code_approvals(self) -> CodeApprovals:
        """Approvals with a code of an authenticator app."""

    @property
    def step_ups(self) -> StepUps:
        """Proofs within a session."""

    @property
    def budgets(self) -> Budgets:
        """Extending the budgets of tasks that ask for it."""

    @property
    def diff_comments(self) -> DiffComments:
        """Comments on lines that were not sent yet."""

    @property
    def comparisons(self) -> RevisionComparisons:
        """Comparisons of two revisions."""

    @property
    def diffs(self) -> StagedDiffs:
        """What digests name."""

    @property
    def documents(self) -> TaskDocuments:
        """Everything about one task."""

    @property
    def insight(self) -> Insight:
        """What happened in the last days."""

    @property
    def inventory(self) -> Inventory:
        """Model servers and nodes."""

    @property
    def partial_changes(self) -> PartialChanges:
        """Keeping some parts of staged diffs."""

    @property
    def live_outputs(self) -> LiveOutputs:
        """The output of running work."""

    @property
    def identity_providers(self) -> IdentityProviders:
        """The providers where people sign in."""

    @property
    def provider_sign_ins(self) -> ProviderSignIns:
        """Sign-ins that began at a provider."""

    @property
    def passkey_approvals(self) -> PasskeyApprovals:
        """Approvals that the approver's passkey signs."""

    @property
    def passkeys(self) -> Passkeys:
        """The passkeys of people."""

    @property
    def joint_approvals(self) -> JointApprovals:
        """Approving several low-risk diffs in one sitting."""

    @property
    def preview(self) -> RequestPreview:
        """The plan for a request, without making it."""

    @property
    def queries(self) -> Queries:
        """Lists, events, the queue and artifacts."""

    @property
    def queue_control(self) -> QueueControl:
        """Pausing and resuming the queue."""

    @property
    def requests(self) -> Requests:
        """Requests and replies."""

    @property
    def steps(self) -> PossibleSteps:
        """Which steps beside verdicts a person can take on a task."""

    @property
    def schedules(self) -> Schedules:
        """Recurring requests."""

    @property
    def run_comparisons(self) -> RunComparisons:
        """Figures of runs to compare."""

    @property
    def step_times(self) -> StepTimes:
        """When the steps of workflows ran."""

    @property
    def lane_gallery(self) -> LaneGalleryService:
        """The lanes of the home and the templates, as files."""

    @property
    def schedule_runs(self) -> ScheduleRuns:
        """Running recurring requests now."""

    @property
    def task_works(self) -> TaskWorks:
        """What was worked on a task."""

    async def verified(self, number: int) -> Sequence[dict[str, Any]]:
        """The checks of a task's receipt, as `countersign verify` prints them."""

    @property
    def web_sessions(self) -> WebSessions:
        """Sign-in links and sessions."""

    @property
    def settings(self) -> SettingsSource:
        """The settings in force."""

    @property
    def task_search(self) -> TaskSearch:
        """The list of tasks, filtered."""

    @property
    def what_ifs(self) -> WhatIfService:
        """What other endpoints would do."""

    def rules(self) -> Rules:
        """The rules in force."""

    def checked_policy(self) -> Mapping[str, Any]:
        """What the files of the policy and the lanes say now; raises `ConfigError` for the first mistake."""
