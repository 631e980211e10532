"""The report of a simulation as one HTML page: plots with a table beside each, no script and nothing from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from bot.cards.safe import visible
from bot.simulation import charts
from bot.simulation.charts import COLOURS, Area, Line
from bot.simulation.files import write_text
from bot.simulation.page_style import STYLE
from bot.simulation.runs import PolicyRun
from bot.simulation.scenario import BuiltScenario
from bot.simulation.units import duration, percent
from core.simulator.timeline import Timeline, timeline
from core.simulator.windows import WindowState, counts_of, quantile

_STEPS: Final = 140
_QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_ENDPOINTS: Final = 6
"""Of how many endpoints the page shows the memory."""


def write_page(path: Path, scenario: BuiltScenario, document: Mapping[str, Any], runs: Sequence[PolicyRun]) -> None:
    """Write the page to `path`."""
    write_text(path, page(scenario, document, runs))


def page(scenario: BuiltScenario, document: Mapping[str, Any], runs: Sequence[PolicyRun]) -> str:
    """The whole page; `document` is what ``sim run --json`` prints of the same runs."""
    timelines = [timeline(each.outcome, _STEPS) for each in runs]
    sections = [
        _summary(document, runs),
        _response_times(runs),
        _queue(runs, timelines),
        *(
            _residency(scenario, run, at, is_open=index == 0)
            for index, (run, at) in enumerate(zip(runs, timelines, strict=True))
            if run.outcome.residencies
        ),
    ]
    title = f"Simulation of {_text(str(document['trace']))}"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{''.join(sections)}"
        "</main></body></html>\n"
    )


def _summary(document: Mapping[str, Any], runs: Sequence[PolicyRun]) -> str:
    nodes = ", ".join(f"{each['name']} {each['memory_gb']:g} GB" for each in document["nodes"][:_ENDPOINTS])
    load = f" at load {document['load']:.2f}" if document["load"] is not None else ""
    facts = (
        f"{document['requests']} requests in {duration(document['span_s'])}{load}, for {len(document['models'])} "
        f"models on {nodes}{' and more' if len(document['nodes']) > _ENDPOINTS else ''}. Seed {document['seed']}."
    )
    notes = "".join(f"<p class=note>{_text(note)}</p>" for note in document["notes"])
    heads = ("policy", "mean", "p95", "p99", "chat p95", "loads", "swap time", "deadlines met", "starved", "fairness")
    rows = []
    for index, run in enumerate(runs):
        row = run.report
        times = [duration(each) for each in (row.mean_s, row.p95_s, row.p99_s, row.chat_p95_s)]
        shares = [percent(row.swap_share), percent(row.deadlines_met), percent(row.starved), f"{row.jain:.2f}"]
        rows.append([_policy(run, index), *times, str(row.loads), *shares])
    legend = "Times run from a request's arrival to its end. Dashed policies are bounds that no real one reaches."
    return f"<p>{_text(facts)}</p>{notes}{_table(heads, rows)}<p class=note>{legend}</p>"


def _response_times(runs: Sequence[PolicyRun]) -> str:
    lines: list[Line] = []
    rows: list[list[str]] = []
    for index, run in enumerate(runs):
        pairs = zip(run.outcome.finish_s, run.outcome.requests, strict=True)
        took = sorted(finish_s - each.arrival_s for finish_s, each in pairs)
        shares = [step / 100 for step in range(1, 101)]
        points = [(took[min(len(took) - 1, int(share * len(took)))], share) for share in shares]
        lines.append(Line(run.name, points, run.is_bound))
        rows.append([_policy(run, index), *(duration(quantile(took, share)) for share in _QUANTILES)])
    heads = ("policy", *(f"p{share * 100:.0f}" for share in _QUANTILES))
    return _section("How long requests took", charts.response_times(lines), _table(heads, rows))


def _queue(runs: Sequence[PolicyRun], timelines: Sequence[Timeline]) -> str:
    end_s = max(each.end_s for each in timelines)
    lines: list[Line] = []
    rows: list[list[str]] = []
    strips: list[str] = []
    for index, (run, at) in enumerate(zip(runs, timelines, strict=True)):
        step_s = at.end_s / len(at.waiting)
        points = [((step + 0.5) * step_s, float(waiting)) for step, waiting in enumerate(at.waiting)]
        lines.append(Line(run.name, points, run.is_bound))
        counts = counts_of(run.windows)
        rows.append([_policy(run, index), str(max(at.waiting)), *(str(counts[state.value]) for state in WindowState)])
        spans = [(each.from_s, each.to_s, each.state.value) for each in run.windows]
        strips.append(f"<figcaption>{_policy(run, index)}</figcaption>{charts.window_strip(spans, end_s)}")
    heads = ("policy", "longest queue", *(state.value for state in WindowState))
    plot = charts.queue_lengths(lines, end_s) + "".join(strips)
    legend = (
        '<p class=note>Windows: <i class="key s0"></i>stable. <i class="key s1"></i>backlogged: work of over a '
        'tenth of a window waits at its end. <i class="key s2"></i>overloaded: more work and loading than the '
        "endpoints have time for.</p>"
    )
    tables = "".join(_windows(run, index) for index, run in enumerate(runs))
    details = f"<details><summary>The windows with their figures</summary>{tables}</details>"
    return _section("How many requests waited", plot + legend, _table(heads, rows)) + details


def _windows(run: PolicyRun, index: int) -> str:
    heads = ("from", "to", "state", "arrived", "offered", "stalled", "waiting", "p95")
    rows = [
        [
            *(duration(each.from_s) if each.from_s else "0", duration(each.to_s), each.state.value),
            *(str(each.arrived), percent(each.offered), percent(each.stalled)),
            *(str(each.waiting), duration(each.p95_s)),
        ]
        for each in run.windows
    ]
    return f"<h3>{_policy(run, index)}</h3>{_table(heads, rows, text_columns=3)}"


def _residency(scenario: BuiltScenario, run: PolicyRun, at: Timeline, *, is_open: bool) -> str:
    loads = Counter(stay.family for stay in run.outcome.residencies)
    served = Counter(each.model for each in run.outcome.requests)
    sizes_gb = {each.name: each.size_mib / 1024 for each in scenario.cluster.models}
    shown = [each for each in scenario.cluster.endpoints if each.name in at.resident][:_ENDPOINTS]
    there = Counter[str]()
    for families in at.resident.values():
        there.update({family: sum(shares) for family, shares in families.items()})
    order = sorted(loads, key=lambda family: -there[family] * sizes_gb[family])
    colours = {family: index for index, family in enumerate(order[: COLOURS - 1])}
    plots = "".join(
        f"<figcaption>{_text(each.name)}</figcaption>"
        + charts.memory(_filled(at.resident[each.name], sizes_gb, colours), each.memory_mib / 1024, at.end_s)
        for each in shown
    )
    steps = len(at.waiting)
    rows = [
        [
            f'<i class="key c{colours.get(family, COLOURS - 1)}"></i>{_text(family)}',
            *(f"{sizes_gb[family]:.1f}", str(served[family]), str(loads[family])),
            percent(there[family] / steps / len(scenario.cluster.endpoints)),
        ]
        for family in order
    ]
    heads = ("model", "GB", "requests", "loads", "resident")
    body = _columns(plots, f'<div class="tall">{_table(heads, rows)}</div>')
    state = " open" if is_open else ""
    return f"<details{state}><summary>What was loaded under {_text(run.name)}</summary>{body}</details>"


def _filled(
    shares: Mapping[str, Sequence[float]], sizes_gb: Mapping[str, float], colours: Mapping[str, int]
) -> list[Area]:
    """The memory that each family with a colour of its own has in each step, and that of all others together."""
    steps = len(next(iter(shares.values()), ()))
    totals: dict[int, list[float]] = {}
    for family, row in shares.items():
        total = totals.setdefault(colours.get(family, COLOURS - 1), [0.0] * steps)
        for step, share in enumerate(row):
            total[step] += share * sizes_gb[family]
    names = {colour: family for family, colour in colours.items()}
    return [Area(names.get(colour, "others"), total, colour) for colour, total in sorted(totals.items())]


def _section(title: str, plot: str, table: str) -> str:
    return f"<h2>{title}</h2>{_columns(plot, table)}"


def _columns(plot: str, table: str) -> str:
    return f'<div class="columns"><figure>{plot}</figure>{table}</div>'


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """A table; cells are HTML. All columns but the first are numbers, or as many as `text_columns` says are not."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' if i >= text_columns else ''}>{cell}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _policy(run: PolicyRun, index: int) -> str:
    """A policy's name with its colour."""
    dashed = " dashed" if run.is_bound else ""
    return f'<i class="key c{index % COLOURS}{dashed}"></i>{_text(run.name)}'


def _text(text: str) -> str:
    return escape(visible(text))
