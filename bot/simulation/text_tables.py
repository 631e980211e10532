"""The tables that the simulator's commands print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.simulation.runs import PolicyRun
from bot.simulation.units import duration, percent
from bot.surfaces.terminal.layout import grid
from bot.surfaces.terminal.profile import ACCENT, detect_profile, write_items
from core.scheduler.arrival_forecast import ForecastErrors
from core.simulator.calibration import Calibration
from core.simulator.report import Report
from core.simulator.tuning import Tuning
from core.simulator.windows import WindowState, counts_of

_STATE_STYLES = {
    WindowState.STABLE.value: "green",
    WindowState.BACKLOGGED.value: "yellow",
    WindowState.OVERLOADED.value: "red",
}


def print_heading(description: Mapping[str, Any]) -> None:
    """What was simulated, in two lines, and its notes."""
    look = detect_profile(sys.stdout)
    nodes = ", ".join(f"{each['name']} {each['memory_gb']:g} GB" for each in description["nodes"][:4])
    more = f" and {len(description['nodes']) - 4} more" if len(description["nodes"]) > 4 else ""
    load = f", load {description['load']:.2f}" if description["load"] is not None else ""
    facts = f"{description['requests']} requests in {duration(description['span_s'])}{load}"
    items: list[Any] = [
        look.text((str(description["trace"]), "bold"), f": {facts}"),
        look.text((f"{len(description['models'])} models on {nodes}{more}", "dim")),
    ]
    items += [look.text((f"note: {note}", "dim")) for note in description["notes"]]
    write_items(sys.stdout, look, [*items, look.text("")])


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of `print_runs` with its head on two lines; a narrow terminal has only the `narrow` ones."""

    head: str
    unit: str
    cell: Callable[[Report], str]
    narrow: bool = True


_COLUMNS: Final = (
    _Column("mean", "", lambda row: duration(row.mean_s), narrow=False),
    _Column("p95", "", lambda row: duration(row.p95_s)),
    _Column("p99", "", lambda row: duration(row.p99_s), narrow=False),
    _Column("chat p95", "", lambda row: duration(row.chat_p95_s)),
    _Column("loads", "", lambda row: str(row.loads)),
    _Column("swap", "time", lambda row: percent(row.swap_share)),
    _Column("dead-", "lines", lambda row: percent(row.deadlines_met)),
    _Column("starved", "", lambda row: percent(row.starved)),
    _Column("fair-", "ness", lambda row: f"{row.jain:.2f}", narrow=False),
)
_WIDE: Final = 92


def print_runs(runs: Sequence[PolicyRun]) -> None:
    """One line for each policy: times from arrival to the end, what swapping cost, and how its windows are labelled."""
    look = detect_profile(sys.stdout)
    columns = [each for each in _COLUMNS if each.narrow or look.width >= _WIDE]
    table = grid("fixed", *["right"] * len(columns), "fixed", gap=1)
    for heads in (("", *(each.head for each in columns), "windows"), ("", *(each.unit for each in columns), "S/B/O")):
        table.add_row(*(look.text((head, "dim")) for head in heads))
    for run in runs:
        states = "/".join(str(number) for number in counts_of(run.windows).values())
        table.add_row(
            look.text((run.name, ACCENT)),
            *(look.text(each.cell(run.report)) for each in columns),
            look.text((states, _STATE_STYLES[run.report.window])),
        )
    legend = "Times are from a request's arrival to its end. S/B/O: stable, backlogged and overloaded windows."
    write_items(sys.stdout, look, [table, look.text(""), look.text((legend, "dim"))])


def print_calibration(calibration: Calibration) -> None:
    """One line for each lane that was compared: what happened, what was simulated, and by how much it is off."""
    look = detect_profile(sys.stdout)
    table = grid("fixed", *["right"] * 6)
    heads = ("lane", "requests", "real p50", "simulated", "real p95", "simulated", "off by")
    table.add_row(*(look.text((head, "dim")) for head in heads))
    for lane in calibration.lanes:
        times = (lane.real_p50_s, lane.simulated_p50_s, lane.real_p95_s, lane.simulated_p95_s)
        off = percent(lane.error) if lane.error < float("inf") else "-"
        table.add_row(
            look.text((lane.lane or "-", ACCENT)),
            look.text(str(lane.requests)),
            *map(look.text, map(duration, times)),
            look.text(off),
        )
    items: list[Any] = [table] if calibration.lanes else []
    if calibration.too_few:
        names = ", ".join(name or "-" for name in calibration.too_few)
        items.append(look.text((f"Too few requests to compare: {names}", "dim")))
    write_items(sys.stdout, look, items)


def print_tuning(tuning: Tuning) -> None:
    """The scores of the old weights and of what both searches found, and the weights that CMA-ES found."""
    look = detect_profile(sys.stdout)
    table = grid("fixed", "right", "right")
    table.add_row(*(look.text((head, "dim")) for head in ("weights", "training", "held out")))
    for name, each in (("old", tuning.old), ("random search", tuning.random), ("CMA-ES", tuning.tuned)):
        scores = (f"{each.training:.3f}", f"{each.held_out:.3f}")
        table.add_row(look.text((name, ACCENT)), *map(look.text, scores))
    legend = f"Scores after {tuning.evaluations} evaluations each; 1 is as good as the old weights, lower is better."
    write_items(sys.stdout, look, [table, look.text((legend, "dim"))])


def print_forecasts(forecasts: Sequence[ForecastErrors]) -> None:
    """One line for each width of the bins: the error of each rule, the smallest one in colour."""
    look = detect_profile(sys.stdout)
    rules = ("naive", "seasonal_mean", "fading", "ridge")
    table = grid("fixed", *["right"] * len(rules))
    table.add_row(*(look.text((head, "dim")) for head in ("bins", *(name.replace("_", " ") for name in rules))))
    for each in forecasts:
        cells = (look.text((f"{getattr(each, n):.3f}", ACCENT if each.best == n else "")) for n in rules)
        table.add_row(look.text(duration(each.bin_s)), *cells)
    legend = (
        "Mean absolute errors in requests of a model in a bin, on the last 40% of the time; the smallest is coloured."
    )
    write_items(sys.stdout, look, [table, look.text((legend, "dim"))])
