"""Windows of time of a run, each labelled by how the endpoints kept up with what arrived."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from core.simulator.machine import NEVER
from core.simulator.simulation import Outcome

_HOUR_S: Final = 3600.0
_FEW, _MANY = 4, 48
"""A run has windows of an hour, of more hours if it has over `_MANY`; eight if it has less than `_FEW` hours."""
BACKLOG: Final = 0.1
"""Work that waits at a window's end is a backlog when it takes the endpoints more than this share of a window."""

Span = tuple[float, float]


class WindowState(StrEnum):
    """How the endpoints kept up in a window; the later, the worse."""

    STABLE = "stable"
    BACKLOGGED = "backlogged"
    OVERLOADED = "overloaded"


@dataclass(frozen=True, slots=True)
class Window:
    """What happened from `from_s` to `to_s`. Shares are of all endpoints' time in the window.

    `offered` is the work that arrived, `stalled` the time in which endpoints loaded and served nothing. `waiting` is
    how many requests wait at the end, and `waiting_work` their work. `p95_s` is of the requests that arrived here.
    """

    from_s: float
    to_s: float
    state: WindowState
    arrived: int
    offered: float
    stalled: float
    waiting: int
    waiting_work: float
    p95_s: float

    def to_json(self) -> dict[str, Any]:
        """The window by names, rounded to what the figures mean."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def windows(outcome: Outcome, number: int | None = None) -> tuple[Window, ...]:
    """The windows from the first arrival to the last, all of the same length; `number` of them if given.

    Where all arrive at once, there is one window to the end of the run.

    A window is *overloaded* when the work that arrives in it and the time that endpoints stall for loads are more than
    the endpoints' time, *backlogged* when it is not but work of more than `BACKLOG` waits at its end, else *stable*.
    """
    last_s = outcome.requests[-1].arrival_s
    span_s = last_s or outcome.end_s or 1.0
    width_s = span_s / number if number else _width_s(span_s) if last_s else span_s
    count = number or max(1, math.ceil(span_s / width_s - 1e-9))
    stalls = _stalls(outcome)
    arrivals = [each.arrival_s for each in outcome.requests]
    edges = [width_s * index for index in range(count + 1)]
    edges[-1] = max(edges[-1], span_s)
    cuts = [0, *(bisect_left(arrivals, edge) for edge in edges[1:-1]), len(arrivals)]
    waiting = _waiting_at(outcome, edges[1:])
    return tuple(
        _window(
            outcome,
            (edges[i], edges[i + 1]),
            range(cuts[i], cuts[i + 1]),
            _overlap_s(stalls, edges[i], edges[i + 1]),
            waiting[i],
        )
        for i in range(count)
    )


def state_of(parts: Sequence[Window]) -> WindowState:
    """The label of a whole run: the worst that at least a quarter of its windows have or exceed."""
    order = list(WindowState)
    ranks = sorted((order.index(each.state) for each in parts), reverse=True)
    return order[ranks[math.ceil(0.25 * len(ranks)) - 1]]


def counts_of(parts: Sequence[Window]) -> dict[str, int]:
    """How many windows have each label."""
    counts = Counter(each.state.value for each in parts)
    return {state.value: counts[state.value] for state in WindowState}


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _width_s(span_s: float) -> float:
    if span_s < _FEW * _HOUR_S:
        return span_s / 8
    return _HOUR_S * math.ceil(span_s / _HOUR_S / _MANY)


def _window(outcome: Outcome, span: Span, arrived: range, stalled_s: float, waiting: tuple[int, float]) -> Window:
    from_s, to_s = span
    capacity_s = (to_s - from_s) * outcome.endpoints
    offered = sum(outcome.work_s[i] for i in arrived) / capacity_s
    stalled, waiting_work = stalled_s / capacity_s, waiting[1] / capacity_s
    if offered + stalled > 1.0 + 1e-9:
        state = WindowState.OVERLOADED
    else:
        state = WindowState.BACKLOGGED if waiting_work > BACKLOG else WindowState.STABLE
    took = [outcome.finish_s[i] - outcome.requests[i].arrival_s for i in arrived]
    return Window(from_s, to_s, state, len(arrived), offered, stalled, waiting[0], waiting_work, quantile(took, 0.95))


def _waiting_at(outcome: Outcome, times: Sequence[float]) -> list[tuple[int, float]]:
    """How many requests have arrived and not started at each time, and their work."""
    numbers, work = [0] * (len(times) + 1), [0.0] * (len(times) + 1)
    for request, start_s, work_s in zip(outcome.requests, outcome.start_s, outcome.work_s, strict=True):
        first, after = bisect_left(times, request.arrival_s), bisect_left(times, start_s)
        numbers[first] += 1
        numbers[after] -= 1
        work[first] += work_s
        work[after] -= work_s
    counts: list[tuple[int, float]] = []
    number, total = 0, 0.0
    for index in range(len(times)):
        number, total = number + numbers[index], total + work[index]
        counts.append((number, max(0.0, total)))
    return counts


def _stalls(outcome: Outcome) -> list[Span]:
    """The times in which an endpoint loaded a family and served nothing, of all endpoints, in order of their start."""
    served: dict[str, list[Span]] = defaultdict(list)
    for endpoint, start_s, finish_s in zip(outcome.endpoint, outcome.start_s, outcome.finish_s, strict=False):
        served[endpoint].append((start_s, finish_s))
    loads: dict[str, list[Span]] = defaultdict(list)
    for stay in outcome.residencies:
        loads[stay.endpoint].append((stay.load_s, min(stay.ready_s, stay.end_s)))
    return sorted(
        part for endpoint, spans in loads.items() for part in _without(sorted(spans), _merged(served[endpoint]))
    )


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start_s, end_s in sorted(spans):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((start_s, end_s))
    return merged


def _without(spans: Sequence[Span], others: Sequence[Span]) -> Iterable[Span]:
    """What is left of `spans` outside `others`; both are in order, and `others` do not overlap."""
    ends = [end_s for _, end_s in others]
    for start_s, end_s in spans:
        at_s = start_s
        for other_start_s, other_end_s in others[bisect_right(ends, start_s) :]:
            if other_start_s >= end_s:
                break
            if other_start_s > at_s:
                yield at_s, other_start_s
            at_s = max(at_s, other_end_s)
        if at_s < end_s < NEVER:
            yield at_s, end_s


def _overlap_s(spans: Iterable[Span], from_s: float, to_s: float) -> float:
    return sum(max(0.0, min(end_s, to_s) - max(start_s, from_s)) for start_s, end_s in spans)
