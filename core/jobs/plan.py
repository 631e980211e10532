"""The plan job: reads the turns of a revision into an intent, asks policy about it, and commits the answer."""

from __future__ import annotations

from core.jobs.interpretation_context import Discussion, availability_of, context_of, talk_of
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput
from core.model.advice import BLANK, Advice, CommandName, Suggestion, advise
from core.model.edits import Edit
from core.model.errors import Kind, Problem
from core.model.intent import Intent, Unclear
from core.model.job import Job
from core.model.lifecycle import Fact
from core.model.task import Task
from core.model.turn import Question
from core.ports import InterpretationContext
from core.rules.audit import terms_hash
from core.rules.planning import RequestOrigin, RequestPlan, parameter_question, plan_request
from core.settings import Settings
from core.store import jobs, spending, tasks
from core.store.transition import OwedWork
from core.store.unit_of_work import Tx

ASKING_EXPIRES_S = 14 * 24 * 3600


async def decide(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Read the intent, ask policy, and commit what it says."""
    task = await shop.task_for(job)
    shop.milestones.reached("plan.loaded", number=job.number)
    settings, availability = shop.settings(), await availability_of(shop)
    unread = task.current.intent is None and availability.reads_text(settings.lanes.get(task.asked_lane or ""))
    context = await context_of(shop, job, task, availability) if unread else None
    intent = task.current.intent or await _read(shop, job, task, context)
    if isinstance(intent, Unclear) and intent.idle and task.revision == 1:
        await shop.finish(job, Fact.CANCELLED, JobOutcome(problem=_nothing_asked(), changes={"expires_ms": None}))
        return OVER
    if isinstance(intent, Unclear):
        await _ask(shop, job, None, _question(intent, context))
        return OVER
    if task.repo is None:
        names = tuple(sorted(settings.repositories))
        # what no rule can read, and what depends on the files, is read once the repository is known
        known = intent if intent.edits and intent.is_located else None
        await _ask(shop, job, known, Question("repository", "Which repository?", names))
        return OVER
    settings.repository(task.repo)
    plan = plan_request(settings, availability, RequestOrigin.of_task(task), intent)
    if intent.read_by and (lane := plan.decision.lane):  # what reading it cost counts for the lane it led to
        await shop.database.write(lambda tx: spending.attribute(tx, job, lane))
    await _commit(shop, job, task, settings, intent, plan)
    return OVER


STEPS: tuple[tuple[str, JobStep], ...] = (("decide", decide),)


async def _read(shop: JobContext, job: Job, task: Task, context: InterpretationContext | None) -> Intent | Unclear:
    """The intent of the turns that this revision reads.

    Whose words they are is kept with the revision before anything is made of them.
    """
    intent, authors = await read_turns(shop, task, context, await talk_of(shop, task))
    basis = task.current.basis.written_by(authors).to_json()

    async def work(tx: Tx) -> None:
        await jobs.hold(tx, job)
        await tasks.save_revision(tx, task.number, task.revision, {"basis": basis})

    await shop.database.write(work)
    return intent


async def read_turns(
    shop: JobContext, task: Task, context: InterpretationContext | None, discussion: Discussion
) -> tuple[Intent | Unclear, frozenset[str]]:
    """The intents of the turns this revision reads, put together in order, and everybody whose words they are.

    Without a `context` nothing needs reading. Everybody whose words a model was shown counts as an author.
    """
    authors = discussion.only(task.current.basis.turns).authors
    edits: list[Edit] = []
    texts: list[str] = []
    last: Intent | None = None
    by_rule, read_by = True, ""
    for n in task.current.basis.turns:
        spoken = discussion.said_by_people(n)
        texts.append(spoken.turns[-1].text)
        if context is None:
            continue
        read = await shop.interpreter.interpret(spoken.turns, context)
        if read.read_by:  # by rule nothing but the last turn is read
            authors |= spoken.authors
        if isinstance(read, Unclear):
            return read, authors
        by_rule, read_by = by_rule and bool(read.edits), read.read_by or read_by
        edits.extend(read.edits)
        last = read
    text, known = "\n".join(texts), tuple(edits) if by_rule else ()
    return Intent(text, known, lane=last.lane if last else None, read_by=read_by), authors


async def _commit(
    shop: JobContext, job: Job, task: Task, settings: Settings, intent: Intent, plan: RequestPlan
) -> None:
    """Commit what the request comes to: a question, a refusal, or the change that is owed."""
    if plan.question is not None:
        await _ask(shop, job, intent, plan.question)
        return
    decision = plan.decision
    decided = {"lane": decision.lane, "rule": decision.rule, "reason": decision.reason}
    revision = {
        "intent": intent.to_json(),
        **decided,
        "policy_digest": decision.policy_digest,
        "terms": plan.requirements.to_json() if plan.requirements else None,
    }
    body = {**decided, "terms_sha256": terms_hash(plan.requirements)}
    changes = {"lane": decision.lane, "title": await _title(shop, task, settings, intent)}
    if plan.problem is not None:
        refused = JobOutcome(changes=changes, revision=revision, body=body, problem=plan.problem)
        await shop.finish(job, Fact.DENIED, refused)
        return
    lane = settings.lane(decision.lane or "")
    question = None if intent.needs_git_alone else parameter_question(lane, task.parameters)
    if question is not None:
        await _ask(shop, job, intent, question)
        return
    needs = frozenset(lane.needs) if intent.needs_git_alone else shop.executors[lane.executor].needs(lane)
    owed = OwedWork(needs=needs, after=task.after, write_set=lane.write)
    await shop.finish(job, Fact.PLANNED, JobOutcome(changes=changes, revision=revision, body=body, owed=owed))


async def _title(shop: JobContext, task: Task, settings: Settings, intent: Intent) -> str:
    """What the task is called now: by the last turn, whatever it goes on from; an undo keeps its name."""
    if intent.revert_of:
        return task.title
    *earlier, last = task.current.basis.turns
    if not earlier:
        return intent.titled(settings.mask)
    turns = await shop.database.read(lambda tx: tasks.turns_of(tx, task.number))
    return Intent(next(turn.text for turn in turns if turn.n == last)).titled(settings.mask)


def _how_to_answer(number: int, question: Question) -> Advice:
    options = f": one of {', '.join(question.options)}" if question.options else ""
    return advise("Answer with ", Suggestion(CommandName.REPLY, number, (BLANK,)), f"{options}.")


async def _ask(shop: JobContext, job: Job, intent: Intent | None, question: Question) -> None:
    problem = Problem(Kind.FAILED, "asking", question.text, _how_to_answer(job.number, question))
    await shop.finish(
        job,
        Fact.UNCLEAR,
        JobOutcome(
            changes={"question": question.to_json()},
            revision={"intent": intent.to_json()} if intent else {},
            body={"question": question.to_json()},
            problem=problem,
            expires_in_s=ASKING_EXPIRES_S,
        ),
    )


def _nothing_asked() -> Problem:
    """Words that a model read, and that ask for nothing, do not wait for an answer."""
    return Problem(Kind.USAGE, "nothing_asked", "that asks for no change", "Say what to change in a new request.")


def _question(unclear: Unclear, context: InterpretationContext | None) -> Question:
    """What to ask about a text that could not be read; where every answer is a lane on offer, the lane is asked for."""
    offered = {offer.lane for offer in context.offers} if context else set()
    about = "lane" if unclear.options and offered.issuperset(unclear.options) else "request"
    return Question(about, _cannot(unclear), unclear.options)


def _cannot(unclear: Unclear) -> str:
    can = f" I can: {'; '.join(unclear.can)}" if unclear.can else ""
    reason = unclear.reason.rstrip(".")
    return f"{reason}{'' if reason.endswith(('?', '?”')) else '.'}{can}"
