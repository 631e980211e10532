"""The long crash campaign: ``python -m tests.chaos``. Many tasks, many kills, and nothing lost, nothing twice.

Workers and people act in processes of their own, which die at a named point or at any moment, by kill -9. People
send again what they got no answer to, as people and platforms do. It ends with one JSON line (contract.md).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL
from typing import Any

from bot.configuration.home import Home
from bot.verification.verify import verify_task
from bot.wiring.app import App, opened
from core.model.event import broken_link
from core.model.job import JobState
from core.model.lifecycle import RESTING, State
from core.store import events, tasks
from core.store.tables import TaskRow
from core.store.unit_of_work import Tx
from tests import killer, postgres
from tests.homes import CliHome, make_home

WORKERS = 2
TIMING = "worker: {heartbeat_s: 0.3, lease_s: 1.2, poll_s: 0.1}\n"
POINTS = (
    *("plan.claimed", "plan.loaded", "plan.before_planned", "plan.planned", "change.claimed", "change.started"),
    *("change.fetched", "change.produced", "change.kept", "change.compared", "change.held", "change.judged"),
    *("change.before_staged", "change.staged", "publish.claimed", "publish.counted", "publish.committed"),
    *("publish.pushed", "publish.opened", "publish.signed", "publish.before_published", "publish.published"),
)
STUCK_AFTER_S = 300.0
"""A campaign in which nothing moves for this long has lost something."""


@dataclass(slots=True)
class Campaign:
    """One home under fire."""

    home: CliHome
    chance: random.Random
    tasks: int
    kills_wanted: int
    kills: int = 0
    workers: list[BaseProcess] = field(default_factory=list)
    people: dict[BaseProcess, killer.Order] = field(default_factory=dict)
    doomed: dict[BaseProcess, float] = field(default_factory=dict)
    unsaid: list[killer.Order] = field(default_factory=list)
    resumes: dict[str, float] = field(default_factory=dict)
    resumed_s: list[float] = field(default_factory=list)
    moved_at: float = field(default_factory=time.monotonic)
    seen: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Fight until every task rests and every kill was spent, or nothing moves any more."""
        self.unsaid = [self._request(n) for n in range(1, self.tasks + 1)]
        async with opened(Home(self.home.root)) as app:
            while await self._unfinished(app):
                self._bury()
                self._strike()
                self._hire()
                await self._speak(app)
                await self._watch(app)
                await asyncio.sleep(0.05)
        for process in self.workers:
            process.terminate()
        for process in (*self.workers, *self.people):
            process.join(30)

    def _request(self, n: int) -> killer.Order:
        words = ("ana", f'create docs/note-{n}.md with "note {n}"', f"message-{n}")
        return killer.Order(home=self.home.root, act="ask", words=words)

    @property
    def _more_kills(self) -> bool:
        return self.kills + len(self.doomed) < self.kills_wanted

    def _hire(self) -> None:
        """Keep two workers; as long as kills are owed, one falls at a point and the other whenever it is struck."""
        todo = self.tasks - self.seen[State.PUBLISHED.value]
        hurry = (self.kills_wanted - self.kills) / max(1, todo)
        while len(self.workers) < WORKERS:
            at = self.chance.choice(POINTS) if self._more_kills and self.chance.random() < 0.4 + hurry else None
            order = killer.Order(home=self.home.root, act="worker", at=at, nth=self.chance.randint(1, 3), steady=True)
            self.workers.append(killer.start(order))

    def _strike(self) -> None:
        """Kill a process at any moment."""
        now = time.monotonic()
        for process, at in list(self.doomed.items()):
            if now >= at:
                del self.doomed[process]
                if process.exitcode is None:
                    process.kill()
        for process in self.workers:
            if self._more_kills and process not in self.doomed and self.chance.random() < 0.01:
                self.doomed[process] = now + self.chance.uniform(0, 0.5)

    def _bury(self) -> None:
        """Count who fell; a person whose action fell says it again."""
        for process in [p for p in self.workers if p.exitcode is not None]:
            self.workers.remove(process)
            self._count(process)
        for process in [p for p in self.people if p.exitcode is not None]:
            order = self.people.pop(process)
            if self._count(process):
                self.unsaid.append(order)

    def _count(self, process: BaseProcess) -> bool:
        fell = process.exitcode == -SIGKILL
        self.kills += fell
        self.doomed.pop(process, None)
        return fell

    async def _speak(self, app: App) -> None:
        """One more request or approval, now and then by someone whose process dies of it."""
        if len(self.people) >= 2:
            return
        order = self.unsaid.pop(0) if self.unsaid else await self._approval(app)
        if order is None:
            return
        at = None
        if self._more_kills and self.chance.random() < 0.3:
            at = f"{order.act}.{self.chance.choice(('received', 'committed'))}"
        process = killer.start(killer.Order(home=order.home, act=order.act, words=order.words, at=at))
        self.people[process] = killer.Order(home=order.home, act=order.act, words=order.words)

    async def _approval(self, app: App) -> killer.Order | None:
        """The countersigning of a task that waits for it, unless someone is at it."""
        busy = {order.words[1] for order in self.people.values() if order.act == "approve"}

        async def work(tx: Tx) -> list[Any]:
            return await tasks.summaries(tx, state=State.STAGED, limit=20)

        for task in await app.database.read(work):
            if str(task.number) not in busy and task.digest is not None:
                words = ("lee", str(task.number), task.digest)
                return killer.Order(home=self.home.root, act="approve", words=words)
        return None

    async def _watch(self, app: App) -> None:
        """Note when a rescued job is claimed again, and whether anything moves."""

        async def work(tx: Tx) -> tuple[list[Any], dict[str, int]]:
            return await _all(tx, "jobs"), await tasks.count_by_state(tx)

        rows, states = await app.database.read(work)
        now, alive = time.monotonic(), {p.pid for p in self.workers if p.exitcode is None}
        owners = await self._owners(app)
        for row in rows:
            orphaned = row.state == JobState.RUNNING.value and owners.get(row.owner) not in alive
            if orphaned:
                self.resumes.setdefault(row.id, now)
            elif row.id in self.resumes and row.state != JobState.READY.value:
                self.resumed_s.append(now - self.resumes.pop(row.id))
        if states != self.seen:
            self.seen, self.moved_at = Counter(states), now
            shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            print(f"{self.kills}/{self.kills_wanted} kills; {shown}", file=sys.stderr)

    async def _owners(self, app: App) -> dict[str, int]:
        async def work(tx: Tx) -> dict[str, int]:
            return {row.id: row.pid for row in await _all(tx, "workers")}

        return await app.database.read(work)

    async def _unfinished(self, app: App) -> bool:
        states = await app.database.read(tasks.count_by_state)
        resting = sum(count for state, count in states.items() if State(state) in RESTING and state != State.STAGED)
        if resting >= self.tasks and not self.unsaid and not self.people:
            return False
        if time.monotonic() - self.moved_at > STUCK_AFTER_S:
            print("nothing moves any more", file=sys.stderr)
            return False
        return True

    def end(self) -> None:
        """Leave no process behind."""
        for process in (*self.workers, *self.people):
            if process.exitcode is None:
                process.kill()
                process.join(10)


