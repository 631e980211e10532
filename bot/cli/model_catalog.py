"""Prints models on the terminal: those of each endpoint, those in memory, and the progress of a pull."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self

import click

from bot.cards.safe import one_line
from bot.cards.times import until
from bot.surfaces.terminal.layout import grid
from bot.surfaces.terminal.profile import ACCENT, detect_profile, write_items
from lanes.models.model_details import PullStep

Row = Mapping[str, Any]

_BACK: Final = "\r\x1b[2K"  # to the line's start, and erase it
_EVERY_S: Final = 5.0
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def print_catalogs(rows: Sequence[Row]) -> None:
    """Print the rows of ``models list --json``: each endpoint and its models."""
    look = detect_profile(sys.stdout)
    if not rows:
        click.echo("No endpoints. Add them to `models:` of countersign.yaml.")
        return
    items: list[Any] = []
    for row in rows:
        items.append(look.text((row["endpoint"], "bold"), (f" · {_endpoint_state(row)} · {row['url']}", "dim")))
        table = grid("fixed", "right", "fixed", "fixed")
        for model in row["models"]:
            make = (look.text((model[key], "dim")) for key in ("parameters", "quantization"))
            table.add_row(look.text((f"  {model['name']}", ACCENT)), look.text(size(model["size_bytes"])), *make)
        if row["models"]:
            items.append(table)
    write_items(sys.stdout, look, items)


def _endpoint_state(row: Row) -> str:
    if row["up"] is None:
        return f"{row['kind']}, for agents only: not asked"
    return row["version"] if row["up"] else "does not answer"


def print_loaded(rows: Sequence[Row]) -> None:
    """Print the rows of ``models ps --json``: each model in memory."""
    look, now = detect_profile(sys.stdout), datetime.now(UTC)
    loaded = [model for row in rows for model in row["models"]]
    if not loaded:
        if not any(row["problem"] for row in rows):
            click.echo("No model is in memory.")
        return
    table = grid("fixed", "right", "fixed", "fixed")
    for model in loaded:
        table.add_row(
            look.text((model["name"], ACCENT)),
            look.text(size(model["size_bytes"])),
            look.text(_on_gpu(model)),
            look.text((f"unloads {until(model['until'], now)}" if model["until"] else "", "dim")),
        )
    write_items(sys.stdout, look, [table])


def _on_gpu(model: Row) -> str:
    total_bytes, vram_bytes = model["size_bytes"], model["vram_bytes"]
    if not total_bytes or vram_bytes is None:
        return ""
    share = min(100, round(100 * vram_bytes / total_bytes))
    return f"{share}% on the GPU" if share else "on the CPU"


def size(count: int | None) -> str:
    """A number of bytes as text, such as 5.2 GB; empty if it is unknown."""
    if count is None:
        return ""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 99.5 else f"{value:.1f} {_UNITS[unit]}"


class PullProgress:
    """Prints a pull's progress on stderr: one updated line on a terminal, else a line for each step and every 5 s."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name, self._quiet = name, quiet
        self._shown, self._at = "", 0.0
        self._redraws = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraws and self._shown:
            click.echo(_BACK, nl=False, err=True)

    async def update(self, step: PullStep) -> None:
        """Print `step`."""
        if self._quiet:
            return
        status, now = one_line(step.status, 60), time.monotonic()
        if status == self._shown and now - self._at < (0.1 if self._redraws else _EVERY_S):
            return
        self._shown, self._at = status, now
        amount = ""
        if step.total_bytes > 0:
            part = min(100, 100 * step.done_bytes // step.total_bytes)
            amount = f" {part}% of {size(step.total_bytes)}"
        line = f"{one_line(self._name, 80)}: {status}{amount}"
        click.echo(f"{_BACK}{line[:79]}" if self._redraws else line, nl=not self._redraws, err=True)
