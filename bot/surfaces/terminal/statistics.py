"""Tables of the queue's statistics on the terminal: waits and runs by group, and what model servers did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from bot.alerts.alert_text import budget_text, measured, percent
from bot.cards.safe import one_line
from bot.surfaces.terminal.layout import grid
from bot.surfaces.terminal.profile import ACCENT, TerminalProfile, detect_profile, write_items

if TYPE_CHECKING:
    from rich.table import Table

    from core.model.objective import ObjectiveResult

_Row = Mapping[str, Any]


def print_waits(stream: TextIO, title: str, figures: _Row, *, profile: TerminalProfile | None = None) -> None:
    """Print the medians and 95% quantiles of waits and runs (``queue`` of ``stats --json``)."""
    profile = profile or detect_profile(stream)
    table = _table(profile, "", "jobs", "wait p50", "p95", "run p50", "p95")
    for row in figures["groups"]:
        times = [_seconds(row[key]) for key in ("wait_p50_s", "wait_p95_s", "run_p50_s", "run_p95_s")]
        _add(profile, table, one_line(row["name"] or "none", 40), str(row["jobs"]), *times)
    note = [profile.text(("Of the newest jobs only: there are more.", "dim"))] if figures["is_cut"] else []
    write_items(stream, profile, [profile.text((title, "bold")), table, *note])


def print_endpoint_figures(
    stream: TextIO, title: str, rows: Sequence[_Row], *, profile: TerminalProfile | None = None
) -> None:
    """Print use and loads of each endpoint and of its models (``endpoints`` of ``stats --json``)."""
    profile = profile or detect_profile(stream)
    table = _table(profile, "", "requests", "busy", "loads", "loading")
    for row in rows:
        busy, loading = f"{row['use']:.0%}", f"{_seconds(row['load_s'])} ({row['load_share']:.0%})"
        _add(profile, table, one_line(row["name"], 40), str(row["requests"]), busy, str(row["loads"]), loading)
        for model in row["models"]:
            name = f"  {one_line(model['name'], 40)}"
            _add(profile, table, name, str(model["requests"]), "", str(model["loads"]), _loading(model["load_s"]))
    write_items(stream, profile, [profile.text((title, "bold")), table])


def print_times(
    stream: TextIO, title: str, counted: str, rows: Sequence[_Row], *, profile: TerminalProfile | None = None
) -> None:
    """Print medians and 95% quantiles by `name`, with a `count` of what is `counted` unless that is empty."""
    profile = profile or detect_profile(stream)
    table = _table(profile, "", *([counted] if counted else []), "p50", "p95")
    for row in rows:
        count = [str(row["count"])] if counted else []
        _add(profile, table, one_line(row["name"], 40), *count, _seconds(row["p50_s"]), _seconds(row["p95_s"]))
    write_items(stream, profile, [profile.text((title, "bold")), table])


def print_objectives(
    stream: TextIO, results: Sequence[ObjectiveResult], *, profile: TerminalProfile | None = None
) -> None:
    """Print each objective: what it asks for, what is, and how much of its error budget is left."""
    profile = profile or detect_profile(stream)
    table = _table(profile, "", "good", "asked", "of", "budget left", "")
    for result in results:
        share = result.window.share
        good = measured(share) if share is not None else "-"
        left = budget_text(result.burn_rate) if share is not None else "-"
        words = "nothing yet" if share is None else "met" if result.is_met else "missed"
        _add(
            profile,
            table,
            one_line(result.objective.name, 40),
            good,
            percent(result.objective.share),
            f"{result.window.all:,}",
            left,
            words,
        )
    write_items(stream, profile, [profile.text(("Objectives", "bold")), table])


def _table(profile: TerminalProfile, *headings: str) -> Table:
    table = grid("flow", *["right"] * (len(headings) - 1))
    table.add_row(*(profile.text((heading, "dim")) for heading in headings))
    return table


def _add(profile: TerminalProfile, table: Table, name: str, *values: str) -> None:
    table.add_row(profile.text((f"  {name}", ACCENT)), *(profile.text(value) for value in values))


def _loading(seconds: float) -> str:
    """How long loads took; empty when none was timed, because another program asked for it."""
    return _seconds(seconds) if seconds else ""


def _seconds(seconds: float) -> str:
    """A duration of some accuracy: ``0.4 s``, ``12 s``, ``3.5 min``, ``2.1 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"
