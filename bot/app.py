"""The only wiring: builds the object graph of one home, and takes it apart again."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.config import Config, LiveSettings, load_config
from bot.home import Home
from core.document import TaskDocument, read_document
from core.errors import Kind, PermanentError
from core.ids import new_id
from core.log import log
from core.ports import Followed, Forge, Milestones, Repository
from core.reconcile import Reconciler
from core.service import Service
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, Location
from core.verdicts import Verdicts

if TYPE_CHECKING:
    from core.work.workshop import Workshop
    from core.worker import Worker
    from lanes.forge.github.client import GitHubClient


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
    service: Service
    verdicts: Verdicts
    milestones: Milestones
    _github: GitHubClient | None = None

    async def document(self, number: int) -> TaskDocument:
        """Everything about a task."""
        return await read_document(self.database, self.settings(), number)

    def worker(self, *, node: str | None = None) -> Worker:
        """A worker of this process, with the engine it runs on."""
        from core.engine import DbosEngine
        from core.placement import NodeView
        from core.worker import Worker

        shop = self.workshop()
        identity = new_id("worker")
        return Worker(
            shop=shop,
            engine=DbosEngine(self.location, identity),
            id=identity,
            node=NodeView(node or socket.gethostname(), self._offers()),
            reconciler=Reconciler(self.database, self.settings, new_id),
        )

    def workshop(self) -> Workshop:
        """The ports with everything real behind them."""
        from bot.interpret import GrammarInterpreter
        from core.signing import Keys
        from core.work.workshop import Workshop
        from lanes.executors.registry import executors
        from lanes.forge.local import LocalForge

        forges: dict[str, Forge] = {"local": LocalForge()}
        followed: dict[str, Followed] = {}
        hub = self.github()
        if hub is not None:
            from lanes.forge.github.forge import GitHubForge

            forge = GitHubForge(hub)
            forges["github"] = forge
            followed["github"] = forge
        from policies.guard import TreeGuard

        return Workshop(
            database=self.database,
            settings=self.settings,
            new_id=new_id,
            milestones=self.milestones,
            interpreter=GrammarInterpreter(),
            guard=TreeGuard(),
            executors=executors(self.home.scratch),
            forges=forges,
            followed=followed,
            repository=self.repository,
            files=ArtifactFiles(self.home.artifacts),
            keys=Keys(self.home.keys),
            footnote=self._footnote,
        )

    def repository(self, name: str) -> Repository:
        """The git store of the repository called `name`."""
        from lanes.repository import GitRepository

        spec = self.settings().repository(name)
        hub = self.github() if spec.forge == "github" else None
        return GitRepository(spec, self.home.git, hub.credentials if hub else None)

    def github(self) -> GitHubClient | None:
        """The client that forge, surface and git share; its library is imported only where GitHub is configured."""
        if self._github is None and (access := self.config.surfaces().github_access) is not None:
            from lanes.forge.github.client import GitHubClient

            self._github = GitHubClient(access, between_changes_s=access.between_changes_s)
        return self._github

    def _footnote(self, text: str) -> str:
        """Links to the tickets that a text names."""
        from bot.tickets import body_line, tickets_in

        line = body_line(tickets_in(text, self.config.trackers()))
        return f"\n{line}\n" if line else ""

    def close(self) -> None:
        """Let go of what was reached over the network."""
        if self._github is not None:
            self._github.close()

    def _offers(self) -> frozenset[str]:
        from core.errors import Problem
        from lanes.sandbox import find_sandbox

        return frozenset() if isinstance(find_sandbox(), Problem) else frozenset({"sandbox"})


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
        service=Service(database, settings, new_id, points),
        verdicts=Verdicts(database, settings, new_id, points),
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
