"""What a home measures of itself now: tasks, the queue, workers, model servers, objectives and alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from core.model.insight import DAY_MS, Figure, Measure, quantile
from core.model.inventory import ServerState
from core.model.metric import MetricSample
from core.services.alerts import RESULTS
from core.store import (
    alert_queries,
    deliveries,
    incidents,
    insight,
    inventory,
    queue_queries,
    switches,
    tasks,
    workers,
)
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_SERIES: Final = 100
"""The most values of a label of one metric; the smallest others are left out."""
_COUNTED: Final = {
    "today_tasks": Measure.EVENT,
    "today_errors": Measure.ERROR,
    "today_tokens": Measure.LANE_SPENT,
    "today_loads": Measure.LOAD,
}
_TIMED: Final = {"today_wait_seconds": Measure.WAIT, "today_run_seconds": Measure.RUN}
_QUANTILES: Final = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Reads the metrics of a home; what is of today was counted within the last minute."""

    database: Database

    @reads
    async def samples(self, tx: Tx, endpoints: Collection[str]) -> tuple[MetricSample, ...]:
        """Every number; of the model servers only those that are configured."""
        today_ms = tx.now_ms - tx.now_ms % DAY_MS
        today = [figure for _, figure in await insight.since(tx, today_ms)]
        return (
            *await _queue(tx),
            *await _servers(tx, endpoints),
            *_today(today),
            *await _objectives(tx),
            *await _deliveries(tx),
        )


async def _queue(tx: Tx) -> list[MetricSample]:
    samples = [MetricSample("tasks", (state,), n) for state, n in (await tasks.count_by_state(tx)).items()]
    unfinished = await queue_queries.count_by_state(tx)
    samples += [MetricSample("jobs", (state,), n) for state, n in unfinished.items()]
    ready = await alert_queries.claimable(tx)
    oldest_s = max(0, tx.now_ms - ready.oldest_ms) / 1000 if ready is not None else 0.0
    is_paused = await switches.paused(tx) is not None
    return [
        *samples,
        MetricSample("queue_claimable", (), ready.count if ready is not None else 0),
        MetricSample("queue_oldest_seconds", (), oldest_s),
        MetricSample("queue_paused", (), float(is_paused)),
        MetricSample("workers", (), len(await workers.alive(tx))),
    ]


async def _servers(tx: Tx, endpoints: Collection[str]) -> list[MetricSample]:
    samples = []
    known = await inventory.endpoints(tx)
    for name in sorted(endpoints)[:MAX_SERIES]:
        snapshot = known[name].snapshot if name in known else None
        is_up = snapshot is not None and snapshot.state in (ServerState.UP, ServerState.DRAINING)
        samples.append(MetricSample("endpoint_up", (name,), float(is_up)))
        if snapshot is not None:
            samples.append(MetricSample("endpoint_residents", (name,), len(snapshot.residents)))
            if snapshot.running is not None:
                samples.append(MetricSample("endpoint_running", (name,), snapshot.running))
    for node in (await inventory.nodes(tx))[:MAX_SERIES]:
        for gpu in node.hardware.gpus if node.hardware is not None else ():
            samples.append(MetricSample("gpu_memory_total_bytes", (node.name, gpu.id), gpu.total_bytes))
            samples.append(MetricSample("gpu_memory_free_bytes", (node.name, gpu.id), gpu.free_bytes))
    return samples


def _today(figures: Iterable[Figure]) -> list[MetricSample]:
    by_measure: dict[Measure, list[Figure]] = defaultdict(list)
    for figure in figures:
        by_measure[figure.measure].append(figure)
    samples = []
    for metric, measure in _COUNTED.items():
        samples += [MetricSample(metric, (each.name,), each.count) for each in _largest(by_measure[measure])]
    for metric, measure in _TIMED.items():
        for each in _largest(by_measure[measure]):
            samples += _quantiles(metric, (each.name,), each.bins)
    spent = sum(each.total for each in by_measure[Measure.LANE_SPENT])
    decisions: dict[int, int] = defaultdict(int)
    for each in by_measure[Measure.DECISION]:  # by person, which no label says
        for bin_, count in each.bins.items():
            decisions[bin_] += count
    return [*samples, MetricSample("today_spent_usd", (), spent), *_quantiles("today_decision_seconds", (), decisions)]


def _largest(figures: Iterable[Figure]) -> list[Figure]:
    return sorted(figures, key=lambda each: (-each.count, each.name))[:MAX_SERIES]


def _quantiles(metric: str, labels: tuple[str, ...], bins: Mapping[int, int]) -> list[MetricSample]:
    return [MetricSample(metric, (*labels, str(share)), quantile(bins, share) or 0.0) for share in _QUANTILES if bins]


async def _objectives(tx: Tx) -> list[MetricSample]:
    samples = []
    for row in (await switches.value_of(tx, RESULTS) or {}).get("rows", ())[:MAX_SERIES]:
        labels = (str(row["name"]),)
        samples.append(MetricSample("objective_met", labels, float(row["met"])))
        samples.append(MetricSample("objective_burn_rate", labels, row["burn_rate"]))
        if row["good_share"] is not None:
            samples.append(MetricSample("objective_good_ratio", labels, row["good_share"]))
    alerts: dict[str, int] = defaultdict(int)
    for kind, _ in await incidents.open_ones(tx):
        alerts[kind] += 1
    return [*samples, *(MetricSample("alerts", (kind,), count) for kind, count in sorted(alerts.items()))]


async def _deliveries(tx: Tx) -> list[MetricSample]:
    states: dict[str, int] = defaultdict(int)
    for (_, state), count in (await deliveries.counts(tx)).items():
        states[state] += count
    return [MetricSample("deliveries", (state,), count) for state, count in sorted(states.items())]
