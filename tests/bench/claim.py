"""What a claim costs: beside Procrastinate, under limits, in long queues, and with a million finished tasks.

Each figure is a ratio of two measurements in this run. The server is PostgreSQL without durability, the same for both
peers; `pairs` are a claim and the end of its job, by four tasks of one process at a time, each in its own transaction.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from math import log
from pathlib import Path
from typing import Any, Final

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

from core.model.lifecycle import State
from core.model.limits import Limit, LimitScope
from core.model.turn import Actor
from core.queue.claimer import Claimer
from core.services.queries import Queries
from core.services.requests import NewRequest, Requests
from core.services.task_document import TaskDocuments
from core.store import jobs
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, Location
from core.store.migrate import migrate
from tests import builders, postgres
from tests.bench import claim_fill
from tests.fakes.ports import Milestones

OUT: Final = Path("build/bench/claim.json")
AT_ONCE: Final = 4
LIMITS: Final = (
    Limit("at-once", LimitScope.PERSON, running=50),
    Limit("lane", LimitScope.LANE, running=200),
)
"""Limits that each claim has to be compared with, and that keep nothing from running here."""
GOALS: Final = {
    "procrastinate_of_pairs": 0.5,
    "pairs_of_limited": 1.25,
    "growth_of_log": 1.0,
    **{
        f"{dialect}_{name}_of_empty": 1.5
        for dialect in ("sqlite", "postgresql")
        for name in ("ask", "show", "list", "queue", "claim")
    },
}
"""The most that each figure may be."""


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    options = _options(argv)
    with postgres.cluster(in_memory=True) as cluster:
        figures = asyncio.run(_measure(cluster, options))
    failed = [f"{name}: {figures[name]} > {goal}" for name, goal in GOALS.items() if figures.get(name, 0) > goal]
    for name, value in figures.items():
        print(f"{name:32} {value:>12}{f'   at most {GOALS[name]}' if name in GOALS else ''}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**figures, "failed": failed}, indent=2) + "\n", encoding="utf-8")
    print(f"failed: {', '.join(failed) or 'nothing'}")
    return 1 if failed else 0


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.claim", description=__doc__)
    parser.add_argument("--pending", type=int, default=100_000)
    parser.add_argument("--most-pending", type=int, default=1_000_000)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=150, help="in each round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--parts", default="peer,growth,finished", help="what is measured")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(argv)


async def _measure(cluster: postgres.Cluster, options: argparse.Namespace) -> dict[str, float]:
    figures: dict[str, float] = {}
    parts = options.parts.split(",")
    if "peer" in parts:
        figures |= await _beside_procrastinate(cluster, options)
    if "growth" in parts:
        figures |= await _growth(cluster, options)
    if "finished" in parts:
        figures |= await _with_finished(cluster, options)
    return figures


# ---- beside Procrastinate, and with limits


async def _beside_procrastinate(cluster: postgres.Cluster, options: argparse.Namespace) -> dict[str, float]:
    """Rounds of ours, of ours with limits and of Procrastinate's in turn, so that a busy host slows all of them."""
    rates: dict[str, list[float]] = {"pairs": [], "limited": [], "procrastinate": []}
    async with AsyncExitStack() as stack:
        database = await _queue_of(cluster, options.pending, stack)
        manager, worker = await _procrastinate(cluster, options.pending, stack)
        free = [builders.claimer(database, f"w{n}") for n in range(AT_ONCE)]
        limited = [builders.claimer(database, f"w{n}", limits=LIMITS) for n in range(AT_ONCE)]
        sides: dict[str, Callable[[int], Awaitable[float]]] = {
            "pairs": lambda count: _rate(free, count, lambda claimer: _pair(database, claimer)),
            "limited": lambda count: _rate(limited, count, lambda claimer: _pair(database, claimer)),
            "procrastinate": lambda count: _rate([worker] * AT_ONCE, count, lambda each: _their_pair(manager, each)),
        }
        for side in sides.values():
            await side(AT_ONCE * 10)
        for _ in range(options.rounds):
            for name, side in sides.items():
                rates[name].append(await side(options.pairs))
    return {
        "pending": options.pending,
        "pairs_per_s": round(statistics.median(rates["pairs"])),
        "limited_pairs_per_s": round(statistics.median(rates["limited"])),
        "procrastinate_per_s": round(statistics.median(rates["procrastinate"])),
        "procrastinate_of_pairs": _ratio(rates["procrastinate"], rates["pairs"]),
        "pairs_of_limited": _ratio(rates["pairs"], rates["limited"]),
    }


async def _queue_of(cluster: postgres.Cluster, pending: int, stack: AsyncExitStack) -> Database:
    """A database with jobs that wait, and workers that will not be found silent."""
    location = Location.of(cluster.url(cluster.create()), Path())
    await asyncio.to_thread(migrate, location)
    database = Database(location)
    stack.push_async_callback(database.close)
    await claim_fill.add_pending(database, await builders.put_task(database, State.QUEUED), pending)
    for n in range(AT_ONCE):
        await builders.put_worker(database, f"w{n}", silent_s=-36_000)
    return database


