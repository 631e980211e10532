"""kill -9 at every point between two effects: nothing lost, nothing twice, one digest, no finished run repeated."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from bot.wiring.app import App
from core.model.event import broken_link
from core.model.job import JobKind
from core.model.lifecycle import State
from core.services.requests import NewRequest
from core.store import events
from tests import campaign
from tests.e2e.kill.points import all_points
from tests.e2e.kill.stages import FRESH, PUBLISHED, STAGED
from tests.e2e.kill.trial import ANA, BRANCHES, LEE, OPERATOR, PULLS, TEXT, KillTrial, carry, check, look

pytestmark = [pytest.mark.queue, campaign.EITHER]

Prepare = Callable[[KillTrial, App], Awaitable[None]]


def asked(text: str) -> Prepare:
    async def prepare(_: KillTrial, app: App) -> None:
        await app.requests.ask(NewRequest(text=text, actor=ANA, repo="web"))

    return prepare


async def approved(_: KillTrial, app: App) -> None:
    task, _busy = await look(app)
    assert task.staged is not None
    await app.approvals.approve(1, task.staged.digest, LEE)


async def merge_asked(_: KillTrial, app: App) -> None:
    await app.requests.merge(1, OPERATOR)


async def close_asked(_: KillTrial, app: App) -> None:
    await app.requests.undo(1, OPERATOR)


async def repository_renamed(trial: KillTrial, app: App) -> None:
    await asked(TEXT)(trial, app)
    edit(trial, "countersign.yaml", "  web: {", "  site: {")


async def rule_tightened(trial: KillTrial, app: App) -> None:
    await approved(trial, app)
    edit(trial, "policy.yaml", "approvals: {count: 1,", "approvals: {count: 2,")


async def branch_taken(trial: KillTrial, app: App) -> None:
    await approved(trial, app)
    trial.home.git("update-ref", "refs/heads/countersign/1-set-server-timeout-to-30-in-config-app-y", "main")


async def branch_moved(trial: KillTrial, app: App) -> None:
    await merge_asked(trial, app)
    trial.home.git("update-ref", next(iter(trial.refs(BRANCHES))), "main")


async def branch_deleted(trial: KillTrial, app: App) -> None:
    await merge_asked(trial, app)
    trial.home.git("update-ref", "-d", next(iter(trial.refs(BRANCHES))))


async def record_deleted(trial: KillTrial, app: App) -> None:
    await close_asked(trial, app)
    trial.home.git("update-ref", "-d", next(iter(trial.refs(PULLS))))


def edit(trial: KillTrial, name: str, old: str, new: str) -> None:
    file = trial.home.root / name
    said = file.read_text()
    assert old in said
    file.write_text(said.replace(old, new))


@dataclass(frozen=True, slots=True)
class Way:
    """How a worker comes to a point: from which stage, after what, and where the task must rest in the end."""

    stage: str
    prepare: Prepare
    goal: State


PLAIN = {
    JobKind.PLAN: Way(FRESH, asked(TEXT), State.PUBLISHED),
    JobKind.CHANGE: Way(FRESH, asked(TEXT), State.PUBLISHED),
    JobKind.PUBLISH: Way(STAGED, approved, State.PUBLISHED),
    JobKind.MERGE: Way(PUBLISHED, merge_asked, State.MERGED),
    JobKind.CLOSE: Way(PUBLISHED, close_asked, State.CLOSED),
}
BODY = base64.b64encode(hashlib.sha512(b"a key of no one").digest()).decode()
SECRET = "-----BEGIN " + f"RSA PRIVATE KEY----- {BODY}"  # in two parts, for those who scan sources
TROUBLED = {
    "plan.unclear": Way(FRESH, asked("make it nicer"), State.ASKING),
    "plan.denied": Way(FRESH, asked("set on to pull in .github/workflows/ci.yml"), State.REFUSED),
    "plan.failed": Way(FRESH, repository_renamed, State.FAILED),
    "change.blocked": Way(FRESH, asked(f'create config/key.ini with "{SECRET}"'), State.REFUSED),
    "change.failed": Way(FRESH, asked("set server.timeout to 10 in config/app.yaml"), State.FAILED),
    "publish.voided": Way(STAGED, rule_tightened, State.STAGED),
    "publish.failed": Way(STAGED, branch_taken, State.FAILED),
    "merge.closed": Way(PUBLISHED, branch_deleted, State.CLOSED),
    "merge.failed": Way(PUBLISHED, branch_moved, State.PUBLISHED),
    "close.failed": Way(PUBLISHED, record_deleted, State.PUBLISHED),
}
"""The ends of a job that need some trouble first; each has a point before and a point after its commit."""

PERSON = ("ask.received", "ask.committed", "approve.received", "approve.committed", "reply.received", "reply.committed")
SMOOTH = (
    *("plan.claimed", "plan.loaded", "plan.before_planned", "plan.planned"),
    *("change.claimed", "change.started", "change.fetched", "change.produced", "change.kept"),
    *("change.compared", "change.held", "change.judged", "change.before_staged", "change.staged"),
    *("publish.claimed", "publish.counted", "publish.committed", "publish.pushed", "publish.opened"),
    *("publish.signed", "publish.before_published", "publish.published"),
    *("merge.claimed", "merge.looked", "merge.forge_merged", "merge.before_merged", "merge.merged"),
    *("close.claimed", "close.loaded", "close.forge_closed", "close.before_closed", "close.closed"),
)
BESIDE_AN_EFFECT = (
    *("plan.before_planned", "change.produced", "change.kept", "change.held", "change.before_staged"),
    *("publish.committed", "publish.pushed", "publish.opened", "publish.signed", "publish.before_published"),
    *("merge.forge_merged", "merge.before_merged", "close.forge_closed"),
)
"""Where something was done that no row of ours says yet; where two work at once these are the ones that matter."""
QUIET = tuple(point for point in SMOOTH if point not in BESIDE_AN_EFFECT)
"""All others: where one works alone, `make test` leaves those beside an effect to the test of two."""
AT_GITHUB = (
    *("follow.claimed", "follow.before_followed", "follow.followed", "follow.before_merge_asked", "follow.merge_asked"),
    *("follow.before_merged", "follow.merged", "follow.before_closed", "follow.closed"),
    *("follow.before_failed", "follow.failed"),
)
"""Points that only a forge has where others act too; `test_github` kills there."""
WITH_A_MODEL = ("read.claimed", "plan.before_cancelled", "plan.cancelled")
"""Points that only a model's reading has; `test_readings` kills there."""
WITH_A_BUDGET = ("change.before_paused", "change.paused", "extend.received", "extend.committed")
"""Points that only work with a used-up budget has; `test_budgets` kills there."""
ROUGH = tuple(f"{kind}.{when}{fact}" for kind, fact in (end.split(".") for end in TROUBLED) for when in ("before_", ""))


