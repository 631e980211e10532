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
from core.model.job_order import NodeView
from core.model.lifecycle import State
from core.model.stored import StoredObject
from core.model.turn import Question
from core.queue.heartbeat import DeclaredDeadError
from core.rules import receipt
from core.store import artifacts, jobs, queue_queries, switches, workers
from core.store.database import from_ms
from tests import builders, campaign
from tests.builders import ANA, LEE, MAX, people
from tests.clock import timed
from tests.worker_harness import WorkerHarness, eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]

SOON = {"retry_after_s": 0.05}


@pytest.fixture
def harness(harness: WorkerHarness) -> WorkerHarness:
    """A bench whose worker runs on the real engine."""
    harness.durable = True
    return harness


def gone(**others) -> TransientError:
    return TransientError("forge_down", "the forge does not answer", **others)


# ---- the straight way


async def test_a_request_goes_from_a_sentence_to_a_pull_request(harness):
    number = await harness.ask("config/app.yaml = a: 1")
    await harness.drain()
    staged = await harness.task(number)
    assert staged.state is State.STAGED
    assert (staged.current.lane, staged.current.rule) == ("config", "small-changes")
    assert [file["path"] for file in staged.staged.files] == ["config/app.yaml"]
    assert staged.expires_at is not None
    assert harness.forge.branches == {}, "nothing reaches the forge before the approval"

    await harness.approvals.approve(number, staged.staged.digest, LEE)
    await harness.drain()
    task = await harness.task(number)
    assert task.state is State.PUBLISHED
    assert task.pull_request == harness.forge.pulls[task.pull_request.branch]
    pushed = harness.repository.commits[harness.forge.branches[task.pull_request.branch]]
    assert (pushed.tree, pushed.parent) == (staged.staged.tree, staged.staged.base)
    assert "Countersigned-by: lee" in pushed.message
    assert await harness.kinds(number) == [
        "task.requested",
        "task.planned",
        "task.started",
        "task.staged",
        "task.approved",
        "task.published",
    ]
    assert await harness.owed(number) == []


async def test_what_was_made_and_said_is_kept_with_the_task(harness):
    number = await harness.publish()
    kept = {a.name: a for a in await harness.database.read(lambda tx: artifacts.of_task(tx, number))}
    assert {"transcript.txt", "change.patch", "receipt.json"} <= set(kept)
    task = await harness.task(number)
    said = receipt.read(harness.keys, await harness.files.read(kept["receipt.json"].sha256))
    assert said["staged"]["digest"] == task.staged.digest
    assert [a["person"] for a in said["approvals"]] == ["lee"]
    assert said["published"] == {
        "branch": task.pull_request.branch,
        "head": task.pull_request.head,
        "tree": task.staged.tree,
    }


async def test_a_published_task_is_merged_and_undone_through_the_same_gate(harness):
    number = await harness.publish()
    await harness.requests.merge(number, LEE)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.pull_request.state) == (State.MERGED, "merged")
    assert harness.repository.trees[await harness.repository.tree_of(harness.repository.main)].keys() == {
        "README.md",
        "config/app.yaml",
    }
    undo = await harness.requests.undo(number, ANA)
    await harness.drain()
    reverting = await harness.task(undo)
    assert reverting.state is State.STAGED
    assert [(file["path"], file["status"]) for file in reverting.staged.files] == [("config/app.yaml", "D")]


async def test_undoing_what_is_published_closes_its_pull_request(harness):
    number = await harness.publish()
    await harness.requests.undo(number, ANA)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.pull_request.state) == (State.CLOSED, "closed")
    assert harness.forge.pulls[task.pull_request.branch].state == "closed"


async def test_a_reply_continues_the_published_work_in_the_same_pull_request(harness):
    number = await harness.publish("config/a.yaml = a: 1")
    first = (await harness.task(number)).pull_request
    await harness.requests.reply(number, "config/b.yaml = b: 2", ANA)
    await harness.drain()
    staged = (await harness.task(number)).staged
    assert [file["path"] for file in staged.files] == ["config/a.yaml", "config/b.yaml"]
    await harness.approvals.approve(number, staged.digest, LEE)
    await harness.drain()
    task = await harness.task(number)
    assert (task.pull_request.number, task.pull_request.branch) == (first.number, first.branch)
    assert task.pull_request.head != first.head
    assert (task.pull_request.revision, task.pull_request.digest) == (2, staged.digest)
    assert len(harness.forge.pulls) == 1


