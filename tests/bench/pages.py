"""Every list and page of a home with a million finished tasks, beside a home with a thousand.

`make bench-pages` (ARGS='--tasks 100000' for fewer) makes both homes, with 50 tasks that wait for lee, and asks for
each page in turn on either, in this process. It writes build/bench/pages.json: the processor time of each page in ms,
whose p95 is to stay within 100, and how many times as long it takes as on the small home.
"""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from bot.cli.context import keep_memory_small
from bot.configuration.home import Home
from bot.web.application import build_site
from bot.wiring.app import App, opened
from core.model.turn import Actor
from tests.bench import claim_fill, measured
from tests.bench.search import timed
from tests.builders import put_staged, terms
from tests.homes import make_home

OUT: Final = Path("build/bench/pages.json")
ORIGIN: Final = "http://127.0.0.1:8700"
ROUNDS: Final = 20
FEW, WAITING = 1_000, 50
GOAL_MS, GOAL_RATIO = 100.0, 1.5
LEE: Final = Actor("lee", "web")
PAGES: Final = {
    "inbox": "/",
    "tasks": "/tasks",
    "tasks_merged": "/tasks?state=merged",
    "tasks_deep": "/tasks?before={middle}",
    "tasks_of_person": "/tasks?person=p7",
    "tasks_in_lane": "/tasks?lane=code",
    "tasks_no_match": "/tasks?q=quetzalbird",
    "tasks_common_word": "/tasks?q=set",
    "task": "/tasks/{staged}",
    "queue": "/queue",
    "insight": "/insight",
    "endpoints": "/endpoints",
    "schedules": "/schedules",
    "policy": "/policy",
    "ask": "/ask",
}
"""Each page by its name; `{middle}` is the number of a task in the middle, `{staged}` that of one that waits."""


async def client_of(app: App, stack: AsyncExitStack) -> httpx.AsyncClient:
    """A browser in which lee is signed in."""
    site, close = build_site(app)
    stack.callback(close)
    client = await stack.enter_async_context(
        httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url=ORIGIN)
    )
    token = await app.web_sessions.make_link(LEE)
    await client.post("/sign-in", data={"token": token}, headers={"origin": ORIGIN})
    return client


async def filled(folder: Path, tasks: int, stack: AsyncExitStack) -> tuple[App, int]:
    """A home with so many finished tasks, and some that wait for lee, whose days are counted; one that waits."""
    home = await asyncio.to_thread(make_home, folder)
    app = await stack.enter_async_context(opened(Home(home.root)))
    await claim_fill.add_finished(app.database, tasks)
    rule = terms(rule="config-changes")
    staged = [(await put_staged(app.database, f"content {n}", promised=rule))[0] for n in range(WAITING)]
    while await app.insight.count_next():
        pass
    return app, staged[-1]


async def measure(tasks: int, folder: Path) -> dict[str, Any]:
    """The figures of all pages."""
    figures: dict[str, Any] = {"tasks": tasks}
    failed: list[str] = []
    async with AsyncExitStack() as stack:
        sizes = {"few": FEW, "many": tasks}
        clients, names = {}, {}
        for name, size in sizes.items():
            (folder / name).mkdir()
            app, staged = await filled(folder / name, size, stack)
            clients[name] = await client_of(app, stack)
            names[name] = {"middle": 1_000_000 + size // 2, "staged": staged}
        keep_memory_small()  # as `serve` does
        for page, path in PAGES.items():
            times = {}
            for name in sizes:
                url = path.format(**names[name])

                async def look(client: httpx.AsyncClient = clients[name], url: str = url) -> None:
                    answer = await client.get(url)
                    assert answer.status_code == 200, (url, answer.status_code)

                times[name] = await timed(look, ROUNDS)
            p95 = statistics.quantiles(times["many"], n=20)[-1]
            ratio = statistics.median(times["many"]) / statistics.median(times["few"])
            print(f"{page:20} p95 {p95:8.1f} ms   {ratio:6.2f} times as long as with {FEW:,} tasks", flush=True)
            figures |= {f"{page}_p95_ms": round(p95, 1), f"{page}_of_few": round(ratio, 2)}
            failed += [f"{page}: p95 {p95:.0f} ms"] if p95 > GOAL_MS else []
            failed += [f"{page}: {ratio:.1f} times as long"] if ratio > GOAL_RATIO else []
    return {**figures, "failed": failed}


if __name__ == "__main__":
    raise SystemExit(measured.run(measure, OUT, tasks=1_000_000, doc=__doc__))