def test_every_point_in_the_code_is_killed_here():
    assert {*PERSON, *SMOOTH, *ROUGH, *AT_GITHUB, *WITH_A_MODEL, *WITH_A_BUDGET} == all_points()


def way_to(point: str) -> Way:
    return PLAIN[JobKind(point.split(".", maxsplit=1)[0])]


@pytest.mark.parametrize("point", SMOOTH if campaign.WHOLE else QUIET)
async def test_the_next_worker_goes_on_where_one_was_killed(point, stages, trial_at):
    way = way_to(point)
    trial = trial_at(way.stage)
    async with trial.opened_app() as app:
        await way.prepare(trial, app)
        await trial.fell(trial.begin("worker", at=point))
        heir = trial.begin("worker", steady=True)
        task = await carry(app, trial, way.goal)
        await trial.dismiss(heir)
        await check(app, trial, task, digest=stages.digest)


@pytest.mark.parametrize("point", SMOOTH if campaign.WHOLE else BESIDE_AN_EFFECT)
async def test_of_two_workers_one_is_killed_and_the_other_takes_over(point, stages, trial_at):
    way = way_to(point)
    trial = trial_at(way.stage)
    async with trial.opened_app() as app:
        await way.prepare(trial, app)
        both = [trial.begin("worker", at=point, once=trial.home.folder / "once", steady=True) for _ in range(2)]
        survivor = await trial.survivor(*both)
        task = await carry(app, trial, way.goal)
        await trial.dismiss(survivor)
        await check(app, trial, task, digest=stages.digest)


@pytest.mark.parametrize("point", ROUGH)
async def test_a_job_that_ends_badly_ends_so_once(point, trial_at):
    kind, fact = point.replace("before_", "").split(".")
    way = TROUBLED[f"{kind}.{fact}"]
    trial = trial_at(way.stage)
    async with trial.opened_app() as app:
        await way.prepare(trial, app)
        await trial.fell(trial.begin("worker", at=point))
        heir = trial.begin("worker", steady=True)
        task = await carry(app, trial, way.goal)
        await trial.dismiss(heir)
        chain = await app.database.read(lambda tx: events.chain_of(tx, task.number))
        assert broken_link(chain) is None
        assert [event.kind for event in chain].count(f"task.{fact}") == 1
        assert task.error is not None or fact == "closed"


@pytest.mark.parametrize("point", ["ask.received", "ask.committed"])
async def test_a_request_that_is_sent_again_is_one_request(point, stages, trial_at):
    trial = trial_at(FRESH)
    async with trial.opened_app() as app:
        await trial.fell(trial.begin("ask", "ana", TEXT, "message-1", at=point))
        assert await trial.over(trial.begin("ask", "ana", TEXT, "message-1")) == 0
        worker = trial.begin("worker", steady=True)
        task = await carry(app, trial, State.PUBLISHED)
        await trial.dismiss(worker)
        await check(app, trial, task, digest=stages.digest)


@pytest.mark.parametrize("point", ["approve.received", "approve.committed"])
async def test_a_click_that_is_made_again_is_one_decision(point, stages, trial_at):
    trial = trial_at(STAGED)
    async with trial.opened_app() as app:
        await trial.fell(trial.begin("approve", "lee", 1, stages.digest, at=point))
        again = await app.approvals.approve(1, stages.digest, LEE)
        assert (again.problem is None) == (point == "approve.received")
        worker = trial.begin("worker", steady=True)
        task = await carry(app, trial, State.PUBLISHED)
        await trial.dismiss(worker)
        await check(app, trial, task, digest=stages.digest)


@pytest.mark.parametrize("point", ["reply.received", "reply.committed"])
async def test_a_reply_that_is_sent_again_is_one_revision(point, trial_at):
    trial = trial_at(STAGED)
    said = ("ana", 1, "set server.host to b in config/app.yaml", "message-2")
    async with trial.opened_app() as app:
        await trial.fell(trial.begin("reply", *said, at=point))
        assert await trial.over(trial.begin("reply", *said)) == 0
        worker = trial.begin("worker", steady=True)
        task = await carry(app, trial, State.PUBLISHED)
        await trial.dismiss(worker)
        assert task.revision == 2
        await check(app, trial, task)
