"""The queue forecaster: one worker of all says again and again when each job is expected to begin, while any waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from core.log import fault_of, log
from core.model.errors import CountersignError
from core.model.job import JobKind, JobState
from core.model.model_lease import LeaseState, ModelLease, split_model
from core.model.queue_forecast import JobForecast
from core.queue.edit_allowance import EditAllowance
from core.queue.lease_scheduling import LeaseScheduling
from core.rules.queue_situation import expected_work, situation_of
from core.scheduler.demand import Demand, WorkClass
from core.scheduler.forecast import forecast, promised_start_s
from core.scheduler.forward_run import copy_of
from core.scheduler.history import WorkHistory
from core.scheduler.scheduler import Scheduler
from core.scheduler.situation import GrantedWork, QueuedWork, QueueSituation
from core.services.queue_forecasts import WINDOW_S, QueueForecasts, QueueRows
from core.settings import SettingsSource

EVERY_S: Final = 3.0
_SPENT: Final = 20.0
"""A forecast is made again after at least so many times the processor's time that it took, but within `_LATEST_S`."""
_LATEST_S: Final = 45.0
_LEARN_EVERY_S: Final = 60.0


@dataclass(slots=True)
class QueueForecaster:
    """Forecasts on behalf of one worker while `leads` says so.

    `scheduling` returns what model leases are scheduled with, if this process does that; forecasts run a copy of its
    scheduler.
    """

    forecasts: QueueForecasts
    settings: SettingsSource
    leads: Callable[[], Awaitable[bool]]
    scheduling: Callable[[], LeaseScheduling | None] = lambda: None
    every_s: float = EVERY_S
    _spent_s: float = 0.0
    _edits: EditAllowance = field(default_factory=EditAllowance)
    _histories: tuple[WorkHistory, WorkHistory] | None = None
    _learned_s: float = 0.0
    _loading: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The model that each endpoint is loading, and since when it was seen to."""

    async def run(self) -> None:
        """Forecast again and again, until cancelled."""
        while True:
            try:
                await self.round()
            except CountersignError as error:
                log.warning("queue_not_forecast", problem=error.problem.message)
            except Exception as error:  # noqa: BLE001 - a forecast that cannot be made must not stop the worker
                log.error("queue_forecaster_broke", **fault_of(error))
            await asyncio.sleep(max(self.every_s, min(_SPENT * self._spent_s, _LATEST_S)))

    async def round(self) -> None:
        """Make and keep the forecasts of now, if this worker is the one that does and any job is in work."""
        if not await self.forecasts.is_needed() or not await self.leads():
            self._loading.clear()
            return
        jobs, requests = await self._learned()
        rows = await self.forecasts.rows()
        situation = self._with_models(
            rows, situation_of(rows.now.timestamp(), rows.slots, rows.line, rows.columns, jobs), requests
        )
        made, self._spent_s = await asyncio.to_thread(_timed_forecast, situation)
        promises = _promises(rows, situation, jobs)
        loading = {endpoint: model for endpoint, (model, _) in self._loading.items()}
        self._edits.spend(await self.forecasts.record(rows, made, promises, loading, self._edits.left()))

    async def _learned(self) -> tuple[WorkHistory, WorkHistory]:
        """What work is expected to take; it is learned anew every minute."""
        if self._histories is None or time.monotonic() - self._learned_s > _LEARN_EVERY_S:
            self._histories = await self.forecasts.histories()
            self._learned_s = time.monotonic()
        return self._histories

    def _with_models(self, rows: QueueRows, situation: QueueSituation, requests: WorkHistory) -> QueueSituation:
        """The situation with a copy of the live scheduler, and what waits for it and was granted by it."""
        live = self.scheduling()
        if live is None:
            self._loading.clear()
            return situation
        scheduler = copy_of(live.scheduler)
        waiting = {lease.id: lease for lease in rows.leases if lease.id in scheduler.waiting}
        leases = {lease.work.job: lease.id for lease in waiting.values() if lease.work.job is not None}
        recent = [demand for lease in rows.recent if (demand := _demand(live, lease, requests)) is not None]
        return replace(
            situation,
            running=[replace(each, lease=leases.get(each.id)) for each in situation.running],
            queued=[self._asking(each, rows, live, requests) for each in situation.queued],
            scheduler=scheduler,
            waiting=[scheduler.demand_of(lease) for lease in waiting],
            granted=[_granted(scheduler, lease) for lease in rows.leases if scheduler.is_granted(lease.id)],
            loading_since_s=self._loading_since(live, situation.now_s),
            recent=_recurring(recent, situation),
            window_s=WINDOW_S,
        )

    def _asking(self, queued: QueuedWork, rows: QueueRows, live: LeaseScheduling, requests: WorkHistory) -> QueuedWork:
        """A ready job with what it will ask a model for: a change asks the first model of its lane."""
        known = rows.columns[queued.id]
        lane = self.settings().lanes.get(known.lane)
        if known.kind is not JobKind.CHANGE or lane is None or not lane.models:
            return queued
        family = live.family_of(lane.models[0])
        if family is None:
            return queued
        work = requests.expected((known.lane, "/".join(split_model(lane.models[0]))))
        demand = Demand(f"of.{queued.id}", family, work, queued.ready_s, WorkClass.BULK, known.person)
        return replace(queued, demand=demand)

    def _loading_since(self, live: LeaseScheduling, now_s: float) -> Mapping[str, float]:
        states = live.scheduler.endpoints.items()
        loading = {name: f"{name}/{live.families.name_of(each.loading)}" for name, each in states if each.loading}
        self._loading = {
            name: self._loading[name] if self._loading.get(name, ("", 0.0))[0] == model else (model, now_s)
            for name, model in loading.items()
        }
        return {name: since_s for name, (_, since_s) in self._loading.items()}


def _timed_forecast(situation: QueueSituation) -> tuple[dict[str, JobForecast], float]:
    """The forecasts, and the seconds of the processor that they took."""
    began_s = time.thread_time()
    return forecast(situation), time.thread_time() - began_s


def _demand(live: LeaseScheduling, lease: ModelLease, requests: WorkHistory) -> Demand | None:
    """What a lease asked for; None when no endpoint has it now."""
    family = live.family_of(lease.model)
    if family is None:
        return None
    work_class = WorkClass.CHAT if lease.work.is_chat else WorkClass.BULK
    at_s, work = lease.arrived_at.timestamp(), requests.expected(lease.kind)
    return Demand(lease.id, family, work, at_s, work_class, lease.key, only_on=lease.only_on)


def _granted(scheduler: Scheduler, lease: ModelLease) -> GrantedWork:
    held_until_s = lease.until_at.timestamp() if lease.state is LeaseState.HELD else None
    since = lease.granted_at or lease.arrived_at
    return GrantedWork(scheduler.demand_of(lease.id), since.timestamp(), held_until_s)


def _recurring(recent: list[Demand], situation: QueueSituation) -> list[Demand]:
    """What is expected to be asked for again; while jobs wait to be claimed, only chats come before them."""
    if any(each.demand is not None for each in situation.queued):
        return [demand for demand in recent if demand.work_class is WorkClass.CHAT]
    return recent


def _promises(rows: QueueRows, situation: QueueSituation, history: WorkHistory) -> dict[str, datetime]:
    """The start that each job is promised which has none yet: the scheduler's where it waits for a model already."""
    promises: dict[str, datetime] = {}
    backlog_s: dict[str, float] = {}
    ready = {each.id: each for each in situation.queued}
    leases = {each.id: each.lease for each in situation.running if each.lease is not None}
    for queued in rows.line:
        job, known = queued.job, rows.columns.get(queued.job.id)
        stored = rows.stored.get(job.id)
        is_new = stored is None or stored.promised_at is None
        if known is None:
            continue
        if job.state is JobState.READY and job.id in ready:
            if is_new:
                promise_s = promised_start_s(situation, ready[job.id], backlog_s, known.person)
                promises[job.id] = datetime.fromtimestamp(promise_s, UTC)
            backlog_s[known.person] = backlog_s.get(known.person, 0.0) + expected_work(history, known).p50_s
        elif is_new and (lease := leases.get(job.id)) is not None and situation.scheduler is not None:
            promises[job.id] = datetime.fromtimestamp(situation.scheduler.waiting.get(lease).due_s, UTC)
    return promises