async def judge(campaign: Campaign) -> dict[str, Any]:
    """Count what was lost, what happened twice, and which finished runs were repeated."""
    home = campaign.home
    heads = home.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/countersign").splitlines()
    pulls = home.git("for-each-ref", "--format=%(refname)", "refs/countersign/pulls").splitlines()
    lost, twice = 0, 0
    async with opened(Home(home.root)) as app:
        found = await app.database.read(_read)
        by_message = Counter(turn for _, turn in found["turns"])
        lost += sum(f"message-{n}" not in by_message for n in range(1, campaign.tasks + 1))
        twice += sum(count - 1 for count in by_message.values())
        for number, state in found["tasks"]:
            chain = await app.database.read(partial(events.chain_of, number=number))
            kinds = Counter(event.kind for event in chain)
            lost += state != State.PUBLISHED or broken_link(chain) is not None
            twice += sum(kinds[f"task.{once}"] > 1 for once in ("planned", "staged", "approved", "published"))
            if state == State.PUBLISHED:
                verdicts = await verify_task(app, number, None)
                lost += any(verdict["verdict"] != "ok" for verdict in verdicts)
        published = sum(state == State.PUBLISHED for _, state in found["tasks"])
    twice += max(0, len(heads) - published) + max(0, len(pulls) - published)
    lost += max(0, published - len(pulls))
    resumed = sorted(campaign.resumed_s)
    return {
        "tasks": campaign.tasks,
        "kills": campaign.kills,
        "lost": lost,
        "duplicates": twice,
        "repeated_turns": _repeated(home),
        "p95_resume_s": round(statistics.quantiles(resumed, n=20)[-1], 2) if len(resumed) > 1 else None,
    }


async def _read(tx: Tx) -> dict[str, list[Any]]:
    return {
        "turns": [(turn.number, turn.dedup) for turn in await _all(tx, "turns")],
        "tasks": [(row.number, row.state) for row in await _all(tx, "tasks")],
    }


async def _all(tx: Tx, table: str) -> list[Any]:
    """Every row of a table."""
    connection = await tx.session.connection()
    return list(await connection.execute(TaskRow.metadata.tables[table].select()))


def _repeated(home: CliHome) -> int:
    """Executor runs that began although an earlier one of the same task was finished and kept."""
    kept: set[str] = set()
    repeated = 0
    for line in killer.journal_of(home.root).read_text().splitlines():
        point, number, _ = line.split("\t")
        repeated += point == "change.produced" and number in kept
        if point == "change.kept":
            kept.add(number)
    return repeated


@contextmanager
def under_fire(database: str) -> Iterator[CliHome]:
    """A home on a fresh database, with short leases."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-chaos-"))
        home = make_home(Path(folder) / "chaos")
        config = home.root / "countersign.yaml"
        said = config.read_text() + TIMING
        if database == "postgresql":
            server = stack.enter_context(postgres.cluster())
            said = said.replace("database: sqlite", f"database: {server.url(server.create())}")
        config.write_text(said)
        yield home


def main() -> int:
    """Run one campaign; the exit status says whether anything was lost or happened twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=150)
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with under_fire(given.database) as home:
        chance = random.Random(given.seed)
        campaign = Campaign(home, chance, given.tasks, given.kills)
        try:
            asyncio.run(campaign.run())
        finally:
            campaign.end()
        result = asyncio.run(judge(campaign))
    print(json.dumps(result))
    return 1 if result["lost"] or result["duplicates"] or result["repeated_turns"] else 0


if __name__ == "__main__":
    sys.exit(main())
