"""Builds the object graph of one home: configuration, database, services and adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bot.configuration.config import Config
from bot.configuration.home import Home
from bot.configuration.live_settings import LiveSettings
from bot.wiring.host import LazySandboxes
from bot.wiring.operating_services import OperatingServices
from bot.wiring.task_services import TaskServices
from core.log import log
from core.ports.executor import Executor
from core.ports.forge import FollowedForge, Forge
from core.ports.interpretation import Interpreter
from core.ports.reporting import Milestones
from core.ports.repository import Repository
from core.store.database import Database, Location

if TYPE_CHECKING:
    from bot.configuration.lane_gallery import LaneGallery
    from bot.integrations.tickets import Trackers
    from bot.integrations.webhooks.hooks import Hook
    from bot.plugins.load import Plugins
    from bot.schedule.recurrence import Recurrence
    from bot.wiring.model_adapters import ModelAdapters
    from core.model.errors import Problem
    from core.model.place import Place
    from core.services.decision_replay import DecisionReplay
    from core.services.diff_comments import DiffComments
    from core.services.event_chains import EventChains
    from core.services.partial_changes import PartialChanges
    from core.services.request_preview import RequestPreview
    from core.services.requests import Requests
    from core.services.revision_comparison import RevisionComparisons
    from core.services.schedule_runs import ScheduleRuns
    from core.services.schedules import Schedules
    from core.services.staged_diffs import StagedDiffs
    from lanes.forge.github.client import GitHubClient
    from lanes.forge.github.forge import GitHubForge
    from lanes.sandbox import Sandbox
    from policies.rules import Rules


class LoggedMilestones:
    """`core.ports.reporting.Milestones` that writes debug lines to the log."""

    def reached(self, point: str, **facts: object) -> None:
        """Log `point`."""
        log.debug("reached", point=point, **facts)


class App(TaskServices, OperatingServices):
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
        super().__init__(home, settings, database, milestones)
        self.sandbox = sandbox
        self._models: ModelAdapters | None = None
        self._github: GitHubClient | None = None
        self.examine: Callable[[], Awaitable[list[dict[str, Any]]]] | None = None  # set by `serve`, for its pages

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
    def schedules(self) -> Schedules:
        """Recurring requests."""
        from bot.wiring.schedule_request_check import RequestCheck
        from core.services.schedules import Schedules

        def read(phrase: str) -> Recurrence:
            from bot.schedule.recurrence import read_recurrence

            return read_recurrence(phrase)

        return Schedules(self.database, self.settings, read, RequestCheck(self))

    @cached_property
    def schedule_runs(self) -> ScheduleRuns:
        """Running recurring requests now."""
        from bot.messaging.channel_scopes import ChannelScopes
        from core.services.schedule_runs import ScheduleRuns

        async def scope_of(place: Place) -> tuple[str, ...] | None:
            scopes = ChannelScopes(self.config.surfaces(), self.conversations)
            await scopes.load()
            return scopes.of(place)

        return ScheduleRuns(self.schedules, self.requests, scope_of)

    @cached_property
    def lane_gallery(self) -> LaneGallery:
        """The lanes of the home and the templates, as files."""
        from bot.configuration.lane_gallery import LaneGallery
        from core.services.lane_imports import LaneImports

        return LaneGallery(self.home, LaneImports(self.database, self.settings))

    @cached_property
    def decision_replay(self) -> DecisionReplay:
        """Past decisions, decided again."""
        from core.services.decision_replay import DecisionReplay

        return DecisionReplay(self.database, self.executors)

    @cached_property
    def event_chains(self) -> EventChains:
        """The chains of all events, for exports."""
        from core.services.event_chains import EventChains

        return EventChains(self.database)

    @cached_property
    def diffs(self) -> StagedDiffs:
        """The staged diffs, as shown to people."""
        from core.services.staged_diffs import StagedDiffs

        return StagedDiffs(self.database, self.files, self.repository)

    @cached_property
    def partial_changes(self) -> PartialChanges:
        """Keeping some parts of staged diffs."""
        from core.services.partial_changes import PartialChanges

        return PartialChanges(self.database, self.settings, self.requests, self.diffs)

    @cached_property
    def diff_comments(self) -> DiffComments:
        """Comments on lines of staged diffs that were not sent yet."""
        from core.services.diff_comments import DiffComments

        return DiffComments(self.database, self.settings, self.requests)

    @cached_property
    def comparisons(self) -> RevisionComparisons:
        """Comparisons of two revisions of a task."""
        from core.services.revision_comparison import RevisionComparisons

        return RevisionComparisons(self.database, self.settings, self.files, self.repository)

    async def verified(self, number: int) -> Sequence[dict[str, Any]]:
        """The checks of a task's receipt, as `countersign verify` prints them; raises `NotFoundError`."""
        from bot.verification.verify import verify_task

        return await verify_task(self, number, None)

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