# ---- what is not done


async def test_what_policy_denies_is_refused_with_its_reason(harness):
    harness.policy.terms = None
    number = await harness.ask()
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code, task.error.message) == (
        State.REFUSED,
        "refused_by_policy",
        "no rule allows it",
    )
    assert harness.executor.runs == 0


async def test_what_the_guard_blocks_is_refused_with_every_finding_and_cannot_be_approved(harness):
    number = await harness.ask(".github/workflows/ci.yml = on: push")
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code, task.error.kind) == (State.REFUSED, "guard_blocked", Kind.BLOCKED)
    assert [finding.path for finding in task.staged.guard.blocks()] == [".github/workflows/ci.yml"]
    answer = await harness.approvals.approve(number, task.staged.digest, LEE)
    assert answer.problem.code == "wrong_state"


async def test_what_nobody_can_read_is_asked_about_and_the_answer_is_worked_on(harness):
    number = await harness.ask("make it nicer")
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.question.about) == (State.ASKING, "request")
    assert "PATH = CONTENT" in task.error.message
    await harness.requests.reply(number, "config/app.yaml = a: 1", ANA)
    await harness.drain()
    assert await harness.state(number) is State.STAGED


async def test_a_question_of_the_policys_is_answered_by_a_word(harness):
    harness.configure(lanes={name: builders.lane(name) for name in ("config", "docs")})
    harness.policy.question = Question("lane", "Which lane?", ("config", "docs"))
    number = await harness.ask()
    await harness.drain()
    assert await harness.state(number) is State.ASKING
    await harness.requests.reply(number, "config", ANA)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.current.lane) == (State.STAGED, "config")


async def test_a_request_that_changes_nothing_says_so(harness):
    number = await harness.ask("README.md = hello")
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "no_change")


async def test_a_lane_that_no_worker_can_run_is_refused(harness):
    harness.executor.wants = frozenset({"gpu"})
    harness.executor.problem = Problem(Kind.UNAVAILABLE, "no_gpu", "this host has no GPU", "Add a node that has one.")
    number = await harness.ask()
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code, task.error.kind) == (State.REFUSED, "no_gpu", Kind.REFUSED)
    await builders.put_worker(harness.database, "elsewhere", silent_s=-3600, offers=["gpu", "sandbox"])
    waits = await harness.ask()
    await harness.drain()
    assert await harness.state(waits) is State.QUEUED


async def test_a_lane_that_cannot_work_is_told_as_what_it_means_for_the_file(harness):
    harness.executor.problem = Problem(Kind.USAGE, "no_model", "lane config names no model", "Add one.")
    number = await harness.ask("requirements.yaml = a: 1")
    await harness.drain()
    error = (await harness.task(number)).error
    assert (error.code, error.kind) == ("no_model", Kind.REFUSED)
    assert error.message == "requirements.yaml is in no lane you may use now; lane config names no model"


async def test_work_for_another_node_is_left_to_it(harness):
    harness.executor.wants = frozenset({"gpu"})
    number = await harness.ask()
    await harness.drain()
    assert await harness.state(number) is State.QUEUED
    await harness.drain(node=NodeView("big", frozenset({"gpu", "sandbox"})))
    assert await harness.state(number) is State.STAGED


# ---- faults


async def test_a_fault_for_good_fails_the_task_with_what_to_tell(harness):
    def fail(_order):
        raise PermanentError("no_such_key", "there is no key a.b", "Name another.")

    harness.executor.before = fail
    number = await harness.ask()
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error) == (
        State.FAILED,
        Problem(Kind.FAILED, "no_such_key", "there is no key a.b", "Name another."),
    )
    assert harness.executor.runs == 1


