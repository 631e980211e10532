"""The live view of the queue: the memory of model servers as bars, and below it what runs and what waits."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bot.cards.queue import pauses_of
from bot.surfaces.terminal.gpus import gpu_items
from bot.surfaces.terminal.profile import Item, TerminalBlock, TerminalProfile, detect_profile, write_items
from bot.surfaces.terminal.queue import queue_items

if TYPE_CHECKING:
    from bot.wiring.app import App

EVERY_S: Final = 1.0
_LINES_A_JOB: Final = 2
_LINES_BESIDE: Final = 5
"""The heading of the table, its summary, the pause, and the line at the end."""


async def watch(app: App) -> None:
    """Show the queue and redraw it until cancelled; where the output is not a terminal, print it once."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "").lower() in ("dumb", "unknown", ""):
        profile = detect_profile(sys.stdout)
        write_items(sys.stdout, profile, await _items(app, profile, height=None))
        return
    from rich.console import Console, Group
    from rich.live import Live

    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False, no_color=plain)
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            profile = TerminalProfile(console.width, console.color_system, sys.stdout.encoding or "utf-8")
            items = await _items(app, profile, height=console.height)
            live.update(Group(*(item for item in items if not isinstance(item, TerminalBlock))), refresh=True)
            await asyncio.sleep(EVERY_S)


async def _items(app: App, profile: TerminalProfile, *, height: int | None) -> list[Item]:
    """What is shown, in at most `height` lines."""
    now = datetime.now(UTC)
    document = (await app.queries.queue()).to_json()
    endpoints = [status.to_json(now) for status in await app.inventory.endpoints()]
    items = gpu_items(profile, endpoints, document["loading"], _in_use(document["jobs"]))
    if items:
        items.append(profile.text(""))
    left = len(document["jobs"]) if height is None else height - len(items) - _LINES_BESIDE
    limit = left if height is None else max(1, left // _LINES_A_JOB)
    items += queue_items(profile, document["jobs"], now=now, pauses=pauses_of(document), limit=limit)
    if height is not None:
        items.append(profile.text((f"{now:%H:%M:%S} UTC, Ctrl-C ends", "dim")))
    return items


def _in_use(rows: list[dict[str, Any]]) -> frozenset[str]:
    """The models that running jobs work with."""
    return frozenset(
        f"{row['endpoint']}/{row['model']}" for row in rows if row["state"] == "running" and not row["why"]
    )
