"""How quickly a delivery of Slack's is acknowledged, against bolt as it comes, in the same run on the same machine.

`python -m tests.bench.slack_ack` prints and writes build/bench/slack-ack.json. Both apps get the same click with
the same authorisation, and do nothing but acknowledge it; ours reads it and asks its ears first. Every figure is ours
divided by bolt's: less than one is quicker.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.surfaces.port import Clicked, Heard, Taken
from bot.surfaces.slack.api import SlackApi, quiet_logger
from bot.surfaces.slack.listening import Listening
from bot.surfaces.slack.members import Members
from bot.surfaces.slack.payloads import Ours
from tests.fakes.ears import FakeEars
from tests.fakes.slack.program import BOT, BOT_TOKEN, DEV, LEE, TEAM

OUT: Final = Path(__file__).parents[2] / "build" / "bench" / "slack-ack.json"
CLICKS: Final = 300
AT_ONCE: Final = 50
ROUNDS: Final = 5
LIMITS: Final = {"click_p50_ratio": 0.5, "click_p95_ratio": 0.5, "burst_of_50_ratio": 1.0, "cpu_per_click_ratio": 1.5}

Dispatch = Callable[[dict[str, Any]], Awaitable[int]]


class NullEars(FakeEars):
    """Ears that keep nothing: what keeping costs is the store's, and measured there."""

    async def take(self, said: Heard | Clicked) -> Taken:
        self.deliveries += 1
        return Taken(self.deliveries, new=False)


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


def ours() -> Dispatch:
    """The surface's own app; each delivery has to have reached the ears when it is answered."""
    api = SlackApi(BOT_TOKEN, "http://127.0.0.1:9/api/")

    async def us() -> Ours:
        return Ours(TEAM, BOT, frozenset([DEV]))

    async def say(_clicked: Clicked, _text: str) -> None:
        return

    ears = NullEars()
    dispatch = through(Listening(api, Members(api, TEAM), us, ears, say, None, set()).app())

    async def counted(body: dict[str, Any]) -> int:
        before = ears.deliveries
        status = await dispatch(body)
        return status if ears.deliveries > before else 0

    return counted


def stock() -> Dispatch:
    """bolt as its guide has it: `AsyncApp`, one listener, `await ack()` first."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=TEAM, bot_user_id=BOT, bot_token=BOT_TOKEN)

    app = AsyncApp(
        logger=quiet_logger(),
        client=SlackApi(BOT_TOKEN, "http://127.0.0.1:9/api/").client,
        authorize=authorize,
        request_verification_enabled=False,
    )

    async def pressed(ack: AsyncAck) -> None:
        await ack()

    app.action("b")(pressed)
    return through(app)


def through(app: AsyncApp) -> Dispatch:
    """One delivery as Socket Mode hands it to bolt; the status it is answered with."""

    async def dispatch(body: dict[str, Any]) -> int:
        return (await app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))).status

    return dispatch


async def measure(dispatch: Dispatch, clicks: int = CLICKS) -> dict[str, float]:
    """Seconds: the median and the 95th percentile of single clicks, `AT_ONCE` at once, and CPU for each click."""
    for number in range(20):
        assert await dispatch(click(number)) == 200
    took, cpu = [], time.process_time()
    for number in range(clicks):
        began = time.perf_counter()
        assert await dispatch(click(number)) == 200
        took.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    began = time.perf_counter()
    assert set(await asyncio.gather(*(dispatch(click(number)) for number in range(AT_ONCE)))) == {200}
    burst = time.perf_counter() - began
    cuts = statistics.quantiles(took, n=20)
    return {"click_p50": cuts[9], "click_p95": cuts[18], "burst_of_50": burst, "cpu_per_click": cpu / clicks}


async def compare(rounds: int = ROUNDS, clicks: int = CLICKS) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The ratios, and what they are made of: medians over rounds that take turns, so that a busy moment hits both."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bolt": []}
    for _ in range(rounds):
        found["ours"].append(await measure(ours(), clicks))
        found["bolt"].append(await measure(stock(), clicks))
    medians = {
        who: {name: statistics.median(one[name] for one in rows) for name in rows[0]} for who, rows in found.items()
    }
    ratios = {f"{name}_ratio": round(medians["ours"][name] / medians["bolt"][name], 4) for name in medians["ours"]}
    return ratios, medians


def missed(ratios: dict[str, float]) -> list[str]:
    """The figures that are over their limits."""
    return [f"{name} is {ratios[name]}, over {limit}" for name, limit in LIMITS.items() if ratios[name] > limit]


def main(rounds: int = ROUNDS, clicks: int = CLICKS, out: Path = OUT) -> int:
    """Measure, print, write; 1 when a ratio is over its limit."""
    ratios, medians = asyncio.run(compare(rounds, clicks))
    failed = missed(ratios)
    for name in medians["ours"]:
        ours_us, bolt_us = (medians[who][name] * 1e6 for who in ("ours", "bolt"))
        print(f"{name:14} ours {ours_us:8.0f} µs   bolt {bolt_us:8.0f} µs   ratio {ratios[f'{name}_ratio']:.4f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**ratios, "failed": failed}, indent=1) + "\n", encoding="utf-8")
    print("\n".join(failed) or f"written to {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
