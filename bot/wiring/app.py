"""The only wiring: builds the object graph of one home, and takes it apart again."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.configuration.config import Config, load_config
from bot.configuration.home import Home
from bot.configuration.live_settings import LiveSettings
from core.log import log
from core.model.errors import Kind, PermanentError
from core.model.ids import new_id
from core.model.lane import Lane
from core.ports import Executor, Followed, Forge, Interpreter, Milestones, Repository
from core.services.task_document import TaskDocument, read_document
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, Location

if TYPE_CHECKING:
    from bot.cards.shown_diff import ShownDiffs
    from bot.plugins.load import Plugins
    from core.jobs.job_context import JobContext
    from core.queue.engine import Engine
    from core.queue.worker import Worker
    from core.services.approvals import Approvals
    from core.services.requests import Requests
    from lanes.agent_clis import ProgramPlace
    from lanes.forge.github.client import GitHubClient
    from lanes.models.registry import ModelRegistry
    from lanes.sandbox import Sandboxes


class LoggedMilestones:
    """Milestones as debug lines of the log."""

    def reached(self, point: str, **facts: object) -> None:
        """Log `point`."""
        log.debug("reached", point=point, **facts)


@dataclass(slots=True)
class App:
    """One opened home."""

    home: Home
    config: Config
    settings: LiveSettings
    location: Location
    database: Database
    milestones: Milestones
    _service: Requests | None = None
    _verdicts: Approvals | None = None
    _github: GitHubClient | None = None
    _executors: Mapping[str, Executor] | None = None
    _shelf: ModelRegistry | None = None
    _sandboxes: Sandboxes | None = None
    _plugins: Plugins | None = None
    _diffs: ShownDiffs | None = None

    @property
    def service(self) -> Requests:
        """Requests, replies and the other things that people do to tasks."""
        from bot.interpret.quick_reader import QuickReader
        from core.services.requests import Requests

        if self._service is None:
            reader = QuickReader(self._has_model, self._takes_any_wording)
            self._service = Requests(self.database, self.settings, new_id, self.milestones, reader)
        return self._service

    def _has_model(self) -> bool:
        return bool(self.config.models().interpreter)

    def _takes_any_wording(self, lane: Lane, living: Sequence[frozenset[str]]) -> bool:
        """Whether the lane's executor reads any words, here or where a worker lives that offers what it needs."""
        executor = self.executors().get(lane.executor)
        if executor is None or not executor.reads:
            return False
        problem = executor.unavailable(lane)
        elsewhere = problem is not None and problem.kind is Kind.UNAVAILABLE
        return problem is None or (elsewhere and any(executor.needs(lane) <= offers for offers in living))

    @property
    def verdicts(self) -> Approvals:
        """Approvals and rejections."""
        from core.services.approvals import Approvals

        if self._verdicts is None:
            self._verdicts = Approvals(self.database, self.settings, new_id, self.milestones)
        return self._verdicts

    async def document(self, number: int) -> TaskDocument:
        """Everything about a task."""
        return await read_document(self.database, self.settings(), number)

    @property
    def diffs(self) -> ShownDiffs:
        """The diffs that people are shown."""
        if self._diffs is None:
            from bot.cards.shown_diff import ShownDiffs

            self._diffs = ShownDiffs(self.database, ArtifactFiles(self.home.artifacts), self.repository)
        return self._diffs

    def worker(self, *, node: str | None = None) -> Worker:
        """A worker of this process, with the engine it runs on."""
        from core.model.placement import NodeView
        from core.queue.late_engine import LateEngine
        from core.queue.reconciler import Reconciler
        from core.queue.worker import Worker

        shop = self.workshop()
        identity = new_id("worker")

        def engine() -> Engine:
            from core.queue.engine import DbosEngine

            return DbosEngine(self.location, identity)

        return Worker(
            shop=shop,
            engine=LateEngine(engine),
            id=identity,
            node=NodeView(node or socket.gethostname(), self._offers()),
            reconciler=Reconciler(self.database, self.settings, new_id),
        )

    def workshop(self) -> JobContext:
        """The ports with everything real behind them."""
        from core.jobs.job_context import JobContext
        from core.signing import Keys
        from lanes.forge.local import LocalForge

        plugins = self.plugins()
        forges: dict[str, Forge] = {"local": LocalForge(), **plugins.forges()}
        followed: dict[str, Followed] = plugins.followed()
        hub = self.github()
        if hub is not None:
            from lanes.forge.github.forge import GitHubForge

            forge = GitHubForge(hub)
            forges["github"] = forge
            followed["github"] = forge
        from policies.guard import TreeGuard

        return JobContext(
            database=self.database,
            settings=self.settings,
            new_id=new_id,
            milestones=self.milestones,
            interpreter=self.interpreter(),
            guard=plugins.guard(TreeGuard()),
            executors=self.executors(),
            forges=forges,
            followed=followed,
            repository=self.repository,
            files=ArtifactFiles(self.home.artifacts),
            keys=Keys(self.home.keys),
            footnote=self._footnote,
        )

    def interpreter(self) -> Interpreter:
        """Who reads requests: the grammar, and the configured models for what it cannot read."""
        from bot.interpret import GrammarInterpreter

        models = self.config.models()
        if not models.interpreter:
            return GrammarInterpreter()
        from bot.interpret.model import ModelInterpreter

        return ModelInterpreter(self.shelf().model_for(list(map(str, models.interpreter))), models.patience_s)

    def executors(self) -> Mapping[str, Executor]:
        """Every executor of this installation by name."""
        from bot.interpret.grammar import read_sentence
        from lanes.wiring import ExecutorResources, build_executors
        from policies.guard import TreeGuard

        if self._executors is None:
            endpoints = self.config.models().endpoints
            means = ExecutorResources(
                self.home.scratch,
                self.sandboxes().get,
                self.shelf().model_for,
                endpoints,
                self._agents(),
                read_sentence,
                TreeGuard().leaks,
                TreeGuard().refusal_in,
            )
            self._executors = build_executors(means, self.plugins().executors())
        return self._executors

    def _agents(self) -> dict[str, ProgramPlace]:
        """Where the configuration says that agents' programs are."""
        from lanes.agent_clis import ProgramPlace

        said = self.config.models().agents
        return {name: ProgramPlace(place.program, place.programs) for name, place in said.items()}

    def shelf(self) -> ModelRegistry:
        """The models of the configured endpoints; all who ask in this process share what is known of them."""
        from lanes.models.breaker import CircuitBreakers
        from lanes.models.registry import ModelRegistry

        if self._shelf is None:
            self._shelf = ModelRegistry(self.config.models().endpoints, CircuitBreakers())
        return self._shelf

    def sandboxes(self) -> Sandboxes:
        """The sandboxes of this host, each looked for once."""
        from lanes.sandbox import Sandboxes

        if self._sandboxes is None:
            self._sandboxes = Sandboxes()
        return self._sandboxes

    def plugins(self) -> Plugins:
        """The plugins that the configuration enables; each is imported when it is first needed."""
        from bot.plugins.load import Plugins

        if self._plugins is None:
            self._plugins = Plugins(self.config.plugins, self.home.state, lambda kind: self.sandboxes().get(kind))
        return self._plugins

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

    def _footnote(self, text: str) -> str:
        """Links to the tickets that a text names."""
        from bot.integrations.tickets import body_line, tickets_in

        line = body_line(tickets_in(text, self.config.trackers()))
        return f"\n{line}\n" if line else ""

    def close(self) -> None:
        """Let go of what was reached over the network."""
        if self._github is not None:
            self._github.close()

    def _offers(self) -> frozenset[str]:
        """What this host can do for the lanes that are configured."""
        from core.model.errors import Problem
        from lanes.agent_clis import agent_capabilities
        from lanes.sandbox import sandbox_capability

        kinds = {"bwrap"} | {lane.isolation.kind for lane in self.settings().lanes.values()}
        here = frozenset(
            sandbox_capability(kind) for kind in kinds if not isinstance(self.sandboxes().get(kind), Problem)
        )
        return here | agent_capabilities(self._agents())


