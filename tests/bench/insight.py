"""The page of insights on many tasks, beside the naive form: GROUP BY over all rows of the last 90 days.

`make bench-insight` builds a SQLite database (ARGS='--tasks 1000000' for a million), lets the days be counted as a
worker does, compares the processor time of the page and of the naive
statements for the same figures, and writes build/bench/insight.json.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from sqlalchemy import text

from bot.web.pages.insight import PERIODS, compared, plots_of, short_time, totals_of
from bot.web.site.render import Renderer
from core.model.insight import DAY_MS, QUANTILE_ERROR, Measure
from core.services.insight import HORIZON_DAYS, Insight
from core.store.database import Database, Location
from core.store.migrate import migrate
from core.store.unit_of_work import Tx
from tests import builders
from tests.bench import measured

OUT: Final = Path("build/bench/insight.json")
ROUNDS: Final = 40
NAIVE_ROUNDS: Final = 3
GOAL_MS: Final = 100.0
GOAL_RATIO: Final = 100.0
"""With a million tasks; with fewer in proportion."""
_BATCH: Final = 10_000
_TASK: Final = text(
    "INSERT INTO tasks (number, id, version, state, revision, repo, requester, surface, title, lane, priority, "
    "created_ms, updated_ms, escalated) "
    "VALUES (:number, :id, 1, 'merged', 1, 'web', :person, 'api', 'a task', :lane, 0, :at, :at, 0)"
)
_EVENT: Final = text(
    "INSERT INTO events (number, seq, kind, at_ms, person, body, previous, hash) "
    "VALUES (:number, :seq, :kind, :at, :person, :body, '', '')"
)
_JOB: Final = text(
    "INSERT INTO jobs (id, number, revision, kind, state, lane, person, priority, rank_ms, turn_ms, attempt, fence, "
    "rescues, capabilities, payload, payload_version, created_ms, ready_ms, claimed_ms, finished_ms) "
    "VALUES (:id, :number, 1, :kind, 'done', :lane, :person, 0, :at, :at, 1, 1, 0, '', '{}', 1, :at, :at, :claimed, "
    ":finished)"
)
_APPROVAL: Final = text(
    "INSERT INTO approvals (number, digest, person, revision, verdict, surface, reason, at_ms) "
    "VALUES (:number, :digest, :person, 1, 'approve', 'web', '', :at)"
)
_SPENDING: Final = text(
    "INSERT INTO spending (job_id, part, call, model, number, lane, person, calls, input_tokens, output_tokens, usd, "
    "at_ms) VALUES (:job, '', 'a', :model, :number, :lane, :person, 1, :tokens, 200, .01, :at)"
)
_NAIVE: Final = (
    "SELECT at_ms / 86400000, kind, COUNT(*) FROM events WHERE at_ms >= :since GROUP BY 1, 2",
    (
        "SELECT finished_ms / 86400000, lane, kind, ROUND(LOG2(MAX(.05, (claimed_ms - ready_ms) / 1e3)) * 4), COUNT(*) "
        "FROM jobs WHERE state = 'done' AND finished_ms >= :since GROUP BY 1, 2, 3, 4"
    ),
    (
        "SELECT finished_ms / 86400000, lane, kind, ROUND(LOG2(MAX(.05, (finished_ms - claimed_ms) / 1e3)) * 4), "
        "COUNT(*) FROM jobs WHERE state = 'done' AND finished_ms >= :since GROUP BY 1, 2, 3, 4"
    ),
    (
        "SELECT a.at_ms / 86400000, a.person, COUNT(*), SUM(a.at_ms - (SELECT MAX(e.at_ms) FROM events e WHERE "
        "e.number = a.number AND e.kind = 'task.staged' AND e.at_ms <= a.at_ms)) FROM approvals a "
        "WHERE a.at_ms >= :since GROUP BY 1, 2"
    ),
    (
        "SELECT at_ms / 86400000, lane, model, SUM(input_tokens + output_tokens), SUM(usd) FROM spending "
        "WHERE at_ms >= :since GROUP BY 1, 2, 3"
    ),
)


async def fill(database: Database, tasks: int) -> None:
    """Write `tasks` tasks of the last 90 days: five events, two jobs, a verdict and a call of a model each."""
    rng, now_ms = random.Random(3), int(time.time() * 1000)
    step = HORIZON_DAYS * DAY_MS * 0.98 / tasks
    for begin in range(1, tasks + 1, _BATCH):
        numbers = range(begin, min(begin + _BATCH, tasks + 1))
        rows = [_rows(number, round(now_ms - (tasks - number + 1) * step), rng) for number in numbers]

        async def write(tx: Tx, rows: list[Any] = rows) -> None:
            connection = await tx.session.connection()
            for index, statement in enumerate((_TASK, _EVENT, _JOB, _APPROVAL, _SPENDING)):
                await connection.execute(statement, [row for task in rows for row in task[index]])

        await database.write(write)


def _rows(number: int, at: int, rng: random.Random) -> tuple[list[dict[str, Any]], ...]:
    """The rows of one task for each of the tables."""
    lane, person = ("docs", "config", "code")[number % 3], f"person{number % 20}"
    waited, ran = round(rng.lognormvariate(9, 1.5)), round(rng.lognormvariate(9.5, 1))
    staged = at + waited + ran
    decided = staged + round(rng.lognormvariate(14, 1))
    is_failed = number % 17 == 0
    kinds = ("requested", "planned", "staged", "failed" if is_failed else "published", "merged")
    times = (at, at + 500, staged, decided + 2000, decided + 60_000)
    body = json.dumps({"problem": {"code": ("no_change", "timed_out")[number % 2]}}) if is_failed else "{}"
    common = {"number": number, "lane": lane, "person": person}
    task = {**common, "id": f"t{number}", "at": at}
    events = [
        {**common, "seq": n + 1, "kind": f"task.{kind}", "at": when, "body": body}
        for n, (kind, when) in enumerate(zip(kinds, times, strict=True))
    ]
    jobs = [
        {**common, "id": f"p{number}", "kind": "plan", "at": at, "claimed": at + 50, "finished": at + 500},
        {**common, "id": f"c{number}", "kind": "change", "at": at, "claimed": at + waited, "finished": staged},
    ]
    approval = {**common, "digest": "d" * 64, "person": f"lead{number % 5}", "at": decided}
    spent = {**common, "job": f"c{number}", "model": f"model{number % 4}", "tokens": rng.randrange(9000), "at": staged}
    return [task], events, jobs, [approval], [spent]


async def page(service: Insight, render: Renderer) -> int:
    """One answer as the page makes it; returns its size."""
    figures = await service.figures(HORIZON_DAYS)
    request = cast("Any", SimpleNamespace(state=SimpleNamespace(), url=SimpleNamespace(path="/insight")))
    answer = render.page(
        request,
        "insight.html",
        days=HORIZON_DAYS,
        periods=PERIODS,
        figures=figures,
        plots=plots_of(figures),
        errors=totals_of(figures, Measure.ERROR),
        loads=totals_of(figures, Measure.LOAD),
        lanes=compared(figures, Measure.WAIT, Measure.RUN, Measure.LANE_SPENT),
        models=compared(figures, None, Measure.MODEL_RUN, Measure.MODEL_SPENT),
        people=figures.times[Measure.DECISION],
        error=QUANTILE_ERROR,
        short=short_time,
    )
    return len(answer.body)


async def naive(database: Database, since_ms: int) -> None:
    """The same sums by GROUP BY over the rows."""

    async def read(tx: Tx) -> None:
        connection = await tx.session.connection()
        for statement in _NAIVE:
            (await connection.execute(text(statement), {"since": since_ms})).all()

    await database.read(read)


async def measure(tasks: int, folder: Path) -> dict[str, Any]:
    """The figures of a database with this many tasks."""
    location = Location.of("sqlite", folder)
    migrate(location)
    database = Database(location)
    await fill(database, tasks)
    service, render = Insight(database, builders.settings), Renderer()
    begin = time.perf_counter()
    days = 0
    while await service.count_next():
        days += 1
    counting_s = time.perf_counter() - begin
    ours, theirs = [], []
    size = await page(service, render)
    for _ in range(ROUNDS):
        begin = time.process_time()
        await page(service, render)
        ours.append((time.process_time() - begin) * 1000)
    since_ms = int(time.time() * 1000) - HORIZON_DAYS * DAY_MS
    for _ in range(NAIVE_ROUNDS):
        begin = time.process_time()
        await naive(database, since_ms)
        theirs.append((time.process_time() - begin) * 1000)
    await database.close()
    p95, ratio = statistics.quantiles(ours, n=20)[-1], statistics.median(theirs) / statistics.median(ours)
    failed = [f"p95 {p95:.0f} ms"] if p95 > GOAL_MS else []
    return {
        "tasks": tasks,
        "page_p95_ms": round(p95, 1),
        "page_median_ms": round(statistics.median(ours), 1),
        "naive_ms": round(statistics.median(theirs), 1),
        "naive_over_ours": round(ratio, 1),
        "days": days,
        "page_kib": size // 1024,
        "counting_ms_a_day": round(1000 * counting_s / max(1, days), 1),
        "failed": failed,
    }


if __name__ == "__main__":
    raise SystemExit(measured.run(measure, OUT, tasks=100_000, doc=__doc__))
