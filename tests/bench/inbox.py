"""The inbox of a person for whom 100 tasks wait, beside reading the same tasks one at a time.

`make bench-inbox` (ARGS='--tasks 300') serves the page from a SQLite home in this process, and writes
build/bench/inbox.json: the processor time of the page in ms (the goal for p95 is 100 ms), and how many times as long
it takes to read the same tasks and whose turn each is one at a time, which is only a part of a page made in that form.
"""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from typing import Any, Final

import httpx

from bot.cli.context import keep_memory_small
from bot.configuration.home import Home
from bot.web.application import build_site
from bot.wiring.app import App, opened
from core.model.turn import Actor
from tests.bench import measured
from tests.bench.search import timed
from tests.builders import put_staged, terms
from tests.homes import make_home

OUT: Final = Path("build/bench/inbox.json")
ORIGIN: Final = "http://127.0.0.1:8700"
ROUNDS: Final = 40
NAIVE_ROUNDS: Final = 3
GOAL_MS: Final = 100.0
GOAL_RATIO: Final = 5.0
LEE: Final = Actor("lee", "web")


async def measure(app: App, tasks: int) -> dict[str, Any]:
    """The figures of a home in which `tasks` tasks wait for lee."""
    rule = terms(rule="config-changes")
    numbers = [(await put_staged(app.database, f"content {n}", promised=rule))[0] for n in range(tasks)]
    site, close = build_site(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url=ORIGIN) as client:
        token = await app.web_sessions.make_link(LEE)
        await client.post("/sign-in", data={"token": token}, headers={"origin": ORIGIN})
        page = await client.get("/")
        assert page.text.count("<article") == min(50, tasks), page.text

        async def naive() -> None:
            for number in numbers:
                await app.attention.of_task(number, LEE)
                await app.documents.document(number, LEE)

        times = await timed(lambda: client.get("/"), ROUNDS)
        one_by_one = await timed(naive, NAIVE_ROUNDS)
    close()
    p95 = statistics.quantiles(times, n=20)[-1]
    ratio = statistics.median(one_by_one) / statistics.median(times)
    failed = [name for name, is_met in (("p95_ms", p95 <= GOAL_MS), ("ratio", ratio >= GOAL_RATIO)) if not is_met]
    return {
        "tasks": tasks,
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(p95, 1),
        "p95_over_goal": round(p95 / GOAL_MS, 2),
        "one_at_a_time_ms": round(statistics.median(one_by_one), 1),
        "one_at_a_time_over_page": round(ratio, 1),
        "failed": failed,
    }


async def run(tasks: int, folder: Path) -> dict[str, Any]:
    """Make a home in `folder` and measure it."""
    home = await asyncio.to_thread(make_home, folder)
    async with opened(Home(home.root)) as app:
        keep_memory_small()  # as `serve` does
        return await measure(app, tasks)


if __name__ == "__main__":
    raise SystemExit(measured.run(run, OUT, tasks=100, doc=__doc__))
