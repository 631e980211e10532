"""The read job: reads a reply that only a model can read. Until it is known to ask for a change, the task stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from core.jobs.interpretation_context import Discussion, availability_of, context_of, talk_of
from core.jobs.job_context import OVER, JobContext, JobStep, StepOutput
from core.jobs.plan import read_turns
from core.model.decision import Effect
from core.model.errors import CountersignError, LostClaimError, TransientError, UsageError
from core.model.intent import Intent, Unclear
from core.model.job import Job, JobState
from core.model.lifecycle import Fact
from core.model.task import Basis, Revision, Task
from core.model.turn import Turn, TurnDraft
from core.rules.authorization import Authorization, refused
from core.rules.basis import next_basis
from core.rules.planning import RequestOrigin, plan_request
from core.store import jobs, spending, tasks
from core.store.transition import OwedWork, take_step
from core.store.unit_of_work import Tx

SOON_MS = 500
"""How soon words are read again whose task changed while they were read."""


async def read(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Begin the revision that the words ask for; words that lead to none leave the task as it is, and are answered."""
    words = TurnDraft.from_json(job.payload)
    try:
        task, basis, intent = await _meaning(shop, job, words)
    except (LostClaimError, TransientError):
        raise
    except CountersignError as error:
        await shop.leave_as_it_is(job, error.problem)
        return OVER
    if intent is not None and intent.read_by:
        await _settle(shop, job, task, basis, words, intent)
    await _begin(shop, job, task, words, intent, basis.authors)
    return OVER


async def _meaning(shop: JobContext, job: Job, words: TurnDraft) -> tuple[Task, Basis, Intent | None]:
    """The task as it was when its words were read, what they build on, and what they ask for.

    Raises why no revision may begin from them.
    """
    rights = Authorization(shop.settings)

    async def look(tx: Tx) -> tuple[Task, Basis, Intent | None, tuple[Turn, ...]]:
        task = await tasks.load(tx, job.number)
        await rights.check_speaking(tx, task, words.actor, picks=False)
        turns = await tasks.turns_of(tx, job.number)
        n = len(turns) + 1
        basis, intent, _changes = await next_basis(tx, task, words.text, n)
        turn = Turn(n, words.actor.person or "", words.actor.surface or "", words.text, job.created_at, task.revision)
        return task, basis, intent, (*turns, turn)

    task, basis, known, turns = await shop.database.read(look)
    if known is not None or len(turns) not in basis.turns:
        return task, basis, known
    candidate = _candidate(task, basis, words)
    discussion = Discussion((*(await talk_of(shop, candidate)).turns, turns[-1]))
    availability = await availability_of(shop)
    context = await context_of(shop, job, candidate, availability)
    read, authors = await read_turns(shop, candidate, context, discussion)
    if isinstance(read, Unclear):
        raise _unread(task, read)
    if task.repo is not None:
        decision = plan_request(shop.settings(), availability, RequestOrigin.of_task(candidate), read).decision
        if decision.effect is Effect.DENY:
            raise refused(task, decision.reason)
    return task, basis.written_by(authors), read


def _candidate(task: Task, basis: Basis, words: TurnDraft) -> Task:
    """The task as it would be with the revision that the words may begin."""
    n = task.revision + 1
    current = Revision(n, words.actor.person or "", basis, None, None, None, "", None, None, None)
    return replace(task, current=current)


def _unread(task: Task, read: Unclear) -> UsageError:
    if read.idle:
        return UsageError("nothing_asked", f"that asks for no change, so #{task.number} stays as it is")
    can = f"For example: {'; '.join(read.can[:2])}." if read.can else "Say all of it in one reply."
    options = f"Reply with one of: {' | '.join(read.options)}" if read.options else can
    return UsageError("not_understood", f"#{task.number} stays as it is: {read.reason.rstrip('.')}", options)


async def _settle(shop: JobContext, job: Job, task: Task, basis: Basis, words: TurnDraft, intent: Intent) -> None:
    """What reading cost counts for the lane that it leads to."""
    if task.repo is None:
        return
    origin = RequestOrigin.of_task(_candidate(task, basis, words))
    lane = plan_request(shop.settings(), await availability_of(shop), origin, intent).decision.lane
    if lane is not None:
        await shop.database.write(lambda tx: spending.attribute(tx, job, lane))


async def _begin(
    shop: JobContext, job: Job, seen: Task, words: TurnDraft, intent: Intent | None, authors: Collection[str]
) -> None:
    """Begin the revision, if the task still is as it was when its words were read; else read them again soon."""

    async def work(tx: Tx) -> None:
        task = await tasks.load(tx, job.number, lock=True)
        if task.version != seen.version:
            await jobs.put_back(tx, job, tx.now_ms + SOON_MS, attempt=job.attempt + 1)
            return
        n = len(await tasks.turns_of(tx, job.number)) + 1
        basis, known, changes = await next_basis(tx, task, words.text, n)
        await jobs.end(tx, job, JobState.DONE)
        author = words.actor.person or ""
        await take_step(
            tx,
            task,
            Fact.REPLIED,
            actor=words.actor,
            body={"text": words.text},
            changes={"digest": None, "question": None, "error": None, "expires_ms": None, **changes},
            owed=OwedWork(person=author),
        )
        basis = basis.written_by(authors)
        await tasks.begin_revision(tx, job.number, task.revision + 1, tx.now_ms, author, basis, intent or known)
        await tasks.add_turn(tx, tasks.turn_row(job.number, n, task.revision + 1, words, tx.now_ms))

    await shop.database.write(work)


STEPS: tuple[tuple[str, JobStep], ...] = (("read", read),)
