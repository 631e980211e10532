"""Faults other than a kill: the engine's own state lost or damaged, and a PostgreSQL that goes away in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import psycopg
import pytest
from sqlalchemy import text

from core.model.lifecycle import State
from tests.e2e.kill.stages import Stages
from tests.e2e.kill.test_points import way_to
from tests.e2e.kill.trial import KillTrial, answer, carry, check, until

pytestmark = pytest.mark.queue

POINTS = ("change.fetched", "change.kept", "publish.pushed", "merge.forge_merged")
DOWN_AT = ("plan.loaded", "change.before_staged", "publish.before_published")


def deleted(file: Path) -> None:
    file.unlink()


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def overwritten(file: Path) -> None:
    file.write_bytes(b"not a database at all" * 1000)


def damaged(file: Path) -> None:
    """Every page but the first few is noise, so it opens and then fails."""
    raw = file.read_bytes()
    file.write_bytes(raw[: 4 * 4096] + b"\xff" * (len(raw) - 4 * 4096))
    file.with_name(file.name + "-wal").unlink(missing_ok=True)


def engine_file(trial: KillTrial) -> Path:
    return trial.home.root / "state" / "engine.sqlite"


async def killed_then(trial: KillTrial, stages: Stages, point: str, ruin: Callable[[], None]) -> None:
    """A worker is killed at `point`, its engine's state is ruined, and the next worker must still get there."""
    way = way_to(point)
    async with trial.opened_app() as app:
        await way.prepare(trial, app)
        await trial.fell(trial.begin("worker", at=point))
        ruin()
        heir = trial.begin("worker", steady=True)
        task = await carry(app, trial, way.goal)
        await trial.dismiss(heir)
        await check(app, trial, task, digest=stages.digest)


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    ("point", "ruin"),
    [*zip(POINTS, (deleted, emptied, overwritten, damaged), strict=True), ("publish.pushed", damaged)],
)
async def test_work_goes_on_without_the_engines_file(point, ruin, stages, trial_at):
    trial = trial_at(way_to(point).stage)
    await killed_then(trial, stages, point, lambda: ruin(engine_file(trial)))


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("point", POINTS)
async def test_work_goes_on_without_the_engines_schema(point, stages, trial_at):
    trial = trial_at(way_to(point).stage)

    def drop() -> None:
        with psycopg.connect(stages.url(trial), autocommit=True) as connection:
            connection.execute("DROP SCHEMA dbos CASCADE")

    await killed_then(trial, stages, point, drop)


@pytest.mark.parametrize("dialect", [pytest.param("postgresql", marks=pytest.mark.postgres)])
async def test_a_suspended_transaction_does_not_keep_its_locks(database):
    async def work(tx):
        connection = await tx.session.connection()
        return (await connection.execute(text("SHOW idle_in_transaction_session_timeout"))).scalar_one()

    assert await database.read(work) == "15s"


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("point", DOWN_AT)
async def test_a_worker_outlives_a_restart_of_its_server(point, stages, trial_at, cluster):
    way = way_to(point)
    trial = trial_at(way.stage)
    async with trial.opened_app() as app:
        await way.prepare(trial, app)
        worker = trial.begin("worker", at=point, signal=SIGSTOP, steady=True)
        await until(lambda: answer(point in trial.points()), f"a worker at {point}", trial)
    cluster.stop()
    try:
        assert worker.pid is not None
        os.kill(worker.pid, SIGCONT)
        await until(lambda: answer("_missed" in trial.told() or "_failed" in trial.told()), "a complaint", trial)
    finally:
        cluster.start()
    async with trial.opened_app() as app:
        task = await carry(app, trial, State.PUBLISHED)
        await trial.dismiss(worker)
        await check(app, trial, task, digest=stages.digest)
