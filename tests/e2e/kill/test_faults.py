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
from tests.e2e.kill.scene import Scene, answer, carry, check, until
from tests.e2e.kill.stages import Stages
from tests.e2e.kill.test_points import way_to

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


def engine_file(scene: Scene) -> Path:
    return scene.home.root / "state" / "engine.sqlite"


async def killed_then(scene: Scene, stages: Stages, point: str, ruin: Callable[[], None]) -> None:
    """A worker is killed at `point`, its engine's state is ruined, and the next worker must still get there."""
    way = way_to(point)
    async with scene.office() as app:
        await way.prepare(scene, app)
        await scene.fell(scene.begin("worker", at=point))
        ruin()
        heir = scene.begin("worker", steady=True)
        task = await carry(app, scene, way.goal)
        await scene.dismiss(heir)
        await check(app, scene, task, digest=stages.digest)


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    ("point", "ruin"),
    [*zip(POINTS, (deleted, emptied, overwritten, damaged), strict=True), ("publish.pushed", damaged)],
)
async def test_work_goes_on_without_the_engines_file(point, ruin, stages, scene_at):
    scene = scene_at(way_to(point).stage)
    await killed_then(scene, stages, point, lambda: ruin(engine_file(scene)))


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("point", POINTS)
async def test_work_goes_on_without_the_engines_schema(point, stages, scene_at):
    scene = scene_at(way_to(point).stage)

    def drop() -> None:
        with psycopg.connect(stages.url(scene), autocommit=True) as connection:
            connection.execute("DROP SCHEMA dbos CASCADE")

    await killed_then(scene, stages, point, drop)


@pytest.mark.parametrize("dialect", [pytest.param("postgresql", marks=pytest.mark.postgres)])
async def test_a_suspended_transaction_does_not_keep_its_locks(database):
    async def work(tx):
        connection = await tx.session.connection()
        return (await connection.execute(text("SHOW idle_in_transaction_session_timeout"))).scalar_one()

    assert await database.read(work) == "15s"


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("point", DOWN_AT)
async def test_a_worker_outlives_a_restart_of_its_server(point, stages, scene_at, cluster):
    way = way_to(point)
    scene = scene_at(way.stage)
    async with scene.office() as app:
        await way.prepare(scene, app)
        worker = scene.begin("worker", at=point, signal=SIGSTOP, steady=True)
        await until(lambda: answer(point in scene.points()), f"a worker at {point}", scene)
    cluster.stop()
    try:
        assert worker.pid is not None
        os.kill(worker.pid, SIGCONT)
        await until(lambda: answer("_missed" in scene.told() or "_failed" in scene.told()), "a complaint", scene)
    finally:
        cluster.start()
    async with scene.office() as app:
        task = await carry(app, scene, State.PUBLISHED)
        await scene.dismiss(worker)
        await check(app, scene, task, digest=stages.digest)
