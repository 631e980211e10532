"""Objectives against what happened: each with its window, its error budget and how fast that is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.insight import Figure, Measure, bin_of, quantile
from core.model.objective import Objective, ObjectiveResult, ShareCount, Subject
from core.store import objective_figures
from core.store.database import Database
from core.store.objective_figures import HOUR_MS
from core.store.unit_of_work import Tx, reads

_MEASURES: Final = {Subject.WAIT: Measure.WAIT, Subject.RUN: Measure.RUN, Subject.DECISION: Measure.DECISION}
_GOOD, _BAD = "task.staged", "task.failed"


@dataclass(frozen=True, slots=True)
class ObjectiveEvaluation:
    """Reads how objectives are met; nothing is written."""

    database: Database

    @reads
    async def evaluate(self, tx: Tx, objectives: Sequence[Objective]) -> tuple[ObjectiveResult, ...]:
        """The result of each objective, in their order."""
        windows = {each.window_s * 1000 for each in objectives} | ({HOUR_MS} if objectives else set())
        figures = {window: await objective_figures.of_window(tx, window) for window in sorted(windows)}
        looks = {window: await objective_figures.looks_since(tx, tx.now_ms - window) for window in windows}

        def count_of(objective: Objective, window: int) -> tuple[ShareCount, float | None]:
            if objective.subject is Subject.ENDPOINT:
                return _looked(objective, looks[window]), None
            return _counted(objective, figures[window])

        results = []
        for each in objectives:
            whole, value = count_of(each, each.window_s * 1000)
            results.append(ObjectiveResult(each, whole, count_of(each, HOUR_MS)[0], value))
        return tuple(results)


def _looked(objective: Objective, looks: Mapping[str, tuple[int, int]]) -> ShareCount:
    found = [counts for name, counts in looks.items() if not objective.names or name in objective.names]
    return ShareCount(sum(all_ for all_, _ in found), sum(up for _, up in found))


def _counted(objective: Objective, figures: Iterable[Figure]) -> tuple[ShareCount, float | None]:
    """How many there were and how many were good, and the time that the objective's share did not exceed."""
    if objective.subject is Subject.SUCCESS:
        events = {_GOOD: 0, _BAD: 0}
        for figure in figures:
            if figure.measure is Measure.EVENT and figure.name in events:
                events[figure.name] += figure.count
        return ShareCount(sum(events.values()), events[_GOOD]), None
    measure = Measure.SURFACE_WAIT if objective.by_surface else _MEASURES[objective.subject]
    bins: dict[int, int] = defaultdict(int)
    for figure in figures:
        if figure.measure is measure and (not objective.names or figure.name in objective.names):
            for each, count in figure.bins.items():
                bins[each] += count
    longest = bin_of(objective.within_s or 0.0)
    good = sum(count for each, count in bins.items() if each <= longest)
    return ShareCount(sum(bins.values()), good), quantile(bins, objective.share)
