"""Lists and searches of many tasks, beside the naive form: LIKE over the turns, and pages by OFFSET.

`make bench-search` builds a SQLite database (ARGS='--tasks 1000000' for a million), times both forms of the same list
on it, and writes build/bench/search.json: how many times as long the naive form takes, and the p95 of each page in ms.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from core.model.search_query import SearchQuery, index_words
from core.model.task_filter import TaskFilter
from core.services.task_search import TaskSearch
from core.store.database import Database, Location
from core.store.migrate import migrate
from core.store.unit_of_work import Tx
from tests import builders
from tests.bench import measured

OUT: Final = Path("build/bench/search.json")
PAGE: Final = 50
ROUNDS: Final = 20
NAIVE_ROUNDS: Final = 3
GOAL_RATIO: Final = 100.0
"""With a million tasks; with fewer in proportion."""
GOAL_MS: Final = 100.0
_VERBS: Final = ("set", "replace", "rename", "remove", "bump", "append")
_BATCH: Final = 20_000


def words(count: int) -> list[str]:
    """A vocabulary of `count` words."""
    rng = random.Random(1)
    return ["".join(rng.choice("abcdefghijklmnoprstuvw") for _ in range(rng.randint(4, 9))) for _ in range(count)]


async def fill(database: Database, tasks: int) -> str:
    """Write `tasks` tasks of one turn each; returns a rare word of one in ten thousand of them."""
    vocabulary, rng = words(20_000), random.Random(2)
    weights = [1 / (n + 10) for n in range(len(vocabulary))]
    rare = "quetzalbird"
    for begin in range(1, tasks + 1, _BATCH):
        numbers = range(begin, min(begin + _BATCH, tasks + 1))
        picked = rng.choices(vocabulary, weights, k=12 * len(numbers))

        async def write(tx: Tx, numbers: range = numbers, picked: list[str] = picked) -> None:
            for row in _rows(numbers, picked, rare, rng):
                for statement, values in row:
                    await (await tx.session.connection()).execute(statement, values)

        await database.write(write)
    return rare


def _rows(numbers: range, picked: list[str], rare: str, rng: random.Random) -> list[list[tuple[Any, Any]]]:
    """One list of bulk statements for the tables that a list reads."""
    tasks, turns, index = [], [], []
    for n, number in enumerate(numbers):
        extra = [rare] if number % 10_000 == 7 else []
        said = " ".join((rng.choice(_VERBS), *picked[12 * n : 12 * n + 12], *extra))
        repo, lane = f"repo{number % 40}", ("docs", "config", "code")[number % 3]
        tasks.append(
            {
                "number": number,
                "id": f"t{number}",
                "state": rng.choice(("merged", "closed", "staged", "rejected")),
                "repo": repo,
                "requester": f"person{number % 100}",
                "title": said[:70],
                "lane": lane,
                "at": 1_700_000_000_000 + number * 1000,
            }
        )
        turns.append({"number": number, "text": said, "at": 1_700_000_000_000 + number * 1000})
        index.append(
            {"number": number, "title": index_words(said[:70]), "turns": index_words(said), "repo": repo, "lane": lane}
        )
    return [
        [
            (_INSERT_TASK, tasks),
            (_INSERT_TURN, turns),
            (_INSERT_INDEX, index),
        ]
    ]


_INSERT_TASK = text(
    "INSERT INTO tasks (number, id, version, state, revision, repo, requester, surface, title, lane, priority, "
    "created_ms, updated_ms, escalated) "
    "VALUES (:number, :id, 1, :state, 1, :repo, :requester, 'api', :title, :lane, 0, :at, :at, 0)"
)
_INSERT_TURN = text(
    "INSERT INTO turns (number, n, revision, person, surface, text, at_ms) "
    "VALUES (:number, 1, 1, 'ana', 'api', :text, :at)"
)
_INSERT_INDEX = text(
    "INSERT INTO task_search (rowid, title, turns, repo, lane, files) "
    "VALUES (:number, :title, :turns, :repo, :lane, '')"
)


async def timed(work: Callable[[], Awaitable[Any]], rounds: int) -> list[float]:
    """The processor time of each of `rounds` calls, in milliseconds; that of SQLite's threads is counted."""
    await work()
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        await work()
        times.append((time.process_time() - begin) * 1000)
    return times


def lists(tasks: int, rare: str) -> dict[str, tuple[TaskFilter, str]]:
    """Each list in both forms: a filter, and the naive statement."""
    match = "EXISTS (SELECT 1 FROM turns WHERE turns.number = tasks.number AND turns.text LIKE '%{}%')"
    select = "SELECT * FROM tasks WHERE {} ORDER BY updated_ms DESC LIMIT 50 OFFSET {}"
    middle = tasks // 2
    return {
        "first_page": (TaskFilter(), select.format("1 = 1", 0)),
        "middle_page": (TaskFilter(before=middle), select.format("1 = 1", middle)),
        "rare_word": (TaskFilter(search=SearchQuery.parse(rare)), select.format(match.format(rare), 0)),
        "no_match": (TaskFilter(search=SearchQuery.parse("zzzzq")), select.format(match.format("zzzzq"), 0)),
        "common_word": (TaskFilter(search=SearchQuery.parse("set")), select.format(match.format("set"), middle // 8)),
        "two_words_in_repo": (
            TaskFilter(search=SearchQuery.parse("bump repo7"), repo="repo7"),
            select.format(match.format("bump") + " AND repo = 'repo7'", tasks // 600),
        ),
        "person_deep": (
            TaskFilter(person="person9", before=middle),
            select.format("requester = 'person9'", tasks // 200),
        ),
    }


async def measure(tasks: int, folder: Path) -> dict[str, Any]:
    """The figures of a database with this many tasks."""
    location = Location.of("sqlite", folder)
    migrate(location)
    database = Database(location)
    rare = await fill(database, tasks)
    listing, figures, failed = TaskSearch(database, builders.settings), dict[str, Any](), []
    for name, (wanted, naive) in lists(tasks, rare).items():
        ours = await timed(lambda wanted=wanted: listing.page(wanted, PAGE), ROUNDS)  # type: ignore[misc]
        statement = text(naive)

        async def slowly(statement: Any = statement) -> None:
            async def read(tx: Tx) -> None:
                (await (await tx.session.connection()).execute(statement)).all()

            await database.read(read)

        theirs = await timed(slowly, NAIVE_ROUNDS)
        p95 = statistics.quantiles(ours, n=20)[-1]
        ratio = statistics.median(theirs) / statistics.median(ours)
        figures |= {f"{name}_p95_ms": round(p95, 2), f"{name}_naive_over_ours": round(ratio, 1)}
        failed += [f"{name}: p95 {p95:.0f} ms"] if p95 > GOAL_MS else []
        print(f"{name:18} p95 {p95:8.2f} ms   naive {statistics.median(theirs):9.1f} ms   x{ratio:8.1f}")
    best = max(value for key, value in figures.items() if key.endswith("_naive_over_ours"))
    goal = GOAL_RATIO * tasks / 1_000_000  # the naive form reads all rows, so its time grows with their number
    failed += [] if best >= goal else [f"no list is {goal:g} times as fast"]
    await database.close()
    return {"tasks": tasks, **figures, "failed": failed}


if __name__ == "__main__":
    raise SystemExit(measured.run(measure, OUT, tasks=100_000, doc=__doc__))