async def test_a_stored_value_of_a_newer_version_fails_the_task_with_what_to_do(harness):
    def read_journal(_order):
        StoredObject({"v": 2}, "a model's turn", newest=1)

    harness.executor.before = read_journal
    number = await harness.ask()
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code, task.error.kind) == (State.FAILED, "unreadable_row", Kind.UNAVAILABLE)
    assert task.error.message.startswith("a newer Countersign wrote a model's turn of version 2")


async def test_a_fault_of_our_own_fails_the_task_and_not_the_worker(harness):
    def break_once(order):
        if order.number == 1:
            raise RuntimeError("unexpected")

    harness.executor.before = break_once
    broken = await harness.ask()
    sound = await harness.ask("config/app.yaml = a: 2")  # the same words would share the run of whichever began first
    await harness.drain()
    task = await harness.task(broken)
    assert (task.state, task.error.code) == (State.FAILED, "bug")
    assert "RuntimeError: unexpected" in task.error.message
    assert await harness.state(sound) is State.STAGED


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
async def test_edits_c1_an_outcome_that_cannot_be_written_ends_the_task_and_is_not_tried_for_ever(harness, why):
    def refuse(_order):
        raise PermanentError("no_such_key", "there is no key a.b", "Name another.")

    harness.executor.before = refuse
    number = await harness.ask()
    worker = harness.worker()
    worker.runner.context = UnwritableOnce.of(worker.runner.context, why)
    await worker.run(drain=True)
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "bug")
    assert f"could not record the outcome: {type(why).__name__}" in task.error.message
    assert await harness.owed(number) == []
    assert harness.executor.runs == 1


def test_a_problem_can_be_written_anywhere():
    problem = Problem(Kind.FAILED, "no", "caf\udce9 and \x00 and \ud800", "Say caf\udce9.")
    assert problem.sentence() == r"caf\xe9 and \x00 and \ud800. Say caf\xe9."
    assert Problem.from_json(problem.to_json()) == problem
    problem.sentence().encode()


async def test_a_passing_fault_is_tried_again_until_it_passes(harness):
    faults = [gone(**SOON), gone(**SOON)]

    def fail(_order):
        if faults:
            raise faults.pop()

    harness.executor.before = fail
    number = await harness.ask()
    assert await harness.work_until(number, State.STAGED, State.FAILED) is State.STAGED
    assert harness.executor.runs == 3
    assert (await harness.kinds(number))[2:] == [
        *["task.started", "task.rescheduled"] * 2,
        "task.started",
        "task.staged",
    ]


async def test_a_passing_fault_without_advice_waits_ever_longer(harness):
    def fail(_order):
        raise gone()

    harness.executor.before = fail
    number = await harness.ask()
    await harness.drain()
    assert await harness.state(number) is State.QUEUED, "a wait keeps no worker"
    for attempt, at_least_s, at_most_s in ((2, 1.5, 2.5), (3, 3.0, 5.0)):
        (job,) = await builders.active_jobs(harness.database, number)
        now = datetime.now(UTC)
        assert (job.state, job.attempt) == (JobState.READY, attempt)
        assert job.ready_at - now < timedelta(seconds=at_most_s)
        began = await harness.database.read(
            lambda tx, i=job.id: tx.session.execute(text(f"SELECT claimed_ms FROM jobs WHERE id='{i}'"))
        )
        waits_s = job.ready_at.timestamp() - began.scalar_one() / 1000
        assert waits_s > at_least_s
        await make_ready(harness, job.id)
        await harness.drain()
    (queued,) = await harness.database.read(lambda tx: queue_queries.queued_of(tx, number))
    assert queued.problem == "the forge does not answer"


async def claimed_at(harness, job_id) -> datetime:
    statement = text(f"SELECT claimed_ms FROM jobs WHERE id = '{job_id}'")
    return from_ms((await harness.database.read(lambda tx: tx.session.execute(statement))).scalar_one())


async def make_ready(harness, job_id) -> None:
    statement = text(f"UPDATE jobs SET ready_ms = 0 WHERE id = '{job_id}'")
    await harness.database.write(lambda tx: tx.session.execute(statement))


