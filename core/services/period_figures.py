"""Figures of a period for `stats`: the phases of jobs, why tasks failed, and how long verdicts took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.model.insight import Figure, Measure, quantile
from core.store import insight_count, phase_times
from core.store.database import Database, to_ms
from core.store.phase_times import JobPhases
from core.store.unit_of_work import Tx, reads

MOST: Final = 20_000
"""How many finished jobs are counted at most, the newest ones."""
PHASES: Final = ("queued", "model_wait", "model_use", "work")


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """The figures of a period; times are quantiles in seconds."""

    phases: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, int]
    approvals: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The keys that ``stats --json`` has of them."""
        return {
            "phases": {name: dict(times) for name, times in self.phases.items()},
            "errors": dict(self.errors),
            "approvals": [dict(row) for row in self.approvals],
            "critical_steps": [dict(row) for row in self.steps],
        }


@dataclass(frozen=True, slots=True)
class PeriodStatistics:
    """Reads the figures for the operator."""

    database: Database

    @reads
    async def since(self, tx: Tx, since: datetime | None) -> PeriodFigures:
        """The figures from `since` to now; of all the time that is kept without it."""
        since_ms = to_ms(since) if since else 0
        figures = await insight_count.between(tx, since_ms, tx.now_ms + 1)
        jobs = await phase_times.finished_since(tx, since_ms, MOST)
        errors = {each.name: each.count for each in figures if each.measure is Measure.ERROR}
        return PeriodFigures(
            phases=_phases(jobs) if jobs else {},
            errors=dict(sorted(errors.items(), key=lambda row: (-row[1], row[0]))),
            approvals=_times(figures, Measure.DECISION, "person", "verdicts"),
            steps=_times(figures, Measure.STEP, "step", "runs"),
        )


def _phases(jobs: Sequence[JobPhases]) -> dict[str, dict[str, float]]:
    return {phase: _of_phase(sorted(getattr(job, f"{phase}_s") for job in jobs)) for phase in PHASES}


def _of_phase(ordered: Sequence[float]) -> dict[str, float]:
    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)

    return {"p50_s": at(0.5), "p95_s": at(0.95)}


def _times(figures: Iterable[Figure], measure: Measure, label: str, counted: str) -> list[dict[str, Any]]:
    rows = [
        {
            label: each.name,
            counted: each.count,
            "p50_s": round(quantile(each.bins, 0.5) or 0.0, 3),
            "p95_s": round(quantile(each.bins, 0.95) or 0.0, 3),
            "total_s": round(each.total, 3),
        }
        for each in figures
        if each.measure is measure
    ]
    return sorted(rows, key=lambda row: (-float(row["total_s"]), str(row[label])))
