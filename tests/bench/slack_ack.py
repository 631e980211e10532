"""How quickly a delivery of Slack's is acknowledged, against bolt, in the same run on the same machine.

`python -m tests.bench.slack_ack` prints and writes build/bench/slack-ack.json. All apps get the same clicks with the
same authorisation. Ours keeps each delivery in the inbox, a SQLite file on disk at FULL sync, before it acknowledges.
The peer is bolt that promises the same: its listener inserts the delivery into such a file, then acknowledges.
Beside it stands bolt as it comes, which keeps nothing. Every figure is ours divided by a peer's: less than one is
quicker. `p95_of_3_s` is the 95th percentile as a share of the time that Slack gives.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.messaging.inbox import DurableInbox
from bot.surfaces.port import ButtonPress, Response, TakenMessage
from bot.surfaces.slack.api import SlackApi, silent_logger
from bot.surfaces.slack.incoming import SlackListener
from bot.surfaces.slack.members import SlackMembers
from bot.surfaces.slack.payloads import OwnAccount
from core.services.conversations import Conversations
from core.services.message_inbox import MessageInbox
from core.store import inbox
from core.store.database import Database, Location
from core.store.migrate import migrate
from tests import builders
from tests.fakes.slack.program import BOT, BOT_TOKEN, DEV, LEE, TEAM

OUT: Final = Path(__file__).parents[2] / "build" / "bench" / "slack-ack.json"
ON_DISK: Final = Path(__file__).parents[2] / "build"
"""Where the inbox lies: /tmp is in memory on many machines."""
CLICKS: Final = 300
AT_ONCE: Final = 50
ROUNDS: Final = 5
LIMITS: Final = {"click_p50_ratio": 1.0, "click_p95_ratio": 1.0, "burst_of_50_ratio": 1.0, "p95_of_3_s": 0.1}

Dispatch = Callable[[dict[str, Any]], Awaitable[int]]


def click(number: int) -> dict[str, Any]:
    """A click on a card."""
    return {
        "type": "block_actions",
        "user": {"id": LEE, "username": "lee", "team_id": TEAM},
        "team": {"id": TEAM, "domain": "ours"},
        "container": {"type": "message", "message_ts": "1700000000.000100", "channel_id": DEV},
        "channel": {"id": DEV},
        "message": {"ts": "1700000000.000100"},
        "trigger_id": f"1.{number}.abc",
        "actions": [{"type": "button", "action_id": "b", "value": "b", "action_ts": f"{number}.000000"}],
    }


class StoringInbox(DurableInbox):
    """The real inbox; no one works on what it keeps, so no one waits for an answer either."""

    async def wait_for_response(self, taken: TakenMessage, within_s: float) -> Response | None:
        return None


@asynccontextmanager
async def ours() -> AsyncIterator[Dispatch]:
    """The surface's own app over the real inbox; every delivery that was acknowledged has to be a row at the end."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-", dir=ON_DISK) as folder:
        location = Location.of("sqlite", Path(folder))
        migrate(location)
        database = Database(location)
        api, acknowledged = SlackApi(BOT_TOKEN, "http://127.0.0.1:9/api/"), 0

        async def us() -> OwnAccount:
            return OwnAccount(TEAM, BOT, frozenset([DEV]))

        async def say(_clicked: ButtonPress, _text: str) -> None:
            return

        dispatch = through(
            SlackListener(
                api,
                SlackMembers(api, TEAM),
                us,
                StoringInbox(MessageInbox(database), Conversations(database, builders.settings)),
                say,
                None,
                set(),
            ).app()
        )

        async def counted(body: dict[str, Any]) -> int:
            nonlocal acknowledged
            status = await dispatch(body)
            acknowledged += status == 200
            return status

        try:
            yield counted
            assert await database.read(inbox.waiting) == acknowledged > 0
        finally:
            await database.close()


