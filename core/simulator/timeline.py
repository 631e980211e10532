"""A run over time, in a fixed number of steps however long it was: the queue, and what was resident."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from core.simulator.simulation import Outcome


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run from 0 to `end_s` in equal steps.

    `waiting` is the longest queue within each step. `resident` is, for each endpoint and family, the share of each step
    in which the family had its memory there, its load included.
    """

    end_s: float
    waiting: tuple[int, ...]
    resident: Mapping[str, Mapping[str, tuple[float, ...]]]


def timeline(outcome: Outcome, steps: int) -> Timeline:
    """The run in `steps` steps."""
    end_s = outcome.end_s or 1.0
    return Timeline(end_s, _waiting(outcome, end_s / steps, steps), _resident(outcome, end_s / steps, steps))


def _waiting(outcome: Outcome, step_s: float, steps: int) -> tuple[int, ...]:
    changes = sorted(
        [(each.arrival_s, 1) for each in outcome.requests] + [(start_s, -1) for start_s in outcome.start_s],
    )
    longest = [0] * steps
    waiting, step = 0, 0
    for at_s, change in changes:
        now = min(steps - 1, int(at_s / step_s))
        for passed in range(step + 1, now + 1):
            longest[passed] = waiting
        step = now
        waiting += change
        longest[step] = max(longest[step], waiting)
    return tuple(longest)


def _resident(outcome: Outcome, step_s: float, steps: int) -> dict[str, dict[str, tuple[float, ...]]]:
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0] * steps))
    edges = [step_s * index for index in range(steps + 1)]
    for stay in outcome.residencies:
        row = shares[stay.endpoint][stay.family]
        step = max(0, bisect_right(edges, stay.load_s) - 1)
        while step < steps and edges[step] < stay.end_s:
            covered_s = min(edges[step + 1], stay.end_s) - max(edges[step], stay.load_s)
            row[step] = min(1.0, row[step] + max(0.0, covered_s) / step_s)
            step += 1
    return {endpoint: {family: tuple(row) for family, row in families.items()} for endpoint, families in shares.items()}
