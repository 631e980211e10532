"""One home with short leases, the processes that work on it, the people who decide, and what must hold in the end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from signal import SIGKILL, SIGTERM
from typing import Any

from sqlalchemy import text

from bot.configuration.home import Home
from bot.verification.verify import verify_task
from bot.wiring.app import App, opened
from core.model.event import broken_link
from core.model.lifecycle import State
from core.model.task import Task
from core.model.turn import Actor
from core.store import events, queue_queries, tasks
from core.store.tables import TaskRow
from core.store.unit_of_work import Tx
from tests import campaign, killer
from tests.homes import CliHome

ANA, LEE, OPERATOR = Actor("ana", "terminal"), Actor("lee", "terminal"), Actor(None, "terminal")
TEXT = "set server.timeout to 30 in config/app.yaml"
TIMING = f"worker: {{heartbeat_s: 0.2, lease_s: {1.5 if campaign.WHOLE else 5}, poll_s: 0.05}}\n"
"""A lease that is soon over; where no test waits it out (see `lease_over`) it is one that a busy machine keeps."""
PATIENCE_S = 60.0
"""Far beyond what anything here takes; only a fault waits it out."""

PULLS, BRANCHES = "refs/countersign/pulls", "refs/heads/countersign"


@dataclass(slots=True)
class KillTrial:
    """A home, and every process that was started on it."""

    home: CliHome
    started: list[BaseProcess] = field(default_factory=list)
    _app: App | None = None

    def begin(self, act: str, *words: object, **order: Any) -> BaseProcess:
        """Start a process on the home (see `killer.Order`)."""
        process = killer.start(killer.Order(home=self.home.root, act=act, words=tuple(map(str, words)), **order))
        self.started.append(process)
        return process

    async def fell(self, process: BaseProcess) -> None:
        """Wait until `process` was killed, and its lease is over; fails when it ended in any other way."""
        assert await self.over(process) == -SIGKILL, self.told()
        await self.lease_over(process)

    async def lease_over(self, process: BaseProcess) -> None:
        """Let the lease of a worker that is dead or stopped be over now; `make campaigns` waits it out."""
        if self._app is None or campaign.WHOLE:
            return
        silent = text("UPDATE workers SET heartbeat_ms = 0 WHERE state = 'alive' AND pid = :pid")
        await self._app.database.write(lambda tx: tx.session.execute(silent, {"pid": process.pid}))

    async def over(self, process: BaseProcess) -> int | None:
        """Wait until `process` is over; its exit status."""
        await until(lambda: answer(process.exitcode is not None), "a process is over", self)
        return process.exitcode

    async def survivor(self, one: BaseProcess, other: BaseProcess) -> BaseProcess:
        """Wait until one of two was killed; the one that was not."""
        await until(lambda: answer(-SIGKILL in (one.exitcode, other.exitcode)), "one of two was killed", self)
        await self.lease_over(one if one.exitcode == -SIGKILL else other)
        return other if one.exitcode == -SIGKILL else one

    async def dismiss(self, *processes: BaseProcess) -> None:
        """Ask workers to finish what they do and go, and wait until they are gone."""
        for process in processes:
            process.terminate()
        for process in processes:
            assert await self.over(process) in (0, -SIGTERM), self.told()

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self.started:
            if process.exitcode is None and process.pid is not None:
                process.kill()
                process.join(PATIENCE_S)
            process.close()

    @asynccontextmanager
    async def opened_app(self) -> AsyncIterator[App]:
        """The home, opened as front ends open it."""
        async with opened(Home(self.home.root)) as app:
            self._app = app
            yield app
            self._app = None

    def points(self) -> list[str]:
        """Every point that any process reached, in order."""
        journal = killer.journal_of(self.home.root)
        return [line.split("\t")[0] for line in journal.read_text().splitlines()] if journal.exists() else []

    def refs(self, *patterns: str) -> dict[str, str]:
        """References of the remote by name."""
        shown = self.home.git("for-each-ref", "--format=%(refname) %(objectname)", *patterns)
        return dict(line.split() for line in shown.splitlines())

    def pulls(self) -> list[dict[str, Any]]:
        """The pull requests that the remote has."""
        return [json.loads(self.home.git("cat-file", "blob", oid)) for oid in self.refs(PULLS).values()]

    def told(self) -> str:
        """What the processes logged and where they came, for a failing test."""
        log = killer.journal_of(self.home.root).with_suffix(".log")
        said = log.read_text().splitlines()[-40:] if log.exists() else []
        return "\n".join([f"points: {' '.join(self.points())}", *said])


async def answer(value: bool) -> bool:
    """`value`, to be awaited."""
    return value


async def until(holds: Callable[[], Awaitable[bool]], what: str, trial: KillTrial) -> None:
    """Poll until `holds`; fails with the processes' logs when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        assert time.monotonic() < deadline, f"never came: {what}\n{trial.told()}"
        await asyncio.sleep(0.05)