@pytest.mark.parametrize("deaf", [False, True], ids=["before its effect", "after its effect, the answer lost"])
@pytest.mark.parametrize("call", [1, 2], ids=["push", "open"])
async def test_a_forge_that_fails_once_gets_one_branch_and_one_pull_request(harness, call, deaf):
    """Push and open look for their own earlier success (F9, F10, F12)."""
    number, digest = await harness.stage()
    await harness.approvals.approve(number, digest, LEE)

    def fail_then(point: str) -> None:
        if point == ("publish.committed" if call == 1 else "publish.pushed"):
            (harness.forge.deaf if deaf else harness.forge.faults).append(gone(**SOON))
            harness.milestones.at = None

    harness.milestones.at = fail_then
    assert await harness.work_until(number, State.PUBLISHED, State.FAILED) is State.PUBLISHED
    assert harness.forge.pushes == 1
    assert len(harness.forge.pulls) == len(harness.forge.branches) == 1
    assert not harness.forge.faults
    assert not harness.forge.deaf


async def test_a_branch_that_somebody_else_moved_is_not_overwritten(harness):
    number, digest = await harness.stage()
    await harness.approvals.approve(number, digest, LEE)
    branch = branch_of(await harness.task(number))
    harness.forge.branches[branch] = harness.repository.main
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "branch_moved")
    assert harness.forge.branches == {branch: harness.repository.main}
    assert harness.forge.pulls == {}


async def test_an_approval_that_no_longer_holds_publishes_nothing(harness):
    """The quorum is recounted at execution (46)."""
    number, digest = await harness.stage()
    await harness.approvals.approve(number, digest, LEE)
    harness.configure(people=people(ana="member", lee="member", max="maintainer"))
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.STAGED, "approval_void")
    assert task.expires_at is not None
    assert harness.forge.branches == {}
    await harness.approvals.approve(number, digest, MAX)
    await harness.drain()
    assert await harness.state(number) is State.PUBLISHED


async def test_a_head_that_somebody_moved_is_not_merged(harness):
    """What is merged is what was countersigned (39)."""
    number = await harness.publish()
    branch = (await harness.task(number)).pull_request.branch
    harness.forge.branches[branch] = "f" * 40
    before = harness.repository.main
    await harness.requests.merge(number, LEE)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.PUBLISHED, "head_moved")
    assert harness.repository.main == before


# ---- the queue's order and its switches


async def test_nothing_is_claimed_while_the_queue_is_paused(harness):
    async def pause(value):
        await harness.database.write(lambda tx: switches.set_pause(timed(tx, 1), value, "lee"))

    number = await harness.ask()
    await pause({"reason": "upgrade", "by": "lee"})
    await harness.drain()
    assert await harness.state(number) is State.RECEIVED
    await pause(None)
    await harness.drain()
    assert await harness.state(number) is State.STAGED


async def test_a_task_that_comes_after_another_waits_for_it(harness):
    first, digest = await harness.stage("config/a.yaml = 1")
    second = await harness.ask("config/b.yaml = 2", after=first)
    await harness.drain()
    assert await harness.state(second) is State.QUEUED
    (job,) = await builders.active_jobs(harness.database, second)
    assert job.state is JobState.WAITING
    await harness.approvals.approve(first, digest, LEE)
    await harness.drain()
    assert [await harness.state(n) for n in (first, second)] == [State.PUBLISHED, State.STAGED]


async def test_a_task_fails_with_the_one_it_waits_for(harness):
    first, _ = await harness.stage("config/a.yaml = 1")
    second = await harness.ask("config/b.yaml = 2", after=first)
    await harness.drain()
    await harness.approvals.reject(first, "no", LEE)
    await harness.drain()
    task = await harness.task(second)
    assert (task.state, task.error.code) == (State.FAILED, "dependency")


async def test_more_tasks_than_slots_are_all_done(harness):
    numbers = [await harness.ask(f"config/{n}.yaml = {n}") for n in range(8)]
    await harness.drain()
    assert {await harness.state(number) for number in numbers} == {State.STAGED}
    assert harness.executor.runs == 8


# ---- stopping, cancelling, dying


