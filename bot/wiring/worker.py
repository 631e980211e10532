"""Builds the worker of this process: the ports of its jobs, its engine, and its capabilities."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.wiring.late_duty import LateDuty
from bot.wiring.model_adapters import LiveInterpreter, LiveMapping
from core.jobs.job_context import JobContext
from core.model.errors import Problem
from core.model.ids import new_id
from core.model.job_order import NodeView
from core.queue.lazy_engine import LazyEngine
from core.queue.reconciler import Reconciler
from core.queue.worker import BackgroundDuty, Worker
from core.signing import Keys

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.queue.engine import Engine
    from core.queue.lease_granter import LeaseGranter


def build_worker(app: App, node: str | None = None) -> Worker:
    """A worker named `node`, by default after this host; raises `ConfigError` if the models section is not valid.

    If an edit makes that section invalid while the worker runs, the last valid one stays in force.
    """
    app.settings.require("models")
    identity, here = new_id("worker"), node or socket.gethostname()
    look_soon = asyncio.Event()
    granting = _LateGranter(app, identity, look_soon.set)

    def engine() -> Engine:
        from core.queue.engine import DbosEngine

        return DbosEngine(app.location, identity)

    return Worker(
        context=_job_context(app),
        engine=LazyEngine(engine),
        id=identity,
        node=NodeView(here, _offers(app)),
        reconciler=Reconciler(app.database, app.settings),
        duties=(
            LateDuty(lambda: _refresher(app, identity, here, look_soon)),
            LateDuty(granting.build, is_needed=lambda: bool(app.config.endpoint_kinds)),
            LateDuty(lambda: _forecaster(app, identity, granting)),
            LateDuty(lambda: _day_counter(app, identity)),
        ),
        jobs_waiting_for_models=lambda: app.lease_client.waiting_jobs,
    )


def _refresher(app: App, worker: str, node: str, wake: asyncio.Event) -> BackgroundDuty:
    from bot.wiring.inventory import build_refresher

    return build_refresher(app, worker, node, wake)


@dataclass(slots=True)
class _LateGranter:
    """Builds the granter of a worker; `granter` is None until then."""

    app: App
    worker: str
    on_moved: Callable[[], None]
    granter: LeaseGranter | None = None

    def build(self) -> BackgroundDuty:
        from bot.wiring.leases import build_granter

        self.granter = build_granter(self.app, self.worker, self.on_moved)
        return self.granter


def _forecaster(app: App, worker: str, granting: _LateGranter) -> BackgroundDuty:
    from bot.wiring.forecasts import LateForecaster

    return LateForecaster(app, worker, lambda: granting.granter)


def _day_counter(app: App, worker: str) -> BackgroundDuty:
    from core.queue.day_counter import DayCounter
    from core.queue.duty_lease import DutyLease
    from core.store import leaders

    return DayCounter(app.insight, DutyLease(app.database, app.settings, leaders.INSIGHT, worker))


def _job_context(app: App) -> JobContext:
    """The ports with the real adapters; those that depend on the configuration follow its changes."""
    from bot.configuration.secret_baseline import SecretBaseline
    from policies.guard import TreeGuard

    app.executors(), app.forges()  # an invalid plugin or endpoint stops the worker now, not its first job
    return JobContext(
        database=app.database,
        settings=app.settings,
        milestones=app.milestones,
        interpreter=LiveInterpreter(app.interpreter),
        guard=app.plugins().guard(TreeGuard(SecretBaseline(app.home.secret_baseline).accepts)),
        executors=LiveMapping(app.executors),
        forges=LiveMapping(app.forges),
        followed=LiveMapping(app.followed_forges),
        repository=app.repository,
        files=app.files,
        keys=Keys(app.home.keys),
        footnote=app.ticket_links,
    )


def _offers(app: App) -> frozenset[str]:
    """The sandboxes and agent programs that this host has for the configured lanes."""
    from lanes.agent_clis import agent_capabilities
    from lanes.sandbox import sandbox_capability

    kinds = {"bwrap"} | {lane.isolation.kind for lane in app.settings().lanes.values()}
    sandboxes = frozenset(sandbox_capability(kind) for kind in kinds if not isinstance(app.sandbox(kind), Problem))
    return sandboxes | agent_capabilities(app.model_adapters().agents)