async def _procrastinate(cluster: postgres.Cluster, pending: int, stack: AsyncExitStack) -> tuple[JobManager, int]:
    """Procrastinate with as many jobs and connections."""
    url = cluster.url(cluster.create())
    connector = PsycopgConnector(conninfo=url, min_size=AT_ONCE, max_size=AT_ONCE)
    app = await stack.enter_async_context(App(connector=connector).open_async())
    await app.schema_manager.apply_schema_async()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args) "
            "SELECT 'default', 'task', '{}' FROM generate_series(1, %s)",
            (pending,),
        )
        connection.execute("VACUUM ANALYZE")
    manager = JobManager(connector)
    return manager, await manager.register_worker()


async def _pair(database: Database, claimer: Claimer) -> None:
    job = await claimer.claim()
    assert job is not None
    await jobs.finish(database, job)


async def _their_pair(manager: JobManager, worker: int) -> None:
    job = await manager.fetch_job(queues=None, worker_id=worker)
    assert job is not None
    await manager.finish_job(job, Status.SUCCEEDED, delete_job=False)


async def _rate(workers: Sequence[Any], count: int, once: Callable[[Any], Awaitable[None]]) -> float:
    """How often in a second `once` is done by `workers` together, `count` times."""
    left = count

    async def work(worker: Any) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await once(worker)

    began = time.perf_counter()
    await asyncio.gather(*(work(worker) for worker in workers))
    return count / (time.perf_counter() - began)


def _ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios of rounds that were measured one after the other."""
    return round(statistics.median(a / b for a, b in zip(one, other, strict=True)), 3)


# ---- long queues


async def _growth(cluster: postgres.Cluster, options: argparse.Namespace) -> dict[str, float]:
    """The time of a claim in the longest queue, of that in one of 10,000 jobs, of the growth of the logarithm."""
    few, many = 10_000, options.most_pending
    times: dict[int, list[float]] = {few: [], many: []}
    async with AsyncExitStack() as stack:
        sides = {}
        for pending in times:
            sides[pending] = builders.claimer(await _queue_of(cluster, pending, stack), "w0")
            await sides[pending].claim()
        for _ in range(options.rounds * 2):
            for pending, claimer in sides.items():
                times[pending].append(await _seconds(claimer.claim, 30))
    ratio = _ratio(times[many], times[few])
    return {
        "most_pending": many,
        "claim_ms_few": round(statistics.median(times[few]) * 1000, 2),
        "claim_ms_many": round(statistics.median(times[many]) * 1000, 2),
        "growth_of_log": round(ratio / (log(many) / log(few)), 3),
    }


async def _seconds(once: Callable[[], Awaitable[object]], count: int) -> float:
    """The median time of `once`, done `count` times."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await once()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


# ---- a million finished tasks


async def _with_finished(cluster: postgres.Cluster, options: argparse.Namespace) -> dict[str, float]:
    """What people wait for, in a home with finished tasks and in an empty one, on both databases."""
    figures: dict[str, float] = {"finished": options.finished}
    with tempfile.TemporaryDirectory(prefix="countersign-claim-") as folder:
        places = {
            "postgresql": [Location.of(cluster.url(cluster.create()), Path()) for _ in range(2)],
            "sqlite": [Location.of("sqlite", Path(folder) / name) for name in ("empty", "full")],
        }
        for dialect, (empty, full) in places.items():
            async with AsyncExitStack() as stack:
                before = await _home(empty, 0, Path(folder), stack)
                after = await _home(full, options.finished, Path(folder), stack)
                times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in before}
                for _ in range(options.rounds):
                    for name in before:
                        for side, home in enumerate((before, after)):
                            times[name][side].append(await _seconds(home[name], 10))
            for name, (in_empty, in_full) in times.items():
                figures[f"{dialect}_{name}_of_empty"] = _ratio(in_full, in_empty)
                figures[f"{dialect}_{name}_ms"] = round(statistics.median(in_full) * 1000, 2)
    return figures


async def _home(
    location: Location, finished: int, folder: Path, stack: AsyncExitStack
) -> dict[str, Callable[[], Awaitable[object]]]:
    """What people do in a home with `finished` tasks and a few that wait, by name."""
    if location.file is not None:
        location.file.parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(migrate, location)
    database = Database(location)
    stack.push_async_callback(database.close)
    number = await builders.put_task(database, State.QUEUED)
    await claim_fill.add_pending(database, number, 2000)
    if finished:
        await claim_fill.add_finished(database, finished)
    await builders.put_worker(database, "w0", silent_s=-36_000)
    source = builders.always(builders.settings())
    requests = Requests(database, source, Milestones())
    queries, documents = Queries(database, source, ArtifactFiles(folder)), TaskDocuments(database, source)
    ana = Actor("ana", "terminal")
    return {
        "ask": lambda: requests.ask(NewRequest(text="set a to 1", actor=ana, repo="web")),
        "show": lambda: documents.document(number),
        "list": lambda: queries.list(limit=20),
        "queue": queries.queue,
        "claim": builders.claimer(database, "w0").claim,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
