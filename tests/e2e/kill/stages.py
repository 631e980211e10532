"""Homes as they are at three moments of a task's life, made once and copied for every test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.model.lifecycle import State
from core.services.requests import NewRequest
from tests import postgres
from tests.e2e.kill.trial import ANA, TEXT, TIMING, KillTrial, carry
from tests.homes import CliHome, copy_home, make_home

FRESH, STAGED, PUBLISHED = "fresh", "staged", "published"


@dataclass(slots=True)
class Stages:
    """Copies of one home: before anything was asked, with #1 staged, and with #1 published.

    `digest` is what #1 got when nothing disturbed it. With a `server` the rows are in databases of its own.
    """

    folder: Path
    server: postgres.Cluster | None = None
    digest: str = ""
    _names: dict[Path, str] = field(default_factory=dict)

    async def make(self) -> None:
        """Walk a task through its life, and keep a copy at each stage."""
        home = await asyncio.to_thread(make_home, self.folder / "live")
        config = home.root / "countersign.yaml"
        config.write_text(config.read_text() + TIMING)
        if self.server is not None:
            self._move_in(home, self.server.create())
        trial = KillTrial(home)
        await trial.over(trial.begin("drain"))  # makes the schemas, the engine's too, so that copies have them
        self._keep(home, FRESH)
        async with self._worked(home) as trial, trial.opened_app() as app:
            await app.requests.ask(NewRequest(text=TEXT, actor=ANA, repo="web"))
            task = await carry(app, trial, State.STAGED)
            assert task.staged is not None
            self.digest = task.staged.digest
        self._keep(home, STAGED)
        async with self._worked(home) as trial, trial.opened_app() as app:
            await carry(app, trial, State.PUBLISHED)
        self._keep(home, PUBLISHED)

    def trial(self, stage: str, folder: Path) -> KillTrial:
        """A home of its own for one test, as it was at `stage`."""
        template = CliHome(self.folder / stage)
        home = copy_home(template, folder)
        if self.server is not None:
            self._move_in(home, self.server.create(template=self._names[template.folder]))
        return KillTrial(home)

    def url(self, trial: KillTrial) -> str:
        """The address of a trial's database on the server."""
        assert self.server is not None
        return self.server.url(self._names[trial.home.folder])

    def remove(self, trial: KillTrial) -> None:
        """End the processes of a trial, and drop its database."""
        trial.end()
        if self.server is not None:
            self.server.drop(self._names.pop(trial.home.folder))

    def _keep(self, home: CliHome, stage: str) -> None:
        copy = copy_home(home, self.folder / stage)
        (copy.folder / "journal").unlink(missing_ok=True)
        if self.server is not None:
            self._move_in(copy, self.server.create(template=self._names[home.folder]))

    def _move_in(self, home: CliHome, name: str) -> None:
        """Let `home` keep its rows in the database `name` of the server."""
        assert self.server is not None
        config = home.root / "countersign.yaml"
        lines = config.read_text().splitlines()
        lines[[line.startswith("database:") for line in lines].index(True)] = f"database: {self.server.url(name)}"
        config.write_text("\n".join(lines) + "\n")
        self._names[home.folder] = name

    @asynccontextmanager
    async def _worked(self, home: CliHome) -> AsyncIterator[KillTrial]:
        """A worker for the length of the block."""
        trial = KillTrial(home)
        worker = trial.begin("worker", steady=True)
        try:
            yield trial
            await trial.dismiss(worker)
        finally:
            trial.end()
