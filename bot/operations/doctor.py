"""The doctor: every dependency, permission, sandbox, repository and lane: ok, warn or fail, and the mend."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from bot.configuration.home import Home
from core.model.errors import CountersignError, Problem

if TYPE_CHECKING:
    from bot.surfaces.port import Surface
    from bot.wiring.app import App

DoctorRow = dict[str, Any]
LOW_DISK_MIB = 512
SURFACE_S = 20.0


async def examine(home: Home) -> list[DoctorRow]:
    """All checks; one that fails does not stop the others, except where nothing further could be known."""
    checks = [_python(), await asyncio.to_thread(_git)]
    try:
        home.check()
    except CountersignError as error:
        return [*checks, _bad("home", error.problem)]
    checks.append(_ok("home", str(home.root)))
    checks.append(_disk(home))
    checks.append(_rights(home))
    from bot.wiring.app import opened

    try:
        async with opened(home) as app:
            checks.append(_ok("configuration", f"{home.config.name}, {home.policy.name} and the lanes are sound"))
            checks.extend(await _within(app))
    except CountersignError as error:
        checks.append(_bad("configuration" if error.problem.code == "config" else "database", error.problem))
        checks.extend(_plugins_alone(home))
    return checks


async def _within(app: App) -> list[DoctorRow]:
    checks = [await _database(app), _key(app), *_sandboxes(app)]
    checks.extend(_policy(app))
    checks.extend(_sections(app))
    plugins = app.plugins().rows()
    app.plugins().lenient = True  # one that is broken has its row; everything else is looked at without it
    checks.extend(plugins)
    checks.extend(_lanes(app, {row["name"]: row["mend"] for row in plugins if row["verdict"] == "fail"}))
    checks.extend(await _models(app))
    checks.extend([await _repository(app, name) for name in sorted(app.settings().repositories)])
    checks.extend(await _surfaces(app))
    checks.extend(await _queue(app))
    checks.extend(await _deliveries(app))
    checks.extend(await _schedules(app))
    return checks


def _sections(app: App) -> list[DoctorRow]:
    """A row for each section of countersign.yaml that `serve` would refuse; what is sound has rows further down."""
    checks: list[DoctorRow] = []
    for name, read in app.config.sections().items():
        try:
            read()
        except CountersignError as error:
            checks.append(_bad(f"{name} in {app.home.config.name}", error.problem))
    return checks or [_ok("sections", "all of the configuration is as `serve` wants it")]


async def _deliveries(app: App) -> list[DoctorRow]:
    """What webhooks and trackers were told, and what was given up for good."""
    from bot.operations.stats import deliveries_of

    checks: list[DoctorRow] = []
    for name, found in (await app.database.read(deliveries_of)).items():
        told = f"{found['sent']} sent, {found['due']} to come"
        if not found["failed"]:
            checks.append(_ok(f"webhook {name}", told))
            continue
        why = f": {found['problem']}" if found["problem"] else ""
        mend = "Mend the receiver; they are not tried again. `countersign events` still has what they said."
        checks.append(_warn(f"webhook {name}", f"{found['failed']} given up for good{why} ({told})", mend))
    return checks


async def _schedules(app: App) -> list[DoctorRow]:
    """The recurring requests that could not succeed as things are now."""
    from bot.schedule.planned_request import PlannedRequest
    from bot.wiring.request_check import RequestCheck
    from core.store import schedules

    check, checks = RequestCheck(app), list[DoctorRow]()
    found = [one for one in await app.database.read(schedules.listed) if one.state == schedules.ACTIVE]
    for one in found:
        planned = PlannedRequest(
            text=one.text,
            person=one.person,
            surface=one.surface,
            repo=one.repo,
            lane=one.lane,
            parameters=one.parameters,
        )
        try:
            app.settings().people.named(one.person)
            await check(planned)
        except CountersignError as error:
            mend = f"{error.problem.mend} Or delete it: countersign unschedule {one.id}."
            checks.append(_warn(f"recurring request {one.id}", error.problem.message, mend.strip()))
    if found and not checks:
        checks.append(_ok("recurring requests", f"{len(found)}, each can succeed"))
    return checks


def _python() -> DoctorRow:
    return _ok("python", sys.version.split()[0])


def _git() -> DoctorRow:
    from lanes.repository.command import check_git

    try:
        check_git()
    except CountersignError as error:
        return _bad("git", error.problem)
    return _ok("git", shutil.which("git") or "git")


def _disk(home: Home) -> DoctorRow:
    free_mib = shutil.disk_usage(home.root).free // 2**20
    if free_mib < LOW_DISK_MIB:
        return _warn("disk", f"only {free_mib} MiB free at {home.root}", "Free some space before requests are refused.")
    return _ok("disk", f"{free_mib:,} MiB free")


def _rights(home: Home) -> DoctorRow:
    if os.name != "posix" or not home.state.exists():
        return _ok("rights", "not checked on this system")
    mode = home.state.stat().st_mode & 0o777
    if mode & 0o077:
        return _warn("rights", f"{home.state} may be read by others ({mode:o})", f"chmod 700 {home.state}")
    return _ok("rights", f"{home.state} is the owner's alone")


async def _database(app: App) -> DoctorRow:
    from core.store.migrate import HEAD

    if app.location.file is None:
        return _ok("database", f"PostgreSQL at schema {HEAD}")

    async def probe(session: Any) -> str:
        from core.store.database import quick_check

        return await quick_check(session)

    found = await app.database.read(probe)
    if found != "ok":
        return _bad_text("database", f"{app.location.file}: {found}", "Restore a backup; do not write to it.")
    return _ok("database", f"{app.location.file.name} at schema {HEAD}, sound")


def _key(app: App) -> DoctorRow:
    from core.signing import Keys

    try:
        keys = Keys(app.home.keys)
        keys.open(keys.sign(b"doctor", "text/plain"))
    except CountersignError as error:
        return _bad("signing key", error.problem)
    return _ok("signing key", "signs and verifies")


def _sandboxes(app: App) -> list[DoctorRow]:
    """bubblewrap, and what else a lane asks for."""
    kinds = {"bwrap": None} | dict.fromkeys(lane.isolation.kind for lane in app.settings().lanes.values())
    return [_sandbox(app, kind) for kind in kinds]


def _sandbox(app: App, kind: str) -> DoctorRow:
    found = app.sandboxes().get(kind)
    name = "sandbox" if kind == "bwrap" else f"sandbox {kind}"
    if isinstance(found, Problem):
        return _warn(name, found.message, str(found.mend))
    return _ok(name, f"{kind} starts; {found.memory_accounting}")


def _policy(app: App) -> list[DoctorRow]:
    from bot.configuration.live_settings import load_all
    from policies.rules import warnings

    _, config, rules = load_all(app.home)
    warned = [_warn("policy", text, "Edit policy.yaml or countersign.yaml.") for text in warnings(rules, config.people)]
    return warned or [_ok("policy", f"{len(rules.rules)} rules, each can be satisfied")]


def _lanes(app: App, broken: Mapping[str, str]) -> list[DoctorRow]:
    """A row for each lane; `broken` are the names of rows of plugins, with the mend of each."""
    from lanes.wiring import missing_executor_problem

    checks: list[DoctorRow] = []
    try:
        have = app.executors()
    except CountersignError as error:
        return [_bad("executors", error.problem)]
    for lane in app.settings().lanes.values():
        executor = have.get(lane.executor)
        problem = missing_executor_problem(lane.executor) if executor is None else executor.unavailable(lane)
        name = f"lane {lane.name}"
        if (row := f"plugin executors/{lane.executor}") in broken:
            checks.append(_warn(name, f"its executor cannot be used: see {row}", broken[row]))
            continue
        checks.append(_warn(name, problem.message, str(problem.mend)) if problem else _ok(name, lane.describe))
    return checks


async def _models(app: App) -> list[DoctorRow]:
    try:
        models = app.config.models()
    except CountersignError:  # its row says so already
        return []
    if not models.endpoints:
        return []
    from bot.operations.doctor_models import model_checks

    return await model_checks(models, app.settings().lanes.values())


def _plugins_alone(home: Home) -> list[DoctorRow]:
    """The rows of the plugins where the rest of the configuration is not sound, as far as it says which they are."""
    from bot.configuration.config import load_config
    from bot.plugins.load import Plugins

    try:
        return Plugins(load_config(home.config).plugins, home.state).rows()
    except CountersignError:
        return []


async def _repository(app: App, name: str) -> DoctorRow:
    def reach() -> Awaitable[str]:
        return app.repository(name).fetch_base()

    return await _tried(f"repository {name}", reach, lambda base: f"reachable, its branch is at {base[:12]}")


async def _surfaces(app: App) -> list[DoctorRow]:
    """What each configured surface says of itself, and whether `serve` found it down."""
    from bot.wiring.surfaces import surfaces_of

    checks: list[DoctorRow] = []
    try:
        said = app.config.surfaces()
    except CountersignError:  # its row says so already
        return []
    if said.github is not None and said.github.webhook_secret is None:
        mend = "Set COUNTERSIGN_GITHUB_WEBHOOK_SECRET, or name a webhook_secret_file; or say `comments: false`."
        checks.append(_warn("github comments", "nobody is heard there: the webhooks have no secret", mend))
    try:
        found = await surfaces_of(app)
    except CountersignError as error:
        return [*checks, _bad("surfaces", error.problem)]
    for name, surface in found.items():
        checks.extend(await surface_checks(name, surface))
        checks.extend(await _seen_down(app, name))
    return checks


async def surface_checks(name: str, surface: Surface) -> list[DoctorRow]:
    """What one surface says of itself; an answer of its platform that breaks us is a row like any other."""
    try:
        async with asyncio.timeout(SURFACE_S):
            rows = await surface.check()
    except TimeoutError:
        return [_bad_text(name, f"did not answer within {SURFACE_S:g} s", "Look at the network.")]
    except CountersignError as error:
        return [_bad(name, error.problem)]
    except Exception as error:  # noqa: BLE001 - an odd answer must not end the other checks
        return [_odd(name, error)]
    finally:
        await surface.close()
    return [
        {"name": row["check"], "verdict": row["verdict"], "detail": row["detail"], "mend": row["mend"]} for row in rows
    ]


async def _seen_down(app: App, name: str) -> list[DoctorRow]:
    from core.store import switches

    found = await app.database.read(lambda session: switches.value_of(session, f"surface.{name}"))
    if found is None or found.get("up"):
        return []
    problem = Problem.from_json(found["problem"])
    return [_warn(f"{name} in serve", f"down: {problem.message}", str(problem.mend) or "It is tried again by itself.")]


async def _queue(app: App) -> list[DoctorRow]:
    from bot.operations.stats import gather

    found = await gather(app, None)
    checks = []
    if found["paused"]:
        reason = found["paused"].get("reason") or "no reason given"
        checks.append(_warn("queue", f"paused: {reason}", "Let it run with `countersign resume`."))
    waiting = sum(found["jobs"].values())
    if waiting and not found["workers"]:
        checks.append(
            _warn("workers", f"{waiting} jobs wait and no worker runs", "Start one with `countersign serve`.")
        )
    else:
        checks.append(_ok("workers", f"{len(found['workers'])} running, {waiting} jobs waiting"))
    return checks


async def _tried(name: str, work: Callable[[], Awaitable[str]], say: Callable[[str], str]) -> DoctorRow:
    try:
        return _ok(name, say(await work()))
    except CountersignError as error:
        return _bad(name, error.problem)


def _odd(name: str, error: Exception) -> DoctorRow:
    """An answer that breaks us; its words may be people's, so only its place is named."""
    from core.log import fault_of

    found = fault_of(error)
    mend = "The platform's answer is not as expected; see whether a newer version of Countersign reads it."
    return _bad_text(name, f"could not be looked at: {found['why']} at {found['at']}", mend)


def _ok(name: str, detail: str) -> DoctorRow:
    return {"name": name, "verdict": "ok", "detail": detail, "mend": ""}


def _warn(name: str, detail: str, mend: str) -> DoctorRow:
    return {"name": name, "verdict": "warn", "detail": detail, "mend": mend}


def _bad(name: str, problem: Problem) -> DoctorRow:
    return _bad_text(name, problem.message, str(problem.mend))


def _bad_text(name: str, detail: str, mend: str) -> DoctorRow:
    return {"name": name, "verdict": "fail", "detail": detail, "mend": mend}
