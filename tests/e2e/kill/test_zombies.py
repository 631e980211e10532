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
from tests.e2e.kill.stages import FRESH, STAGED
from tests.e2e.kill.test_points import approved, asked, way_to
from tests.e2e.kill.trial import TEXT, KillTrial, answer, carry, check, rows_of, until
from tests.killer import FALLEN

pytestmark = [pytest.mark.queue, campaign.EITHER]

BEFORE_A_WRITE = (
    *("plan.before_planned", "change.fetched", "change.produced", "change.judged", "change.before_staged"),
    *("publish.committed", "publish.pushed", "publish.signed", "publish.before_published"),
    *("merge.looked", "merge.before_merged", "close.loaded"),
)


async def stopped_at(trial: KillTrial, point: str) -> BaseProcess:
    """A worker that sleeps at `point`, past its lease."""
    worker = trial.begin("worker", at=point, signal=SIGSTOP)
    await until(lambda: answer(point in trial.points()), f"a worker at {point}", trial)
    await trial.lease_over(worker)
    return worker


def wake(worker: BaseProcess) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, SIGCONT)


@pytest.mark.parametrize("point", BEFORE_A_WRITE)
async def test_a_zombie_changes_nothing(point, stages, trial_at):
    way = way_to(point)
    trial = trial_at(way.stage)
    async with trial.opened_app() as app:
        await way.prepare(trial, app)
        zombie = await stopped_at(trial, point)
        heir = trial.begin("worker", steady=True)
        task = await carry(app, trial, way.goal)
        await trial.dismiss(heir)
        before = trial.refs(), await rows_of(app)
        wake(zombie)
        assert await trial.over(zombie) == FALLEN, trial.told()
        assert (trial.refs(), await rows_of(app)) == before
        await check(app, trial, task, digest=stages.digest)


@pytest.mark.parametrize("point", ["plan.loaded", "change.judged"])
async def test_what_a_zombie_leaves_behind_does_not_mislead_its_heir(point, stages, trial_at):
    trial = trial_at(FRESH)
    async with trial.opened_app() as app:
        await asked(TEXT)(trial, app)
        zombie = await stopped_at(trial, point)
        sweeper = trial.begin("sweeper")

        async def rescued() -> bool:
            return [j.state for j in await app.database.read(lambda s: queue_queries.active_of(s, 1))] == [
                JobState.READY
            ]

        await until(rescued, "the rescue of its job", trial)
        wake(zombie)
        assert await trial.over(zombie) == FALLEN, trial.told()
        heir = trial.begin("worker", steady=True)
        task = await carry(app, trial, State.PUBLISHED)
        await trial.dismiss(heir, sweeper)
        await check(app, trial, task, digest=stages.digest)


@pytest.mark.parametrize(("first", "second"), [("publish.committed", "publish.pushed"), ("publish.pushed",) * 2])
async def test_a_zombie_that_wakes_in_the_middle_of_its_heirs_work_leaves_it_alone(first, second, stages, trial_at):
    trial = trial_at(STAGED)
    async with trial.opened_app() as app:
        await approved(trial, app)
        zombie = await stopped_at(trial, first)
        count = trial.points().count(second)
        sweeper = trial.begin("sweeper")
        heir = trial.begin("worker", at=second, signal=SIGSTOP, steady=True)
        await until(lambda: answer(trial.points().count(second) > count), f"the heir at {second}", trial)
        refs = trial.refs()
        wake(zombie)
        assert await trial.over(zombie) == FALLEN, trial.told()
        assert trial.refs() == refs
        wake(heir)
        task = await carry(app, trial, State.PUBLISHED)
        await trial.dismiss(heir, sweeper)
        await check(app, trial, task, digest=stages.digest)
