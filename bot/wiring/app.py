"""Builds one home's object graph: its configuration, database, services and adapters, and closes them again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from bot.configuration.config import Config
from bot.configuration.home import Home
from bot.configuration.live_settings import LiveSettings
from bot.wiring.host import LazySandboxes
from core.log import log
from core.ports import Executor, Followed, Forge, Interpreter, Milestones, Repository
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, Location

if TYPE_CHECKING:
    from bot.integrations.tickets import Trackers
    from bot.integrations.webhooks.hooks import Hook
    from bot.plugins.load import Plugins
    from bot.wiring.model_adapters import ModelAdapters
    from core.model.errors import Problem
    from core.services.approvals import Approvals
    from core.services.conversations import Conversations
    from core.services.home_checks import HomeChecks
    from core.services.identities import Identities
    from core.services.queries import Queries
    from core.services.queue_control import QueueControl
    from core.services.queue_history import QueueHistory
    from core.services.request_preview import RequestPreview
    from core.services.requests import Requests
    from core.services.schedules import Schedules
    from core.services.spending_report import SpendingReport
    from core.services.staged_diffs import StagedDiffs
    from core.services.task_document import TaskDocuments
    from core.services.webhooks import Webhooks
    from lanes.forge.github.client import GitHubClient
    from lanes.forge.github.forge import GitHubForge
    from lanes.models.breaker import CircuitBreakers
    from lanes.sandbox import Sandbox


class LoggedMilestones:
    """Milestones as debug lines of the log."""

    def reached(self, point: str, **facts: object) -> None:
        """Log `point`."""
        log.debug("reached", point=point, **facts)


class App:
    """One opened home. Everything is built, and its modules imported, when it is first used.

    `settings` and `config` come from one snapshot, which is reloaded as a whole when a file changes. Services and
    adapters read it at each use; only what keeps a connection or runs foreign code is built once, so that changes there
    take effect at the next start: the database, surfaces, the GitHub client and plugins.
    """

    def __init__(
        self,
        home: Home,
        settings: LiveSettings,
        database: Database,
        milestones: Milestones,
        sandbox: Callable[[str], Sandbox | Problem],
    ) -> None:
        """`sandbox` finds the sandbox of a kind, or says why this host has none."""
        self.home = home
        self.settings = settings
        self.database = database
        self.milestones = milestones
        self.sandbox = sandbox
        self._models: ModelAdapters | None = None
        self._github: GitHubClient | None = None

    @property
    def config(self) -> Config:
        """countersign.yaml as it is in force now."""
        return self.settings.config()

    @property
    def location(self) -> Location:
        """Where the database is."""
        return self.database.location

    @cached_property
    def files(self) -> ArtifactFiles:
        """The bytes of artifacts."""
        return ArtifactFiles(self.home.artifacts)

    # -- services ---------------------------------------------------------------------------------------------

    @cached_property
    def requests(self) -> Requests:
        """Requests, replies and the other things that people do to tasks."""
        from bot.interpret.quick_reader import QuickReader
        from core.services.requests import Requests

        reader = QuickReader(self._has_model, self.executors)
        return Requests(self.database, self.settings, self.milestones, reader)

    @cached_property
    def preview(self) -> RequestPreview:
        """What would become of a request."""
        from core.services.request_preview import RequestPreview

        return RequestPreview(self.database, self.settings, self.executors, self.repository)

    @cached_property
    def approvals(self) -> Approvals:
        """Approvals and rejections."""
        from core.services.approvals import Approvals

        return Approvals(self.database, self.settings, self.milestones)

    @cached_property
    def queries(self) -> Queries:
        """Tasks, events and the queue, for people to look at."""
        from core.services.queries import Queries

        return Queries(self.database, self.settings, self.files)

    @cached_property
    def queue_control(self) -> QueueControl:
        """Pausing and resuming the queue."""
        from core.services.queue_control import QueueControl

        return QueueControl(self.database, self.settings)

    @cached_property
    def schedules(self) -> Schedules:
        """Recurring requests."""
        from bot.schedule.recurrence import read_recurrence
        from bot.wiring.request_check import RequestCheck
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
    def home_checks(self) -> HomeChecks:
        """What `stats`, `doctor` and `verify` read."""
        from core.services.home_checks import HomeChecks

        return HomeChecks(self.database)

    @cached_property
    def diffs(self) -> StagedDiffs:
        """The diffs that people are shown."""
        from core.services.staged_diffs import StagedDiffs

        return StagedDiffs(self.database, self.files, self.repository)

    @cached_property
    def documents(self) -> TaskDocuments:
        """Everything about a task, for whoever may see it where they are."""
        from core.services.task_document import TaskDocuments

        return TaskDocuments(self.database, self.settings)

    @cached_property
    def identities(self) -> Identities:
        """Who an account on a surface is."""
        from core.services.identities import Identities

        return Identities(self.database, self.settings)

    @cached_property
    def conversations(self) -> Conversations:
        """Which tasks are shown where."""
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
        """Links to the tickets that a text names, as a paragraph of Markdown; empty when it names none."""
        from bot.integrations.tickets import body_line, tickets_in

        line = body_line(tickets_in(text, self.trackers()))
        return f"\n{line}\n" if line else ""

    def _has_model(self) -> bool:
        return bool(self.config.models().interpreter)

    # -- adapters ---------------------------------------------------------------------------------------------

    def model_adapters(self) -> ModelAdapters:
        """What the configuration of models in force gives; built anew when that configuration changes."""
        from bot.wiring.model_adapters import ModelAdapters

        models = self.config.models()
        if self._models is None or self._models.models != models:
            self._models = ModelAdapters(
                models, self._breakers, self.home.scratch, self.sandbox, self.plugins().executors
            )
        return self._models

    def executors(self) -> Mapping[str, Executor]:
        """Every executor of this installation by name."""
        return self.model_adapters().executors

    def interpreter(self) -> Interpreter:
        """Who reads requests: the grammar, and the configured models for what it cannot read."""
        return self.model_adapters().interpreter

    def forges(self) -> Mapping[str, Forge]:
        """Every forge by name."""
        from lanes.forge.local import LocalForge

        return {"local": LocalForge(), **self.plugins().forges(), **self._github_forge()}

    def followed_forges(self) -> Mapping[str, Followed]:
        """The forges whose pull requests are followed, because others act there too."""
        return {**self.plugins().followed(), **self._github_forge()}

    def plugins(self) -> Plugins:
        """The plugins that the configuration enabled when this process began; each is imported when first needed."""
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
        """The client that forge, surface and git share; its library is imported only where GitHub is configured."""
        if self._github is None and (access := self.config.github_access()) is not None:
            from lanes.forge.github.client import GitHubClient

            self._github = GitHubClient(access, between_changes_s=access.between_changes_s)
        return self._github

    def close(self) -> None:
        """Close the connections to the outside."""
        if self._github is not None:
            self._github.close()

    def _github_forge(self) -> dict[str, GitHubForge]:
        hub = self.github()
        if hub is None:
            return {}
        from lanes.forge.github.forge import GitHubForge

        return {"github": GitHubForge(hub)}

    @cached_property
    def _breakers(self) -> CircuitBreakers:
        """What is known of endpoints that fail; it outlives a change of the configuration."""
        from lanes.models.breaker import CircuitBreakers

        return CircuitBreakers()


@asynccontextmanager
async def opened(home: Home, milestones: Milestones | None = None) -> AsyncIterator[App]:
    """The app of `home`, its configuration checked and its database at this program's schema."""
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
