"""The worker on the real engine: from a sentence to a merge, through every kind of trouble on the way."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from core.jobs.job_context import JobContext
from core.jobs.pull_request_text import branch_of
from core.model.errors import Kind, PermanentError, Problem, TransientError
from core.model.job import JobState
from core.model.lifecycle import State
from core.model.placement import NodeView
from core.model.stored import StoredObject
from core.model.turn import Question
from core.queue.heartbeat import DeclaredDeadError
from core.rules import receipt
from core.store import artifacts, jobs, queue_queries, switches, workers
from core.store.database import from_ms
from tests import builders, campaign
from tests.builders import ANA, LEE, MAX, people
from tests.clock import timed
from tests.workbench import Workbench, eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]

SOON = {"retry_after_s": 0.05}


@pytest.fixture
def bench(bench: Workbench) -> Workbench:
    """A bench whose worker runs on the real engine."""
    bench.durable = True
    return bench


def gone(**others) -> TransientError:
    return TransientError("forge_down", "the forge does not answer", **others)


# ---- the straight way


async def test_a_request_goes_from_a_sentence_to_a_pull_request(bench):
    number = await bench.ask("config/app.yaml = a: 1")
    await bench.drain()
    staged = await bench.task(number)
    assert staged.state is State.STAGED
    assert (staged.current.lane, staged.current.rule) == ("config", "small-changes")
    assert [file["path"] for file in staged.staged.files] == ["config/app.yaml"]
    assert staged.expires_at is not None
    assert bench.forge.branches == {}, "nothing reaches the forge before the approval"

    await bench.approvals.approve(number, staged.staged.digest, LEE)
    await bench.drain()
    task = await bench.task(number)
    assert task.state is State.PUBLISHED
    assert task.pull_request == bench.forge.pulls[task.pull_request.branch]
    pushed = bench.repository.commits[bench.forge.branches[task.pull_request.branch]]
    assert (pushed.tree, pushed.parent) == (staged.staged.tree, staged.staged.base)
    assert "Countersigned-by: lee" in pushed.message
    assert await bench.kinds(number) == [
        "task.requested",
        "task.planned",
        "task.started",
        "task.staged",
        "task.approved",
        "task.published",
    ]
    assert await bench.owed(number) == []


async def test_what_was_made_and_said_is_kept_with_the_task(bench):
    number = await bench.publish()
    kept = {a.name: a for a in await bench.database.read(lambda tx: artifacts.of_task(tx, number))}
    assert {"transcript.txt", "change.patch", "receipt.json"} <= set(kept)
    task = await bench.task(number)
    said = receipt.read(bench.keys, await bench.files.read(kept["receipt.json"].sha256))
    assert said["staged"]["digest"] == task.staged.digest
    assert [a["person"] for a in said["approvals"]] == ["lee"]
    assert said["published"] == {
        "branch": task.pull_request.branch,
        "head": task.pull_request.head,
        "tree": task.staged.tree,
    }


async def test_a_published_task_is_merged_and_undone_through_the_same_gate(bench):
    number = await bench.publish()
    await bench.requests.merge(number, LEE)
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.pull_request.state) == (State.MERGED, "merged")
    assert bench.repository.trees[await bench.repository.tree_of(bench.repository.main)].keys() == {
        "README.md",
        "config/app.yaml",
    }
    undo = await bench.requests.undo(number, ANA)
    await bench.drain()
    reverting = await bench.task(undo)
    assert reverting.state is State.STAGED
    assert [(file["path"], file["status"]) for file in reverting.staged.files] == [("config/app.yaml", "D")]


async def test_undoing_what_is_published_closes_its_pull_request(bench):
    number = await bench.publish()
    await bench.requests.undo(number, ANA)
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.pull_request.state) == (State.CLOSED, "closed")
    assert bench.forge.pulls[task.pull_request.branch].state == "closed"


async def test_a_reply_continues_the_published_work_in_the_same_pull_request(bench):
    number = await bench.publish("config/a.yaml = a: 1")
    first = (await bench.task(number)).pull_request
    await bench.requests.reply(number, "config/b.yaml = b: 2", ANA)
    await bench.drain()
    staged = (await bench.task(number)).staged
    assert [file["path"] for file in staged.files] == ["config/a.yaml", "config/b.yaml"]
    await bench.approvals.approve(number, staged.digest, LEE)
    await bench.drain()
    task = await bench.task(number)
    assert (task.pull_request.number, task.pull_request.branch) == (first.number, first.branch)
    assert task.pull_request.head != first.head
    assert (task.pull_request.revision, task.pull_request.digest) == (2, staged.digest)
    assert len(bench.forge.pulls) == 1


# ---- what is not done


async def test_what_policy_denies_is_refused_with_its_reason(bench):
    bench.policy.terms = None
    number = await bench.ask()
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code, task.error.message) == (
        State.REFUSED,
        "refused_by_policy",
        "no rule allows it",
    )
    assert bench.executor.runs == 0


async def test_what_the_guard_blocks_is_refused_with_every_finding_and_cannot_be_approved(bench):
    number = await bench.ask(".github/workflows/ci.yml = on: push")
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code, task.error.kind) == (State.REFUSED, "guard_blocked", Kind.BLOCKED)
    assert [finding.path for finding in task.staged.guard.blocks()] == [".github/workflows/ci.yml"]
    answer = await bench.approvals.approve(number, task.staged.digest, LEE)
    assert answer.problem.code == "wrong_state"


async def test_what_nobody_can_read_is_asked_about_and_the_answer_is_worked_on(bench):
    number = await bench.ask("make it nicer")
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.question.about) == (State.ASKING, "request")
    assert "PATH = CONTENT" in task.error.message
    await bench.requests.reply(number, "config/app.yaml = a: 1", ANA)
    await bench.drain()
    assert await bench.state(number) is State.STAGED


async def test_a_question_of_the_policys_is_answered_by_a_word(bench):
    bench.configure(lanes={name: builders.lane(name) for name in ("config", "docs")})
    bench.policy.question = Question("lane", "Which lane?", ("config", "docs"))
    number = await bench.ask()
    await bench.drain()
    assert await bench.state(number) is State.ASKING
    await bench.requests.reply(number, "config", ANA)
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.current.lane) == (State.STAGED, "config")


async def test_a_request_that_changes_nothing_says_so(bench):
    number = await bench.ask("README.md = hello")
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "no_change")


async def test_a_lane_that_no_worker_can_run_is_refused(bench):
    bench.executor.wants = frozenset({"gpu"})
    bench.executor.problem = Problem(Kind.UNAVAILABLE, "no_gpu", "this host has no GPU", "Add a node that has one.")
    number = await bench.ask()
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code, task.error.kind) == (State.REFUSED, "no_gpu", Kind.REFUSED)
    await builders.put_worker(bench.database, "elsewhere", silent_s=-3600, offers=["gpu", "sandbox"])
    waits = await bench.ask()
    await bench.drain()
    assert await bench.state(waits) is State.QUEUED


async def test_a_lane_that_cannot_work_is_told_as_what_it_means_for_the_file(bench):
    bench.executor.problem = Problem(Kind.USAGE, "no_model", "lane config names no model", "Add one.")
    number = await bench.ask("requirements.yaml = a: 1")
    await bench.drain()
    error = (await bench.task(number)).error
    assert (error.code, error.kind) == ("no_model", Kind.REFUSED)
    assert error.message == "requirements.yaml is in no lane you may use now; lane config names no model"


async def test_work_for_another_node_is_left_to_it(bench):
    bench.executor.wants = frozenset({"gpu"})
    number = await bench.ask()
    await bench.drain()
    assert await bench.state(number) is State.QUEUED
    await bench.drain(node=NodeView("big", frozenset({"gpu", "sandbox"})))
    assert await bench.state(number) is State.STAGED


# ---- faults


async def test_a_fault_for_good_fails_the_task_with_what_to_tell(bench):
    def fail(_order):
        raise PermanentError("no_such_key", "there is no key a.b", "Name another.")

    bench.executor.before = fail
    number = await bench.ask()
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error) == (
        State.FAILED,
        Problem(Kind.FAILED, "no_such_key", "there is no key a.b", "Name another."),
    )
    assert bench.executor.runs == 1


async def test_a_stored_value_of_a_newer_version_fails_the_task_with_what_to_do(bench):
    def read_journal(_order):
        StoredObject({"v": 2}, "a model's turn", newest=1)

    bench.executor.before = read_journal
    number = await bench.ask()
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code, task.error.kind) == (State.FAILED, "unreadable_row", Kind.UNAVAILABLE)
    assert task.error.message.startswith("a newer Countersign wrote a model's turn of version 2")


async def test_a_fault_of_our_own_fails_the_task_and_not_the_worker(bench):
    def break_once(order):
        if order.number == 1:
            raise RuntimeError("unexpected")

    bench.executor.before = break_once
    broken, sound = await bench.ask(), await bench.ask()
    await bench.drain()
    task = await bench.task(broken)
    assert (task.state, task.error.code) == (State.FAILED, "bug")
    assert "RuntimeError: unexpected" in task.error.message
    assert await bench.state(sound) is State.STAGED


class UnwritableOnce(JobContext):
    """A job context that cannot record a failure at first, as happened with a name that no database accepts."""

    refused: list[str]
    why: Exception

    @classmethod
    def of(cls, context: JobContext, why: Exception) -> JobContext:
        """The same job context, which cannot record a failure at first."""
        copy = cls(**{field.name: getattr(context, field.name) for field in fields(context)})
        object.__setattr__(copy, "refused", [])
        object.__setattr__(copy, "why", why)
        return copy

    async def fail(self, job, problem):
        self.refused.append(problem.code)
        if len(self.refused) == 1:
            raise self.why
        await super().fail(job, problem)


@pytest.mark.parametrize(
    "why",
    [
        UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed"),
        PermanentError("database_error", "PostgreSQL: unsupported Unicode escape sequence"),
    ],
    ids=["python", "database"],
)
async def test_edits_c1_an_outcome_that_cannot_be_written_ends_the_task_and_is_not_tried_for_ever(bench, why):
    def refuse(_order):
        raise PermanentError("no_such_key", "there is no key a.b", "Name another.")

    bench.executor.before = refuse
    number = await bench.ask()
    worker = bench.worker()
    worker.runner.context = UnwritableOnce.of(worker.runner.context, why)
    await worker.run(drain=True)
    task = await bench.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "bug")
    assert f"could not record the outcome: {type(why).__name__}" in task.error.message
    assert await bench.owed(number) == []
    assert bench.executor.runs == 1


def test_a_problem_can_be_written_anywhere():
    problem = Problem(Kind.FAILED, "no", "caf\udce9 and \x00 and \ud800", "Say caf\udce9.")
    assert problem.sentence() == r"caf\xe9 and \x00 and \ud800. Say caf\xe9."
    assert Problem.from_json(problem.to_json()) == problem
    problem.sentence().encode()


async def test_a_passing_fault_is_tried_again_until_it_passes(bench):
    faults = [gone(**SOON), gone(**SOON)]

    def fail(_order):
        if faults:
            raise faults.pop()

    bench.executor.before = fail
    number = await bench.ask()
    assert await bench.work_until(number, State.STAGED, State.FAILED) is State.STAGED
    assert bench.executor.runs == 3
    assert (await bench.kinds(number))[2:] == [*["task.started", "task.rescheduled"] * 2, "task.started", "task.staged"]


async def test_a_passing_fault_without_advice_waits_ever_longer(bench):
    def fail(_order):
        raise gone()

    bench.executor.before = fail
    number = await bench.ask()
    await bench.drain()
    assert await bench.state(number) is State.QUEUED, "a wait keeps no worker"
    for attempt, at_least_s, at_most_s in ((2, 1.5, 2.5), (3, 3.0, 5.0)):
        (job,) = await builders.active_jobs(bench.database, number)
        now = datetime.now(UTC)
        assert (job.state, job.attempt) == (JobState.READY, attempt)
        assert job.ready_at - now < timedelta(seconds=at_most_s)
        began = await bench.database.read(
            lambda tx, i=job.id: tx.session.execute(text(f"SELECT claimed_ms FROM jobs WHERE id='{i}'"))
        )
        waits_s = job.ready_at.timestamp() - began.scalar_one() / 1000
        assert waits_s > at_least_s
        await make_ready(bench, job.id)
        await bench.drain()
    (queued,) = await bench.database.read(lambda tx: queue_queries.queued_of(tx, number))
    assert queued.problem == "the forge does not answer"


async def claimed_at(bench, job_id) -> datetime:
    statement = text(f"SELECT claimed_ms FROM jobs WHERE id = '{job_id}'")
    return from_ms((await bench.database.read(lambda tx: tx.session.execute(statement))).scalar_one())


async def make_ready(bench, job_id) -> None:
    statement = text(f"UPDATE jobs SET ready_ms = 0 WHERE id = '{job_id}'")
    await bench.database.write(lambda tx: tx.session.execute(statement))


@pytest.mark.parametrize("deaf", [False, True], ids=["before its effect", "after its effect, the answer lost"])
@pytest.mark.parametrize("call", [1, 2], ids=["push", "open"])
async def test_a_forge_that_fails_once_gets_one_branch_and_one_pull_request(bench, call, deaf):
    """Push and open look for their own earlier success (F9, F10, F12)."""
    number, digest = await bench.stage()
    await bench.approvals.approve(number, digest, LEE)

    def fail_then(point: str) -> None:
        if point == ("publish.committed" if call == 1 else "publish.pushed"):
            (bench.forge.deaf if deaf else bench.forge.faults).append(gone(**SOON))
            bench.milestones.at = None

    bench.milestones.at = fail_then
    assert await bench.work_until(number, State.PUBLISHED, State.FAILED) is State.PUBLISHED
    assert bench.forge.pushes == 1
    assert len(bench.forge.pulls) == len(bench.forge.branches) == 1
    assert not bench.forge.faults
    assert not bench.forge.deaf


async def test_a_branch_that_somebody_else_moved_is_not_overwritten(bench):
    number, digest = await bench.stage()
    await bench.approvals.approve(number, digest, LEE)
    branch = branch_of(await bench.task(number))
    bench.forge.branches[branch] = bench.repository.main
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "branch_moved")
    assert bench.forge.branches == {branch: bench.repository.main}
    assert bench.forge.pulls == {}


async def test_an_approval_that_no_longer_holds_publishes_nothing(bench):
    """The quorum is recounted at execution (46)."""
    number, digest = await bench.stage()
    await bench.approvals.approve(number, digest, LEE)
    bench.configure(people=people(ana="member", lee="member", max="maintainer"))
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code) == (State.STAGED, "approval_void")
    assert task.expires_at is not None
    assert bench.forge.branches == {}
    await bench.approvals.approve(number, digest, MAX)
    await bench.drain()
    assert await bench.state(number) is State.PUBLISHED


async def test_a_head_that_somebody_moved_is_not_merged(bench):
    """What is merged is what was countersigned (39)."""
    number = await bench.publish()
    branch = (await bench.task(number)).pull_request.branch
    bench.forge.branches[branch] = "f" * 40
    before = bench.repository.main
    await bench.requests.merge(number, LEE)
    await bench.drain()
    task = await bench.task(number)
    assert (task.state, task.error.code) == (State.PUBLISHED, "head_moved")
    assert bench.repository.main == before


# ---- the queue's order and its switches


async def test_nothing_is_claimed_while_the_queue_is_paused(bench):
    async def pause(value):
        await bench.database.write(lambda tx: switches.set_pause(timed(tx, 1), value, "lee"))

    number = await bench.ask()
    await pause({"reason": "upgrade", "by": "lee"})
    await bench.drain()
    assert await bench.state(number) is State.RECEIVED
    await pause(None)
    await bench.drain()
    assert await bench.state(number) is State.STAGED


async def test_a_task_that_comes_after_another_waits_for_it(bench):
    first, digest = await bench.stage("config/a.yaml = 1")
    second = await bench.ask("config/b.yaml = 2", after=first)
    await bench.drain()
    assert await bench.state(second) is State.QUEUED
    (job,) = await builders.active_jobs(bench.database, second)
    assert job.state is JobState.WAITING
    await bench.approvals.approve(first, digest, LEE)
    await bench.drain()
    assert [await bench.state(n) for n in (first, second)] == [State.PUBLISHED, State.STAGED]


async def test_a_task_fails_with_the_one_it_waits_for(bench):
    first, _ = await bench.stage("config/a.yaml = 1")
    second = await bench.ask("config/b.yaml = 2", after=first)
    await bench.drain()
    await bench.approvals.reject(first, "no", LEE)
    await bench.drain()
    task = await bench.task(second)
    assert (task.state, task.error.code) == (State.FAILED, "dependency")


async def test_more_tasks_than_slots_are_all_done(bench):
    numbers = [await bench.ask(f"config/{n}.yaml = {n}") for n in range(8)]
    await bench.drain()
    assert {await bench.state(number) for number in numbers} == {State.STAGED}
    assert bench.executor.runs == 8


# ---- stopping, cancelling, dying


async def test_the_executor_of_a_cancelled_task_is_stopped_and_the_worker_goes_on(bench):
    bench.executor.gate = asyncio.Event()
    async with bench.working():
        number = await bench.ask()
        await eventually(lambda: bench.executor.runs == 1)
        await bench.requests.cancel(number, ANA)
        await eventually(lambda: bench.executor.stopped == 1)
        bench.executor.gate.set()
        other = await bench.ask("config/b.yaml = 2")

        async def staged() -> bool:
            return await bench.state(other) is State.STAGED

        await eventually(staged)
    assert await bench.state(number) is State.CANCELLED
    assert (await bench.kinds(number))[-1] == "task.cancelled"


async def test_a_reply_stops_what_it_supersedes(bench):
    bench.executor.gate = asyncio.Event()
    async with bench.working():
        number = await bench.ask("config/a.yaml = 1")
        await eventually(lambda: bench.executor.runs == 1)
        await bench.requests.reply(number, "instead config/b.yaml = 2", ANA)
        await eventually(lambda: bench.executor.stopped == 1)
        bench.executor.gate.set()

        async def staged() -> bool:
            return await bench.state(number) is State.STAGED

        await eventually(staged)
    task = await bench.task(number)
    assert task.revision == 2
    assert [file["path"] for file in task.staged.files] == ["instead config/b.yaml"]


async def test_a_worker_that_is_asked_to_stop_finishes_what_it_does_and_begins_nothing_new(bench):
    bench.executor.gate = asyncio.Event()
    async with bench.working() as (worker, running):
        number = await bench.ask()
        await eventually(lambda: bench.executor.runs == 1)
        worker.stop()
        later = await bench.ask("config/b.yaml = 2")
        await asyncio.sleep(0.2)
        assert not running.done()
        bench.executor.gate.set()
        await running
    assert [await bench.state(n) for n in (number, later)] == [State.STAGED, State.RECEIVED]
    assert bench.executor.stopped == 0
    assert await bench.database.read(workers.alive) == []


async def test_a_worker_that_others_took_for_dead_ends_and_what_it_did_is_done_by_another(bench):
    bench.executor.gate = asyncio.Event()
    async with bench.working() as (_, running):
        number = await bench.ask()
        await eventually(lambda: bench.executor.runs == 1)

        async def bury(tx):
            dead = await workers.declare_dead(tx, tx.now_ms + 1)
            return [job.number for job in await jobs.rescue_from(tx, dead, count=True)]

        async def rescued() -> bool:  # a row that is just being beaten is left to the next sweep
            return bool(await bench.database.write(bury) == [number])

        await eventually(rescued)
        with pytest.raises(DeclaredDeadError):
            await asyncio.wait_for(running, 10)
        assert (bench.executor.runs, bench.executor.stopped) == (1, 1), "it began nothing more"
    assert await bench.state(number) is State.RUNNING, "the stale wrote nothing"
    bench.executor.gate.set()
    await bench.drain()
    assert await bench.state(number) is State.STAGED


@pytest.mark.parametrize(("point", "runs"), [("change.produced", 2), ("change.kept", 1), ("change.judged", 1)])
async def test_a_worker_that_ends_in_the_middle_loses_nothing_and_repeats_no_kept_work(bench, point, runs):
    """What an executor made is kept before it counts as made: a ten-minute run is not run again."""
    number = await bench.ask()
    worker = bench.worker()
    running = asyncio.create_task(worker.run())

    def end(reached: str) -> None:
        if reached == point:
            bench.milestones.at = None
            running.cancel()
            raise asyncio.CancelledError

    bench.milestones.at = end
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    assert await bench.work_until(number, State.STAGED, State.FAILED) is State.STAGED
    assert bench.executor.runs == runs
    assert (await bench.kinds(number)).count("task.staged") == 1


async def test_an_engine_that_lost_its_state_costs_repeated_steps_and_nothing_else(bench, dialect):
    number, digest = await bench.stage()
    await bench.approvals.approve(number, digest, LEE)
    if dialect == "sqlite":
        for file in bench.database.location.file.parent.glob("engine.sqlite*"):
            file.unlink()
    else:
        await bench.database.write(lambda tx: tx.session.execute(text("DROP SCHEMA dbos CASCADE")))
    await bench.drain()
    assert await bench.state(number) is State.PUBLISHED
