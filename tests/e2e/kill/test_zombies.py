"""A worker that was stopped past its lease wakes up: its heir did the work, and nothing it writes counts (F26)."""

from __future__ import annotations

import os
from multiprocessing.process import BaseProcess
from signal import SIGCONT, SIGSTOP

import pytest

from core.model.job import JobState
from core.model.lifecycle import State
from core.store import queue_queries
from tests import campaign
from tests.e2e.kill.scene import TEXT, Scene, answer, carry, check, rows_of, until
from tests.e2e.kill.stages import FRESH, STAGED
from tests.e2e.kill.test_points import approved, asked, way_to
from tests.killer import FALLEN

pytestmark = [pytest.mark.queue, campaign.EITHER]

BEFORE_A_WRITE = (
    *("plan.before_planned", "change.fetched", "change.produced", "change.judged", "change.before_staged"),
    *("publish.committed", "publish.pushed", "publish.signed", "publish.before_published"),
    *("merge.looked", "merge.before_merged", "close.loaded"),
)


async def stopped_at(scene: Scene, point: str) -> BaseProcess:
    """A worker that sleeps at `point`, past its lease."""
    worker = scene.begin("worker", at=point, signal=SIGSTOP)
    await until(lambda: answer(point in scene.points()), f"a worker at {point}", scene)
    await scene.lease_over(worker)
    return worker


def wake(worker: BaseProcess) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, SIGCONT)


@pytest.mark.parametrize("point", BEFORE_A_WRITE)
async def test_a_zombie_changes_nothing(point, stages, scene_at):
    way = way_to(point)
    scene = scene_at(way.stage)
    async with scene.office() as app:
        await way.prepare(scene, app)
        zombie = await stopped_at(scene, point)
        heir = scene.begin("worker", steady=True)
        task = await carry(app, scene, way.goal)
        await scene.dismiss(heir)
        before = scene.refs(), await rows_of(app)
        wake(zombie)
        assert await scene.over(zombie) == FALLEN, scene.told()
        assert (scene.refs(), await rows_of(app)) == before
        await check(app, scene, task, digest=stages.digest)


@pytest.mark.parametrize("point", ["plan.loaded", "change.judged"])
async def test_what_a_zombie_leaves_behind_does_not_mislead_its_heir(point, stages, scene_at):
    scene = scene_at(FRESH)
    async with scene.office() as app:
        await asked(TEXT)(scene, app)
        zombie = await stopped_at(scene, point)
        sweeper = scene.begin("sweeper")

        async def rescued() -> bool:
            return [j.state for j in await app.database.read(lambda s: queue_queries.active_of(s, 1))] == [
                JobState.READY
            ]

        await until(rescued, "the rescue of its job", scene)
        wake(zombie)
        assert await scene.over(zombie) == FALLEN, scene.told()
        heir = scene.begin("worker", steady=True)
        task = await carry(app, scene, State.PUBLISHED)
        await scene.dismiss(heir, sweeper)
        await check(app, scene, task, digest=stages.digest)


@pytest.mark.parametrize(("first", "second"), [("publish.committed", "publish.pushed"), ("publish.pushed",) * 2])
async def test_a_zombie_that_wakes_in_the_middle_of_its_heirs_work_leaves_it_alone(first, second, stages, scene_at):
    scene = scene_at(STAGED)
    async with scene.office() as app:
        await approved(scene, app)
        zombie = await stopped_at(scene, first)
        count = scene.points().count(second)
        heir = scene.begin("worker", at=second, signal=SIGSTOP, steady=True)
        await until(lambda: answer(scene.points().count(second) > count), f"the heir at {second}", scene)
        refs = scene.refs()
        wake(zombie)
        assert await scene.over(zombie) == FALLEN, scene.told()
        assert scene.refs() == refs
        wake(heir)
        task = await carry(app, scene, State.PUBLISHED)
        await scene.dismiss(heir)
        await check(app, scene, task, digest=stages.digest)