@asynccontextmanager
async def keeping() -> AsyncIterator[Dispatch]:
    """bolt whose listener keeps the delivery at FULL sync before it acknowledges."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-", dir=ON_DISK) as folder:
        file = sqlite3.connect(Path(folder) / "inbox.sqlite", check_same_thread=False, isolation_level=None)
        one_at_a_time = threading.Lock()
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            file.execute(f"PRAGMA {pragma}")
        file.execute("CREATE TABLE inbox (id INTEGER PRIMARY KEY, dedup TEXT UNIQUE, body TEXT)")

        def keep(body: dict[str, Any]) -> None:
            with one_at_a_time:
                dedup = body["actions"][0]["action_ts"]
                file.execute("INSERT INTO inbox (dedup, body) VALUES (?, ?)", (dedup, json.dumps(body)))

        async def pressed(ack: AsyncAck, body: dict[str, Any]) -> None:
            await asyncio.to_thread(keep, body)
            await ack()

        yield through(_bolt(pressed))
        file.close()


@asynccontextmanager
async def stock() -> AsyncIterator[Dispatch]:
    """bolt as its guide has it: `AsyncApp`, one listener, `await ack()` first."""

    async def pressed(ack: AsyncAck) -> None:
        await ack()

    yield through(_bolt(pressed))


def _bolt(pressed: Callable[..., Awaitable[None]]) -> AsyncApp:
    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=TEAM, bot_user_id=BOT, bot_token=BOT_TOKEN)

    app = AsyncApp(
        logger=silent_logger(),
        client=SlackApi(BOT_TOKEN, "http://127.0.0.1:9/api/").client,
        authorize=authorize,
        request_verification_enabled=False,
    )
    app.action("b")(pressed)
    return app


def through(app: AsyncApp) -> Dispatch:
    """One delivery as Socket Mode hands it to bolt; the status it is answered with."""

    async def dispatch(body: dict[str, Any]) -> int:
        return (await app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))).status

    return dispatch


APPS: Final = {"ours": ours, "bolt that keeps": keeping, "bolt": stock}


async def measure(dispatch: Dispatch, clicks: int = CLICKS) -> dict[str, float]:
    """Seconds: the median and the 95th percentile of single clicks, `AT_ONCE` at once, and CPU for each click."""
    numbers = itertools.count()
    for _ in range(20):
        assert await dispatch(click(next(numbers))) == 200
    took, cpu = [], time.process_time()
    for _ in range(clicks):
        began = time.perf_counter()
        assert await dispatch(click(next(numbers))) == 200
        took.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    began = time.perf_counter()
    assert set(await asyncio.gather(*(dispatch(click(next(numbers))) for _ in range(AT_ONCE)))) == {200}
    burst = time.perf_counter() - began
    cuts = statistics.quantiles(took, n=20)
    return {"click_p50": cuts[9], "click_p95": cuts[18], "burst_of_50": burst, "cpu_per_click": cpu / clicks}


async def compare(rounds: int = ROUNDS, clicks: int = CLICKS) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The ratios, and what they are made of: medians over rounds that take turns, so that a busy moment hits all."""
    found: dict[str, list[dict[str, float]]] = {who: [] for who in APPS}
    for _ in range(rounds):
        for who, app in APPS.items():
            async with app() as dispatch:
                found[who].append(await measure(dispatch, clicks))
    medians = {
        who: {name: statistics.median(one[name] for one in rows) for name in rows[0]} for who, rows in found.items()
    }
    mine = medians["ours"]
    ratios = {f"{name}_ratio": round(mine[name] / medians["bolt that keeps"][name], 4) for name in mine}
    ratios |= {f"{name}_over_bolt": round(mine[name] / medians["bolt"][name], 4) for name in mine}
    ratios["p95_of_3_s"] = round(mine["click_p95"] / 3, 4)
    return ratios, medians


def missed(ratios: dict[str, float]) -> list[str]:
    """The figures that are over their limits."""
    return [f"{name} is {ratios[name]}, over {limit}" for name, limit in LIMITS.items() if ratios[name] > limit]


def main(rounds: int = ROUNDS, clicks: int = CLICKS, out: Path = OUT) -> int:
    """Measure, print, write; 1 when a ratio is over its limit."""
    ratios, medians = asyncio.run(compare(rounds, clicks))
    failed = missed(ratios)
    for name in medians["ours"]:
        shown = "   ".join(f"{who} {medians[who][name] * 1e6:8.0f} µs" for who in APPS)
        print(f"{name:14} {shown}   ratio {ratios[f'{name}_ratio']:.4f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**ratios, "failed": failed}, indent=1) + "\n", encoding="utf-8")
    print("\n".join(failed) or f"written to {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
