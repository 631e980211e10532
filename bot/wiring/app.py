"""Builds the object graph of one home: configuration, database, services and adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bot.configuration.config import Config
from bot.configuration.home import Home
from bot.configuration.live_settings import LiveSettings
from bot.wiring.host import LazySandboxes
from core.log import log
from core.ports.executor import Executor
from core.ports.forge import FollowedForge, Forge
from core.ports.interpretation import Interpreter
from core.ports.reporting import Milestones
from core.ports.repository import Repository
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, Location

if TYPE_CHECKING:
    from bot.integrations.tickets import Trackers
    from bot.integrations.webhooks.hooks import Hook
    from bot.plugins.load import Plugins
    from bot.wiring.model_adapters import ModelAdapters
    from bot.wiring.what_if import WhatIfs
    from core.model.errors import Problem
    from core.queue.lease_client import LeaseClient
    from core.services.accounts import Accounts
    from core.services.api_responses import ApiResponses
    from core.services.api_tokens import ApiTokens
    from core.services.approvals import Approvals
    from core.services.attention import Attention
    from core.services.budgets import Budgets
    from core.services.conversations import Conversations
    from core.services.diff_comments import DiffComments
    from core.services.endpoint_health import EndpointHealth
    from core.services.home_checks import HomeChecks
    from core.services.identities import Identities
    from core.services.insight import Insight
    from core.services.inventory import Inventory
    from core.services.joint_approvals import JointApprovals
    from core.services.passkey_approvals import PasskeyApprovals
    from core.services.passkeys import Passkeys
    from core.services.possible_steps import PossibleSteps
    from core.services.queries import Queries
    from core.services.queue_control import QueueControl
    from core.services.queue_history import QueueHistory
    from core.services.queue_statistics import QueueStatistics
    from core.services.request_preview import RequestPreview
    from core.services.requests import Requests
    from core.services.revision_comparison import RevisionComparisons
    from core.services.scheduler_weights import SchedulerWeights
    from core.services.schedules import Schedules
    from core.services.spending_report import SpendingReport
    from core.services.staged_diffs import StagedDiffs
    from core.services.task_document import TaskDocuments
    from core.services.task_search import TaskSearch
    from core.services.task_work import TaskWorks
    from core.services.web_sessions import WebSessions
    from core.services.webhooks import Webhooks
    from lanes.forge.github.client import GitHubClient
    from lanes.forge.github.forge import GitHubForge
    from lanes.sandbox import Sandbox
    from policies.rules import Rules


class LoggedMilestones:
    """`core.ports.reporting.Milestones` that writes debug lines to the log."""

    def reached(self, point: str, **facts: object) -> None:
        """Log `point`."""
        log.debug("reached", point=point, **facts)


class App:
    """One opened home. Everything is built, and its modules imported, on first use.

    `settings` and `config` come from one snapshot, which is reloaded as a whole when a file changes. Services and
    adapters read it at each use. The database, surfaces, the GitHub client and plugins are built once, because they
    hold connections or run third-party code; changes to them take effect at the next start.
    """

    def __init__(
        self,
        home: Home,
        settings: LiveSettings,
        database: Database,
        milestones: Milestones,
        sandbox: Callable[[str], Sandbox | Problem],
    ) -> None:
        """`sandbox` returns the sandbox of a kind, or why this host has none."""
        self.home = home
        self.settings = settings
        self.database = database
        self.milestones = milestones
        self.sandbox = sandbox
        self._models: ModelAdapters | None = None
        self._github: GitHubClient | None = None

    @property
    def config(self) -> Config:
        """countersign.yaml in force now."""
        return self.settings.config()

    @property
    def location(self) -> Location:
        """Where the database is."""
        return self.database.location

    @cached_property
    def files(self) -> ArtifactFiles:
        """The files of artifacts."""
        return ArtifactFiles(self.home.artifacts)

    # -- services ---------------------------------------------------------------------------------------------

    @cached_property
    def requests(self) -> Requests:
        """Requests, replies, cancelling, merging and undoing."""
        from bot.interpret.quick_reader import QuickReader
        from core.services.requests import Requests

        reader = QuickReader(self._has_model, self.executors)
        return Requests(self.database, self.settings, self.milestones, reader)

    @cached_property
    def preview(self) -> RequestPreview:
        """The plan for a request, without making it."""
        from core.services.request_preview import RequestPreview

        return RequestPreview(self.database, self.settings, self.executors, self.repository)

    @cached_property
    def approvals(self) -> Approvals:
        """Approvals and rejections."""
        from core.services.approvals import Approvals

        return Approvals(self.database, self.settings, self.milestones)

    @cached_property
    def joint_approvals(self) -> JointApprovals:
        """Approving several low-risk diffs in one sitting."""
        from core.services.joint_approvals import JointApprovals

        return JointApprovals(self.database, self.settings, self.approvals, self.web_sessions)

    @cached_property
    def budgets(self) -> Budgets:
        """Extending the budgets of tasks that ask for it."""
        from core.services.budgets import Budgets

        return Budgets(self.database, self.settings, self.milestones)

    @cached_property
    def attention(self) -> Attention:
        """Whose turn it is."""
        from core.services.attention import Attention

        return Attention(self.database, self.settings)

    @cached_property
    def steps(self) -> PossibleSteps:
        """Which steps beside verdicts a person can take on a task."""
        from core.services.possible_steps import PossibleSteps

        return PossibleSteps(self.database, self.settings)

    @cached_property
    def web_sessions(self) -> WebSessions:
        """Sign-in links and sessions of browsers."""
        from core.services.web_sessions import WebSessions

        return WebSessions(self.database, self.settings)

    @cached_property
    def accounts(self) -> Accounts:
        """Local accounts with passwords."""
        from core.services.accounts import Accounts

        return Accounts(self.database, self.settings)

    @cached_property
    def passkeys(self) -> Passkeys:
        """The passkeys of people."""
        from core.services.passkeys import Passkeys
        from core.signing import Keys

        return Passkeys(self.database, self.settings, Keys(self.home.keys))

    @cached_property
    def passkey_approvals(self) -> PasskeyApprovals:
        """Approvals that the approver's passkey signs."""
        from core.services.passkey_approvals import PasskeyApprovals
        from core.signing import Keys

        return PasskeyApprovals(self.database, self.passkeys, self.approvals, Keys(self.home.keys))

    @cached_property
    def queries(self) -> Queries:
        """Queries of tasks, events and the queue."""
        from core.services.queries import Queries

        return Queries(self.database, self.settings, self.files)

    @cached_property
    def queue_control(self) -> QueueControl:
        """Pausing and resuming the queue."""
        from core.services.queue_control import QueueControl

        return QueueControl(self.database, self.settings)

    @cached_property
    def inventory(self) -> Inventory:
        """Model servers and the hosts of workers."""
        from core.services.inventory import Inventory

        return Inventory(self.database, self.settings, lambda: self.config.endpoint_kinds)

    @cached_property
    def schedules(self) -> Schedules:
        """Recurring requests."""
        from bot.schedule.recurrence import read_recurrence
        from bot.wiring.schedule_request_check import RequestCheck
        from core.services.schedules import Schedules

        return Schedules(self.database, self.settings, read_recurrence, RequestCheck(self))

    @cached_property
    def webhooks(self) -> Webhooks:
        """Deliveries of events to webhooks and other receivers."""
        from core.services.webhooks import Webhooks

        return Webhooks(self.database)

    @cached_property
    def spending(self) -> SpendingReport:
        """What models cost."""
        from core.services.spending_report import SpendingReport

        return SpendingReport(self.database)

    @cached_property
    def queue_history(self) -> QueueHistory:
        """What the queue did, for the simulator."""
        from core.services.queue_history import QueueHistory

        return QueueHistory(self.database)

    @cached_property
    def queue_statistics(self) -> QueueStatistics:
        """What the queue and the model servers did, for `stats`."""
        from core.services.queue_statistics import QueueStatistics

        return QueueStatistics(self.database)

    @cached_property
    def insight(self) -> Insight:
        """What happened in the last days, for the page of insights."""
        from core.services.insight import Insight

        return Insight(self.database)

    @cached_property
    def scheduler_weights(self) -> SchedulerWeights:
        """The weights of the live scheduler."""
        from core.services.scheduler_weights import SchedulerWeights

        return SchedulerWeights(self.database, self.settings)

    @cached_property
    def home_checks(self) -> HomeChecks:
        """Data for `stats`, `doctor` and `verify`."""
        from core.services.home_checks import HomeChecks

        return HomeChecks(self.database)

    @cached_property
    def diffs(self) -> StagedDiffs:
        """The staged diffs, as shown to people."""
        from core.services.staged_diffs import StagedDiffs

        return StagedDiffs(self.database, self.files, self.repository)

    @cached_property
    def diff_comments(self) -> DiffComments:
        """Comments on lines of staged diffs that were not sent yet."""
        from core.services.diff_comments import DiffComments

        return DiffComments(self.database, self.settings, self.requests)

    @cached_property
    def documents(self) -> TaskDocuments:
        """Documents with everything about a task, for people who may see it."""
        from core.services.task_document import TaskDocuments

        return TaskDocuments(self.database, self.settings)

    @cached_property
    def task_works(self) -> TaskWorks:
        """What was worked on tasks."""
        from core.services.task_work import TaskWorks

        return TaskWorks(self.database, self.settings)

    @cached_property
    def comparisons(self) -> RevisionComparisons:
        """Comparisons of two revisions of a task."""
        from core.services.revision_comparison import RevisionComparisons

        return RevisionComparisons(self.database, self.files, self.repository)

    @cached_property
    def what_ifs(self) -> WhatIfs:
        """What the queue would do on other endpoints."""
        from bot.wiring.what_if import WhatIfs

        return WhatIfs(self.queue_history)

    async def verified(self, number: int) -> Sequence[dict[str, Any]]:
        """The checks of a task's receipt, as `countersign verify` prints them; raises `NotFoundError`."""
        from bot.verification.verify import verify_task

        return await verify_task(self, number, None)

    @cached_property
    def identities(self) -> Identities:
        """The people that accounts on surfaces belong to."""
        from core.services.identities import Identities

        return Identities(self.database, self.settings)

    @cached_property
    def task_search(self) -> TaskSearch:
        """The list of tasks, filtered and searched."""
        from core.services.task_search import TaskSearch

        return TaskSearch(self.database)

    @cached_property
    def api_tokens(self) -> ApiTokens:
        """The tokens of the API."""
        from core.services.api_tokens import ApiTokens

        return ApiTokens(self.database, self.settings)

    @cached_property
    def api_responses(self) -> ApiResponses:
        """The responses of the API that are repeated for a repeated request."""
        from core.services.api_responses import ApiResponses

        return ApiResponses(self.database)

    @cached_property
    def conversations(self) -> Conversations:
        """Which tasks each conversation is about."""
        from core.services.conversations import Conversations

        return Conversations(self.database)

    # -- the configuration in force ---------------------------------------------------------------------------

    def hooks(self) -> Sequence[Hook]:
        """The webhooks in force."""
        return self.config.hooks()

    def trackers(self) -> Trackers:
        """The issue trackers in force."""
        return self.config.trackers()

    def ticket_links(self, text: str) -> str:
        """Links to the tickets that a text names, as a paragraph of Markdown; empty if it names none."""
        from bot.integrations.tickets import body_line, tickets_in

        line = body_line(tickets_in(text, self.trackers()))
        return f"\n{line}\n" if line else ""

    def rules(self) -> Rules:
        """The rules of the policy in force."""
        return self.settings.snapshot().rules

    def checked_policy(self) -> Mapping[str, Any]:
        """What the files of the policy and the lanes say now; raises `ConfigError` for the first mistake."""
        from bot.configuration.live_settings import load_snapshot

        found = load_snapshot(self.home)
        return {
            "rules": len(found.rules.rules),
            "lanes": len(found.settings.lanes),
            "digest": found.settings.policy.digest,
        }

    def _has_model(self) -> bool:
        return bool(self.config.models().interpreter)

    # -- adapters ---------------------------------------------------------------------------------------------

    def model_adapters(self) -> ModelAdapters:
        """The adapters for the configured models; rebuilt when that configuration changes."""
        from bot.wiring.model_adapters import ModelAdapters

        models = self.config.models()
        if self._models is None or self._models.models != models:
            self._models = ModelAdapters(
                models,
                self._endpoint_health,
                self.lease_client,
                self.home.scratch,
                self.sandbox,
                self.plugins().executors,
            )
        return self._models

    def executors(self) -> Mapping[str, Executor]:
        """Every executor, by name."""
        return self.model_adapters().executors

    def interpreter(self) -> Interpreter:
        """Interprets requests: the grammar, then the configured models for what the grammar cannot."""
        return self.model_adapters().interpreter

    def forges(self) -> Mapping[str, Forge]:
        """Every forge, by name."""
        from lanes.forge.local import LocalForge

        return {"local": LocalForge(), **self.plugins().forges(), **self._github_forge()}

    def followed_forges(self) -> Mapping[str, FollowedForge]:
        """The forges whose pull requests are followed, because people also act there directly."""
        return {**self.plugins().followed(), **self._github_forge()}

    def plugins(self) -> Plugins:
        """The plugins that were enabled when this process started; each is imported when first needed."""
        return self.settings.plugins()

    def repository(self, name: str) -> Repository:
        """The git store of the repository called `name`."""
        from lanes.repository import GitRepository

        spec = self.settings().repository(name)
        if spec.forge not in ("local", "github"):
            return GitRepository(spec, self.home.git, self.plugins().credentials(spec.forge))
        hub = self.github() if spec.forge == "github" else None
        return GitRepository(spec, self.home.git, hub.credentials if hub else None)

    def github(self) -> GitHubClient | None:
        """The client shared by forge, surface and git; its library is imported only if GitHub is configured."""
        if self._github is None and (access := self.config.github_access()) is not None:
            from lanes.forge.github.client import GitHubClient

            self._github = GitHubClient(access, between_changes_s=access.between_changes_s)
        return self._github

    def close(self) -> None:
        """Close the connections to GitHub."""
        if self._github is not None:
            self._github.close()

    def _github_forge(self) -> dict[str, GitHubForge]:
        hub = self.github()
        if hub is None:
            return {}
        from lanes.forge.github.forge import GitHubForge

        return {"github": GitHubForge(hub)}

    @cached_property
    def lease_client(self) -> LeaseClient:
        """Waits for model leases on behalf of this process."""
        from core.queue.lease_client import LeaseClient
        from core.services.model_leases import ModelLeaseBook

        return LeaseClient(ModelLeaseBook(self.database))

    @cached_property
    def _endpoint_health(self) -> EndpointHealth:
        """Which endpoints may be asked; it outlives a change of the configuration."""
        from core.services.endpoint_health import EndpointHealth

        return EndpointHealth(self.database)


@asynccontextmanager
async def opened(home: Home, milestones: Milestones | None = None) -> AsyncIterator[App]:
    """Open `home`: check its configuration, and migrate its database."""
    from bot.wiring.database_file import check_not_lost
    from core.store.migrate import migrate

    home.check()
    sandboxes = LazySandboxes()

    def build_plugins(config: Config) -> Plugins:
        from bot.plugins.load import Plugins

        return Plugins(config.plugins, home.state, sandboxes.of)

    settings = LiveSettings(home, build_plugins)
    location = Location.of(settings.config().database, home.state)
    check_not_lost(home, location)
    migrate(location)
    app = App(home, settings, Database(location), milestones or LoggedMilestones(), sandboxes.of)
    try:
        yield app
    finally:
        app.close()
        await app.database.close()
