"""The read job: has a model read a reply that nothing else can read, and begins the revision that it asks for.

Until the reply is known to ask for a change, its task stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.jobs.interpretation_context import Discussion, availability_of, discussion_of, interpretation_context_for
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
from core.settings import Settings
from core.store import jobs, spending_ledger, tasks
from core.store.transition import OwedWork, take_step
from core.store.unit_of_work import Tx

SOON_MS = 500
"""How soon a reply is read again if its task changed while it was read."""


@dataclass(frozen=True, slots=True)
class _ReadReply:
    """A reply that may begin a revision: the task as it was when the reply was read, and what the reply means.

    Without an `intent` the revision's own plan job reads its turns.
    """

    task: Task
    draft: TurnDraft
    basis: Basis
    intent: Intent | None


async def read(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Begin the revision that the reply asks for; a reply that asks for none is answered and changes nothing."""
    draft = TurnDraft.from_json(job.payload)
    try:
        reply = await _read_reply(context, job, draft)
    except (LostClaimError, TransientError):
        raise
    except CountersignError as error:
        await context.refuse_reply(job, error.problem)
        return OVER
    if reply.intent is not None and reply.intent.read_by:
        await _attribute_spending(context, job, reply, reply.intent)
    settings = context.settings()
    await context.database.write(lambda tx: _begin_revision(tx, settings, job, reply))
    return OVER


async def _read_reply(context: JobContext, job: Job, draft: TurnDraft) -> _ReadReply:
    """Read the reply; raises why no revision may begin from it."""
    authorization = Authorization(context.settings)

    async def load(tx: Tx) -> tuple[_ReadReply, tuple[Turn, ...]]:
        task = await tasks.load(tx, job.number)
        await authorization.check_speaking(tx, task, draft.actor, picks=False)
        turns = await tasks.turns_of(tx, job.number)
        n = len(turns) + 1
        basis, intent, _changes = await next_basis(tx, context.settings(), task, draft, n)
        turn = Turn(n, draft.actor.person or "", draft.actor.surface or "", draft.text, job.created_at, task.revision)
        return _ReadReply(task, draft, basis, intent), (*turns, turn)

    reply, turns = await context.database.read(load)
    if reply.intent is not None or len(turns) not in reply.basis.turns:
        return reply
    candidate = _candidate(reply)
    discussion = Discussion((*(await discussion_of(context, candidate)).turns, turns[-1]))
    availability = await availability_of(context)
    interpretation_context = await interpretation_context_for(context, job, candidate, availability)
    intent, authors = await read_turns(context, candidate, interpretation_context, discussion)
    if isinstance(intent, Unclear):
        raise _not_understood(reply.task, intent)
    if candidate.repo is not None:
        decision = plan_request(context.settings(), availability, RequestOrigin.of_task(candidate), intent).decision
        if decision.effect is Effect.DENY:
            raise refused(reply.task, decision.reason)
    return replace(reply, basis=reply.basis.written_by(authors), intent=intent)


def _candidate(reply: _ReadReply) -> Task:
    """The task as it would be with the revision that the reply may begin."""
    n = reply.task.revision + 1
    current = Revision(n, reply.draft.actor.person or "", reply.basis, None, None, None, "", None, None, None)
    return replace(reply.task, current=current)


def _not_understood(task: Task, unclear: Unclear) -> UsageError:
    if unclear.idle:
        return UsageError("nothing_asked", f"that asks for no change, so #{task.number} stays as it is")
    can = f"For example: {'; '.join(unclear.can[:2])}." if unclear.can else "Say all of it in one reply."
    mend = f"Reply with one of: {' | '.join(unclear.options)}" if unclear.options else can
    return UsageError("not_understood", f"#{task.number} stays as it is: {unclear.reason.rstrip('.')}", mend)


async def _attribute_spending(context: JobContext, job: Job, reply: _ReadReply, intent: Intent) -> None:
    """Charge what the reading cost to the lane that it leads to."""
    if reply.task.repo is None:
        return
    origin = RequestOrigin.of_task(_candidate(reply))
    lane = plan_request(context.settings(), await availability_of(context), origin, intent).decision.lane
    if lane is not None:
        await context.database.write(lambda tx: spending_ledger.attribute(tx, job, lane))


async def _begin_revision(tx: Tx, settings: Settings, job: Job, reply: _ReadReply) -> None:
    """Begin the revision if the task is unchanged since the reply was read; else have the reply read again soon."""
    draft = reply.draft
    task = await tasks.load(tx, job.number, lock=True)
    if task.version != reply.task.version:
        await jobs.put_back(tx, job, tx.now_ms + SOON_MS, attempt=job.attempt + 1)
        return
    n = len(await tasks.turns_of(tx, job.number)) + 1
    basis, known, changes = await next_basis(tx, settings, task, draft, n)
    await jobs.end(tx, job, JobState.DONE)
    author = draft.actor.person or ""
    await take_step(
        tx,
        task,
        Fact.REPLIED,
        actor=draft.actor,
        body={"text": draft.text},
        changes={"digest": None, "question": None, "error": None, "expires_ms": None, **changes},
        owed=OwedWork(person=author),
    )
    basis, intent = basis.written_by(reply.basis.authors), reply.intent or known
    await tasks.begin_revision(tx, job.number, task.revision + 1, tx.now_ms, author, basis, intent)
    await tasks.add_turn(tx, tasks.turn_row(job.number, n, task.revision + 1, draft, tx.now_ms))


STEPS: tuple[tuple[str, JobStep], ...] = (("read", read),)