async def look(app: App, number: int = 1) -> tuple[Task, bool]:
    """A task as it is now, and whether a job is on its way for it."""

    async def work(tx: Tx) -> tuple[Task, bool]:
        return await tasks.load(tx, number), bool(await queue_queries.active_of(tx, number))

    return await app.database.read(work)


async def carry(app: App, trial: KillTrial, goal: State, number: int = 1) -> Task:
    """Be the people until the task rests at `goal`: countersign what is staged, if the goal lies beyond."""

    async def there() -> bool:
        task, busy = await look(app, number)
        if task.state is State.STAGED and goal in (State.PUBLISHED, State.MERGED):
            assert task.staged is not None
            await app.approvals.approve(number, task.staged.digest, LEE)
            return False
        assert task.state is goal or task.state is not State.FAILED, f"{task.error}\n{trial.told()}"
        return task.state is goal and not busy

    await until(there, f"#{number} is {goal}", trial)
    return (await look(app, number))[0]


async def check(app: App, trial: KillTrial, task: Task, *, digest: str | None = None) -> None:
    """Nothing lost, nothing twice: what must hold of a task that rests, however often it was interrupted."""
    assert await number_of_tasks(app) == task.number, "a request was taken in twice"
    chain = await app.database.read(lambda tx: events.chain_of(tx, task.number))
    assert broken_link(chain) is None
    kinds = [event.kind for event in chain]
    for once in ("task.requested", "task.planned", "task.staged", "task.approved", "task.published", "task.merged"):
        assert kinds.count(once) <= task.revision, f"{once} happened again: {kinds}\n{trial.told()}"
    assert not await app.database.read(lambda tx: queue_queries.active_of(tx, task.number))
    check_executor(trial.points(), trial)
    if digest is not None:
        assert task.staged is not None
        assert task.staged.digest == digest, "another digest for the same tree"
    said = await app.database.read(lambda tx: tasks.approvals_of(tx, task.number))
    assert len(said) == len({(a.person, a.digest) for a in said}) <= task.revision
    if task.pull_request is not None:
        await check_published(app, trial, task)


async def check_published(app: App, trial: KillTrial, task: Task) -> None:
    """One pull request, one branch, exactly the countersigned tree on its base; `verify` finds no fault."""
    assert task.staged is not None
    assert task.pull_request is not None
    pulls, branches = trial.pulls(), trial.refs(BRANCHES)
    assert len(pulls) == 1, pulls
    assert pulls[0]["head"] == task.pull_request.head
    if task.state is not State.CLOSED:
        assert list(branches.values()) == [task.pull_request.head]
        assert await app.repository("web").tree_of(task.pull_request.head) == task.staged.tree
        verdicts = await verify_task(app, task.number, None)
        assert all(verdict["verdict"] == "ok" for verdict in verdicts), verdicts
    merges = trial.home.git("rev-list", "--count", "--merges", "main")
    assert merges == ("1" if task.state is State.MERGED else "0")


def check_executor(points: list[str], trial: KillTrial) -> None:
    """A run of the executor that was finished and kept is never begun again for the same plan."""
    kept = False
    for point in points:
        kept = (kept or point == "change.kept") and point != "plan.before_planned"
        assert not (kept and point in ("change.fetched", "change.produced")), trial.told()


async def number_of_tasks(app: App) -> int:
    """How many tasks the home has."""

    async def work(tx: Tx) -> int:
        connection = await tx.session.connection()
        return len((await connection.execute(TaskRow.metadata.tables["tasks"].select())).all())

    return await app.database.read(work)


async def rows_of(app: App) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is remembered but who works when, and forecasts of that: what a zombie must not change."""

    async def work(tx: Tx) -> dict[str, list[tuple[Any, ...]]]:
        connection, found = await tx.session.connection(), {}
        for name, table in TaskRow.metadata.tables.items():
            if name not in ("workers", "nodes", "leaders", "job_forecasts"):
                found[name] = sorted((tuple(row) for row in await connection.execute(table.select())), key=repr)
        return found

    return await app.database.read(work)
