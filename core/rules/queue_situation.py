"""The situation of the queue as the rows say it, for forecasts: workers' slots, jobs, and what such work took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from core.model.job import JobKind, JobState, QueuedJob
from core.model.parking import Gate
from core.model.queue_forecast import JobForecast
from core.scheduler.demand import Work
from core.scheduler.forecast import forecast
from core.scheduler.history import WorkHistory
from core.scheduler.situation import QueuedWork, QueueSituation, RunningWork, Slots
from core.settings import Settings
from core.store import inventory, job_forecasts, queue_queries, switches
from core.store.job_forecasts import UnfinishedJob
from core.store.unit_of_work import Tx

REMEMBERED: Final = 400
"""From how many finished jobs the expected work is learned."""
_PRIOR: Final = Work(5.0, 20.0)
_QUICK_REMEMBERED: Final = 100
_QUICK_JOBS: Final = 60
_QUICK_RUNS: Final = 9


async def work_history(tx: Tx, limit: int = REMEMBERED) -> WorkHistory:
    """What finished jobs took by kind and lane, without waiting for models."""
    history = WorkHistory(_PRIOR)
    for kind, seconds in await job_forecasts.recent_runs(tx, limit):
        history.observe(kind, seconds)
    return history


async def workers_slots(tx: Tx, settings: Settings) -> list[Slots]:
    """The slots of the workers that are alive."""
    offers = {node.name: frozenset(node.offers) for node in await inventory.nodes(tx)}
    living = await job_forecasts.living_workers(tx)
    return [Slots(worker, offers.get(node, frozenset()), settings.timing.slots) for worker, node in living]


def expected_work(history: WorkHistory, job: UnfinishedJob) -> Work:
    """What a job is expected to take once it runs and has its model."""
    return history.expected((job.kind.value, job.lane))


def situation_of(
    now_s: float,
    slots: Sequence[Slots],
    line: Sequence[QueuedJob],
    columns: Mapping[str, UnfinishedJob],
    history: WorkHistory,
) -> QueueSituation:
    """The jobs of the queue's line, without models; the jobs that follow pull requests take no time.

    Jobs that are parked for a pause or a limit are left out: when it ends is not foreseen.
    """
    running, queued = [], []
    for each in line:
        job = each.job
        known = columns.get(job.id)
        if known is None or job.kind is JobKind.FOLLOW:
            continue
        work = expected_work(history, known)
        if job.state is JobState.RUNNING:
            began_s = (known.claimed_ms or 0) / 1000 or now_s
            running.append(RunningWork(job.id, known.owner or "", work, max(0.0, now_s - began_s)))
        elif job.state is JobState.READY and Gate.parse(job.parked or "") is None:
            queued.append(QueuedWork(job.id, work, job.needs, job.ready_at.timestamp()))
    return QueueSituation(now_s, slots, running, queued)


async def quick_forecast(tx: Tx, settings: Settings, job_id: str, position: int) -> tuple[JobForecast | None, bool]:
    """A forecast of a ready job from jobs and slots alone, and whether it takes a worker for granted.

    It is for where no worker keeps forecasts. Behind the first jobs of a long line it goes on as they do. None while
    the queue is paused, or when no worker that is alive can run the job.
    """
    if await switches.paused(tx) is not None:
        return None, False
    line = await queue_queries.queue_line(tx, _QUICK_JOBS)
    forecasts, needs_worker = await line_forecasts(tx, settings, line)
    ready = [each.job.id for each in line if each.job.state is JobState.READY]
    known = forecasts.get(job_id)
    if known is None and ready and position > len(ready):
        last = forecasts.get(ready[-1])
        known = _further(last, position / len(ready), tx.now_ms / 1000, position - 1) if last else None
    return known, needs_worker


async def line_forecasts(tx: Tx, settings: Settings, line: Sequence[QueuedJob]) -> tuple[dict[str, JobForecast], bool]:
    """Forecasts of jobs from slots alone, by job, and whether they take a worker for granted because none runs."""
    columns = await job_forecasts.columns_of(tx, [each.job.id for each in line])
    slots = await workers_slots(tx, settings)
    needs_worker = not slots
    if not slots:
        needs = frozenset[str]().union(*(each.job.needs for each in line))
        slots = [Slots("", needs, settings.timing.slots)]
    history = await work_history(tx, _QUICK_REMEMBERED)
    situation = situation_of(tx.now_ms / 1000, slots, line, columns, history)
    return forecast(situation, runs=_QUICK_RUNS), needs_worker


def _further(last: JobForecast, factor: float, now_s: float, before: int) -> JobForecast | None:
    """The forecast of a job that is `factor` times as far back in the line."""
    if last.start is None:
        return None
    start, finish = (each.shifted(-now_s).scaled(factor).shifted(now_s) for each in (last.start, last.finish))
    return JobForecast(start, finish, before)
