"""The doctor: checks every dependency, permission, sandbox, repository and lane, and says how to fix what fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from bot.configuration.home import Home
from bot.operations.doctor_rows import DoctorRow, failed_row, ok_row, row, warning_row
from bot.operations.doctor_surfaces import surfaces_checks
from core.model.errors import CountersignError, Problem
from core.model.schedule import ACTIVE
from core.services.home_checks import DeliveryCounts, HomeCounts

if TYPE_CHECKING:
    from bot.wiring.app import App

LOW_DISK_MIB = 512


async def examine(home: Home) -> list[DoctorRow]:
    """Run all checks; a failed one does not stop the others, unless they depend on it."""
    checks = [_python(), await asyncio.to_thread(_git)]
    try:
        home.check()
    except CountersignError as error:
        return [*checks, failed_row("home", error.problem)]
    checks.append(ok_row("home", str(home.root)))
    checks.append(_disk(home))
    checks.append(_rights(home))
    from bot.wiring.app import opened

    try:
        async with opened(home) as app:
            checks.append(ok_row("configuration", f"{home.config.name}, {home.policy.name} and the lanes are valid"))
            checks.extend(await _within(app))
    except CountersignError as error:
        checks.append(failed_row("configuration" if error.problem.code == "config" else "database", error.problem))
        checks.extend(_plugins_alone(home))
    return checks


async def _within(app: App) -> list[DoctorRow]:
    checks = [await _database(app), _key(app), *_sandboxes(app)]
    checks.extend(_policy(app))
    checks.extend(_sections(app))
    plugins = app.plugins().doctor_rows()
    app.plugins().lenient = True  # a broken one has its row; everything else is checked without it
    checks.extend(plugins)
    checks.extend(_lanes(app, {row["name"]: row["mend"] for row in plugins if row["verdict"] == "fail"}))
    checks.extend(await _models(app))
    checks.extend([await _repository(app, name) for name in sorted(app.settings().repositories)])
    checks.extend(await surfaces_checks(app))
    counts = await app.home_checks.counts()
    checks.extend(_queue(counts))
    checks.extend(_deliveries(counts.deliveries))
    checks.extend(await _schedules(app))
    return checks


def _sections(app: App) -> list[DoctorRow]:
    """A row for each section of countersign.yaml that `serve` would refuse; valid ones have further rows."""
    checks: list[DoctorRow] = []
    for name, read in app.config.sections().items():
        try:
            read()
        except CountersignError as error:
            checks.append(failed_row(f"{name} in {app.home.config.name}", error.problem))
    return checks or [ok_row("sections", "`serve` accepts the whole configuration")]


def _deliveries(deliveries: Mapping[str, DeliveryCounts]) -> list[DoctorRow]:
    """How many deliveries to webhooks and trackers were sent, are due, or were given up."""
    checks: list[DoctorRow] = []
    for name, counts in deliveries.items():
        summary = f"{counts.sent} sent, {counts.due} due"
        if not counts.failed:
            checks.append(ok_row(f"webhook {name}", summary))
            continue
        why = f": {counts.problem}" if counts.problem else ""
        mend = (
            "Fix the receiver. Deliveries that were given up are not retried; `countersign events` has their content."
        )
        checks.append(warning_row(f"webhook {name}", f"{counts.failed} given up{why} ({summary})", mend))
    return checks


async def _schedules(app: App) -> list[DoctorRow]:
    """The recurring requests that the current configuration would refuse."""
    from core.services.schedules import PlannedRequest

    checks = list[DoctorRow]()
    active = [schedule for schedule in await app.schedules.list() if schedule.state == ACTIVE]
    for schedule in active:
        try:
            app.settings().people.named(schedule.person)
            await app.schedules.check(PlannedRequest.of(schedule))
        except CountersignError as error:
            mend = f"{error.problem.mend} Or delete it: countersign unschedule {schedule.id}."
            checks.append(warning_row(f"recurring request {schedule.id}", error.problem.message, mend.strip()))
    if active and not checks:
        checks.append(ok_row("recurring requests", f"{len(active)}, all accepted by the configuration"))
    return checks


def _python() -> DoctorRow:
    return ok_row("python", sys.version.split()[0])


def _git() -> DoctorRow:
    from lanes.repository.command import check_git

    try:
        check_git()
    except CountersignError as error:
        return failed_row("git", error.problem)
    return ok_row("git", shutil.which("git") or "git")


def _disk(home: Home) -> DoctorRow:
    free_mib = shutil.disk_usage(home.root).free // 2**20
    if free_mib < LOW_DISK_MIB:
        return warning_row(
            "disk", f"only {free_mib} MiB free at {home.root}", "Free some disk space, or requests will be refused."
        )
    return ok_row("disk", f"{free_mib:,} MiB free")


def _rights(home: Home) -> DoctorRow:
    if os.name != "posix" or not home.state.exists():
        return ok_row("rights", "not checked on this system")
    mode = home.state.stat().st_mode & 0o777
    if mode & 0o077:
        return warning_row("rights", f"others can read {home.state} ({mode:o})", f"chmod 700 {home.state}")
    return ok_row("rights", f"only the owner can read {home.state}")


async def _database(app: App) -> DoctorRow:
    from bot.wiring.database_file import schema_version

    if app.location.file is None:
        return ok_row("database", f"PostgreSQL at schema {schema_version()}")
    damage = await app.home_checks.damage()
    if damage is not None:
        return row("database", "fail", f"{app.location.file}: {damage}", "Restore a backup; do not use this file.")
    return ok_row("database", f"{app.location.file.name} at schema {schema_version()}, intact")


def _key(app: App) -> DoctorRow:
    from core.signing import Keys

    try:
        keys = Keys(app.home.keys)
        keys.open(keys.sign(b"doctor", "text/plain"))
    except CountersignError as error:
        return failed_row("signing key", error.problem)
    return ok_row("signing key", "signs and verifies")


def _sandboxes(app: App) -> list[DoctorRow]:
    """bubblewrap, and each other sandbox that a lane needs."""
    kinds = {"bwrap": None} | dict.fromkeys(lane.isolation.kind for lane in app.settings().lanes.values())
    return [_sandbox(app, kind) for kind in kinds]


def _sandbox(app: App, kind: str) -> DoctorRow:
    sandbox = app.sandbox(kind)
    name = "sandbox" if kind == "bwrap" else f"sandbox {kind}"
    if isinstance(sandbox, Problem):
        return warning_row(name, sandbox.message, str(sandbox.mend))
    return ok_row(name, f"{kind} starts; {sandbox.memory_accounting}")


def _policy(app: App) -> list[DoctorRow]:
    from policies.rules import warnings

    snapshot = app.settings.snapshot()
    mend = "Edit policy.yaml or countersign.yaml."
    rows = [warning_row("policy", text, mend) for text in warnings(snapshot.rules, snapshot.config.people)]
    return rows or [ok_row("policy", f"{len(snapshot.rules.rules)} rules, each can be satisfied")]


def _lanes(app: App, broken: Mapping[str, str]) -> list[DoctorRow]:
    """A row for each lane; `broken` maps the rows of broken plugins to their fixes."""
    from lanes.wiring import missing_executor_problem

    checks: list[DoctorRow] = []
    try:
        executors = app.executors()
    except CountersignError as error:
        return [failed_row("executors", error.problem)]
    for lane in app.settings().lanes.values():
        executor = executors.get(lane.executor)
        problem = missing_executor_problem(lane.executor) if executor is None else executor.unavailable(lane)
        name = f"lane {lane.name}"
        if (plugin := f"plugin executors/{lane.executor}") in broken:
            checks.append(warning_row(name, f"its executor cannot be used: see {plugin}", broken[plugin]))
            continue
        checks.append(warning_row(name, problem.message, str(problem.mend)) if problem else ok_row(name, lane.describe))
    return checks


async def _models(app: App) -> list[DoctorRow]:
    try:
        models = app.config.models()
    except CountersignError:  # reported by `_sections`
        return []
    if not models.endpoints:
        return []
    from bot.operations.doctor_inventory import inventory_checks
    from bot.operations.doctor_models import model_checks

    return [*await model_checks(models, app.settings().lanes.values()), *await inventory_checks(app)]


def _plugins_alone(home: Home) -> list[DoctorRow]:
    """The rows of the plugins when the rest of the configuration is not valid; empty if they are not known."""
    from bot.configuration.config import load_config
    from bot.plugins.load import Plugins

    try:
        return Plugins(load_config(home.config).plugins, home.state).doctor_rows()
    except CountersignError:
        return []


async def _repository(app: App, name: str) -> DoctorRow:
    def reach() -> Awaitable[str]:
        return app.repository(name).fetch_base()

    return await _tried(f"repository {name}", reach, lambda base: f"reachable, its branch is at {base[:12]}")


def _queue(counts: HomeCounts) -> list[DoctorRow]:
    checks = []
    if counts.paused is not None:
        reason = counts.paused.reason or "no reason given"
        checks.append(warning_row("queue", f"paused: {reason}", "Resume it with `countersign resume`."))
    waiting = sum(counts.jobs.values())
    if waiting and not counts.workers:
        mend = "Start one with `countersign serve`."
        checks.append(warning_row("workers", f"{waiting} jobs are waiting and no worker is running", mend))
    else:
        checks.append(ok_row("workers", f"{len(counts.workers)} running, {waiting} jobs waiting"))
    return checks


async def _tried(name: str, work: Callable[[], Awaitable[str]], say: Callable[[str], str]) -> DoctorRow:
    try:
        return ok_row(name, say(await work()))
    except CountersignError as error:
        return failed_row(name, error.problem)