@asynccontextmanager
async def opened(home: Home, milestones: Milestones | None = None) -> AsyncIterator[App]:
    """The app of `home`, its configuration checked and its database at this program's schema."""
    from core.store.migrate import migrate

    home.check()
    settings = LiveSettings(home)
    settings()
    config = load_config(home.config)
    location = Location.of(config.database, home.state)
    _check_not_lost(home, location)
    migrate(location)
    database = Database(location)
    points = milestones or LoggedMilestones()

    app = App(
        home=home,
        config=config,
        settings=settings,
        location=location,
        database=database,
        milestones=points,
    )
    try:
        yield app
    finally:
        app.close()
        await database.close()


def _check_not_lost(home: Home, location: Location) -> None:
    """Raise when a home that was worked in has no database any more: a new one would hide the loss (F24)."""
    if location.file is None or location.file.exists():
        return
    traces = [
        path.name for path in (home.artifacts, home.git, location.file.with_name("engine.sqlite")) if path.exists()
    ]
    if traces:
        raise PermanentError(
            "database_missing",
            f"{location.file} is gone, though {home.state} has been worked in ({', '.join(traces)})",
            "Restore a backup; or begin with an empty database: `countersign migrate`.",
            kind=Kind.UNAVAILABLE,
        )


def operating_user() -> str:
    """The name of the operating system's user, the identity of surface `terminal`."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
