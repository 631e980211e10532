"""A process that dies on purpose: it opens a home, does one thing there, and falls at a named point.

Tests start it with `start`, which forks from a server that has everything imported, so that a victim costs
milliseconds. By hand: ``python -m tests.killer HOME worker --at publish.pushed``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

from bot.configuration.home import Home
from bot.wiring.app import App, opened
from bot.wiring.worker import build_worker
from core.log import configure
from core.model.turn import Actor
from core.queue.heartbeat import DeclaredDeadError, Heartbeat
from core.queue.sweep_leader import Sweeper
from core.queue.worker import BackgroundDuty, Worker
from core.services.requests import NewRequest
from core.settings import Settings, SettingsSource

_DETECTORS = (
    *("artifactory", "aws", "azure_storage_key", "basic_auth", "cloudant", "high_entropy_strings", "ibm_cloud_iam"),
    *("ibm_cos_hmac", "keyword", "softlayer", "square_oauth"),
)
PRELOADED = (
    *("tests.killer", "core.queue.engine", "core.queue.lazy_engine", "core.signing", "core.store.migrate"),
    *("bot.interpret", "bot.interpret.grammar", "bot.plugins.guard", "bot.plugins.load"),
    *("lanes.wiring", "lanes.builtin_agent", "lanes.executors.edit", "lanes.forge.local"),
    *("lanes.models.registry", "lanes.registry"),
    *("policies.guard", "policies.load", "policies.policy", "policies.secrets.plugins"),
    *("aiosqlite", "dbos._sys_db_sqlite", "git", "requests", "rich.console", "structlog"),
    *(f"detect_secrets.{name}" for name in ("core.scan", *(f"plugins.{plugin}" for plugin in _DETECTORS))),
)
"""What every process here needs in the end: imported once, by the server they are forked from."""

WORKERS = ("worker", "drain", "sweeper")
FALLEN = 3
"""The exit status of a worker that was taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the process does in `home`, and where it falls.

    `act` is `worker` (until SIGTERM), `drain` (a worker until nothing is ready), `sweeper` (one that claims
    nothing), or a person's action with its `words`. At the `nth` time that `at` is reached the process sends
    itself `signal`: once among all orders that share the file `once`. Every point reached is a line of
    `journal`. A `steady` worker begins anew when it was taken for dead, as a supervisor would make it.
    """

    home: Path
    act: str
    words: tuple[str, ...] = ()
    at: str | None = None
    nth: int = 1
    signal: signal.Signals = signal.SIGKILL
    once: Path | None = None
    steady: bool = False

    @property
    def journal(self) -> Path:
        """Where every point that was reached is written, one a line."""
        return journal_of(self.home)


def journal_of(home: Path) -> Path:
    """The journal of all processes on a home: lines of point, task number and process id."""
    return home.with_name("journal")


@dataclass(slots=True)
class Deadly:
    """Milestones that are written down, and one of which is the last."""

    order: Order
    left: int
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def reached(self, point: str, **facts: object) -> None:
        """Write the point down; fall if this is the one."""
        line = f"{point}\t{facts.get('number', '')}\t{os.getpid()}\n"
        file = os.open(self.order.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, line.encode())  # one write to the end of a file: whole, and there whatever becomes of us
        os.close(file)
        if point == self.order.at:
            self.left -= 1
            if self.left == 0 and _first(self.order.once):
                os.kill(os.getpid(), self.order.signal)
                self.woken.set()  # someone said SIGCONT


@dataclass(slots=True, kw_only=True)
class LateHeartbeat(Heartbeat):
    """The heartbeat of a worker that is silent until it was stopped and woken."""

    woken: asyncio.Event

    async def run(self) -> NoReturn:
        await self.woken.wait()
        await Heartbeat.run(self)


@dataclass(slots=True, kw_only=True)
class LateSweeper(Sweeper):
    """The sweeps of a worker that does none until it was stopped and woken."""

    woken: asyncio.Event

    async def run(self) -> None:
        await self.woken.wait()
        await Sweeper.run(self)


@dataclass(frozen=True, slots=True)
class SleepingDuty:
    """A duty that begins when its worker was stopped and woken."""

    duty: BackgroundDuty
    woken: asyncio.Event

    async def run(self) -> None:
        await self.woken.wait()
        await self.duty.run()


def _first(once: Path | None) -> bool:
    if once is None:
        return True
    try:
        once.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def forking() -> ForkServerContext:
    """What starts processes that are forked from a server which has everything imported."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def start(order: Order) -> BaseProcess:
    """Begin to carry out `order` in a process of its own."""
    process = forking().Process(target=carry_out, args=(order,), daemon=True)
    process.start()
    return process


def carry_out(order: Order) -> None:
    """Do what `order` says in this process, with the log beside the journal; exits with the status."""
    gc.freeze()  # what the server imported is never garbage: do not look through it again
    log = os.open(order.journal.with_suffix(".log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 2)
    configure(level="INFO", as_json=True)
    raise SystemExit(asyncio.run(_main(order)))


async def _main(order: Order) -> int:
    async with opened(Home(order.home), Deadly(order, order.nth)) as app:
        if order.act in WORKERS:
            return await _work(app, order)
        await _say(app, order)
        return 0


async def _work(app: App, order: Order) -> int:
    told: list[Any] = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: [stop() for stop in told])
    while True:
        worker = _sleepwalker(app) if order.signal is signal.SIGSTOP else build_worker(app)
        told[:] = [worker.stop]
        try:
            await worker.run(drain=order.act == "drain", claims=order.act != "sweeper")
        except DeclaredDeadError:
            if not order.steady:
                return FALLEN
        else:
            return 0


def _sleepwalker(app: App) -> Worker:
    """A worker that writes nothing beside its one job until it was stopped and woken.

    A process that is stopped in the middle of a write holds SQLite's lock, and so stops everybody.
    """
    worker = build_worker(app)
    assert isinstance(app.milestones, Deadly)
    woken = app.milestones.woken
    worker.heartbeat = LateHeartbeat(
        worker.database, worker.settings, worker.runner, worker.reconciler, worker.id, woken=woken
    )
    sweeper = worker.sweeper
    worker.sweeper = LateSweeper(
        sweeper.database, sweeper.settings, sweeper.reconciler, sweeper.worker, sweeper.wake, woken=woken
    )
    worker.duties = tuple(SleepingDuty(duty, woken) for duty in worker.duties)
    worker.settings = _one_slot(worker.settings)
    return worker


def _one_slot(current: SettingsSource) -> SettingsSource:
    def settings() -> Settings:
        now = current()
        return replace(now, timing=replace(now.timing, slots=1))

    return settings


async def _say(app: App, order: Order) -> None:
    """One action of a person, as front ends do it."""
    words = order.words
    match order.act:
        case "ask":
            person, text, dedup = words
            await app.requests.ask(NewRequest(text=text, actor=Actor(person, "terminal"), repo="web", dedup=dedup))
        case "reply":
            person, number, text, dedup = words
            await app.requests.reply(int(number), text, Actor(person, "terminal"), dedup)
        case "approve":
            person, number, digest = words
            await app.approvals.approve(int(number), digest, Actor(person, "terminal"))
        case "extend":
            person, number = words
            await app.budgets.extend(int(number), Actor(person, "terminal"))
        case _:
            raise ValueError(order.act)


def main() -> None:
    """Carry out one order from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("act")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--at")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--signal", type=lambda name: signal.Signals[name], default=signal.SIGKILL)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        carry_out(Order(**{**vars(given), "words": tuple(given.words)}))


if __name__ == "__main__":
    main()