async def test_the_executor_of_a_cancelled_task_is_stopped_and_the_worker_goes_on(harness):
    harness.executor.gate = asyncio.Event()
    async with harness.working():
        number = await harness.ask()
        await eventually(lambda: harness.executor.runs == 1)
        await harness.requests.cancel(number, ANA)
        await eventually(lambda: harness.executor.stopped == 1)
        harness.executor.gate.set()
        other = await harness.ask("config/b.yaml = 2")

        async def staged() -> bool:
            return await harness.state(other) is State.STAGED

        await eventually(staged)
    assert await harness.state(number) is State.CANCELLED
    assert (await harness.kinds(number))[-1] == "task.cancelled"


async def test_a_reply_stops_what_it_supersedes(harness):
    harness.executor.gate = asyncio.Event()
    async with harness.working():
        number = await harness.ask("config/a.yaml = 1")
        await eventually(lambda: harness.executor.runs == 1)
        await harness.requests.reply(number, "instead config/b.yaml = 2", ANA)
        await eventually(lambda: harness.executor.stopped == 1)
        harness.executor.gate.set()

        async def staged() -> bool:
            return await harness.state(number) is State.STAGED

        await eventually(staged)
    task = await harness.task(number)
    assert task.revision == 2
    assert [file["path"] for file in task.staged.files] == ["instead config/b.yaml"]


async def test_a_worker_that_is_asked_to_stop_finishes_what_it_does_and_begins_nothing_new(harness):
    harness.executor.gate = asyncio.Event()
    async with harness.working() as (worker, running):
        number = await harness.ask()
        await eventually(lambda: harness.executor.runs == 1)
        worker.stop()
        later = await harness.ask("config/b.yaml = 2")
        await asyncio.sleep(0.2)
        assert not running.done()
        harness.executor.gate.set()
        await running
    assert [await harness.state(n) for n in (number, later)] == [State.STAGED, State.RECEIVED]
    assert harness.executor.stopped == 0
    assert await harness.database.read(workers.alive) == []


async def test_a_worker_that_others_took_for_dead_ends_and_what_it_did_is_done_by_another(harness):
    harness.executor.gate = asyncio.Event()
    async with harness.working() as (_, running):
        number = await harness.ask()
        await eventually(lambda: harness.executor.runs == 1)

        async def bury(tx):
            dead = await workers.declare_dead(tx, tx.now_ms + 1)
            return [job.number for job in await jobs.rescue_from(tx, dead, count=True)]

        async def rescued() -> bool:  # a row that is just being beaten is left to the next sweep
            return bool(await harness.database.write(bury) == [number])

        await eventually(rescued)
        with pytest.raises(DeclaredDeadError):
            await asyncio.wait_for(running, 10)
        assert (harness.executor.runs, harness.executor.stopped) == (1, 1), "it began nothing more"
    assert await harness.state(number) is State.RUNNING, "the stale wrote nothing"
    harness.executor.gate.set()
    await harness.drain()
    assert await harness.state(number) is State.STAGED


@pytest.mark.parametrize(("point", "runs"), [("change.produced", 2), ("change.kept", 1), ("change.judged", 1)])
async def test_a_worker_that_ends_in_the_middle_loses_nothing_and_repeats_no_kept_work(harness, point, runs):
    """What an executor made is kept before it counts as made: a ten-minute run is not run again."""
    number = await harness.ask()
    worker = harness.worker()
    running = asyncio.create_task(worker.run())

    def end(reached: str) -> None:
        if reached == point:
            harness.milestones.at = None
            running.cancel()
            raise asyncio.CancelledError

    harness.milestones.at = end
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    assert await harness.work_until(number, State.STAGED, State.FAILED) is State.STAGED
    assert harness.executor.runs == runs
    assert (await harness.kinds(number)).count("task.staged") == 1


async def test_an_engine_that_lost_its_state_costs_repeated_steps_and_nothing_else(harness, dialect):
    number, digest = await harness.stage()
    await harness.approvals.approve(number, digest, LEE)
    if dialect == "sqlite":
        for file in harness.database.location.file.parent.glob("engine.sqlite*"):
            file.unlink()
    else:
        await harness.database.write(lambda tx: tx.session.execute(text("DROP SCHEMA dbos CASCADE")))
    await harness.drain()
    assert await harness.state(number) is State.PUBLISHED
