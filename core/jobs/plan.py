"""The plan job: reads the turns of a revision into an intent, asks policy about it, and commits the decision."""

from __future__ import annotations

from core.jobs.interpretation_context import Discussion, availability_of, discussion_of, interpretation_context_for
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput
from core.model.advice import BLANK, Advice, CommandName, Suggestion, advise
from core.model.edits import Edit
from core.model.errors import Kind, Problem, RefusedError
from core.model.event import canonical_sha256
from core.model.intent import Intent, Unclear
from core.model.job import Job
from core.model.lifecycle import Fact
from core.model.role import Role
from core.model.task import Basis, Task
from core.model.turn import Actor, Question
from core.ports.interpretation import InterpretationContext
from core.rules.authorization import role_problem
from core.rules.planning import RequestOrigin, RequestPlan, parameter_question, plan_request
from core.rules.repository_scope import offered_repositories
from core.rules.visibility import requesting_actor
from core.settings import Settings
from core.store import jobs, spending_ledger, tasks
from core.store.transition import OwedWork
from core.store.unit_of_work import Tx

ASKING_EXPIRES_S = 14 * 24 * 3600


async def decide(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Read the intent, ask policy, and commit its decision."""
    task = await context.task_for(job)
    context.milestones.reached("plan.loaded", number=job.number)
    settings, availability = context.settings(), await availability_of(context)
    unread = task.current.intent is None and availability.reads_text(settings.lanes.get(task.asked_lane or ""))
    interpretation_context = await interpretation_context_for(context, job, task, availability) if unread else None
    intent = task.current.intent or await _read(context, job, task, interpretation_context)
    if isinstance(intent, Unclear) and intent.idle and task.revision == 1:
        outcome = JobOutcome(problem=_nothing_requested(), changes={"expires_ms": None})
        await context.finish(job, Fact.CANCELLED, outcome)
        return OVER
    if isinstance(intent, Unclear):
        await _ask(context, job, None, _question(intent, interpretation_context))
        return OVER
    if task.repo is None:
        asker = Actor(task.requester, task.surface, scope=task.scope)
        names = offered_repositories(settings, requesting_actor(settings, asker).scope)
        # what only a model can read, and what depends on the files, is read once the repository is known
        known = intent if intent.edits and intent.is_located else None
        await _ask(context, job, known, Question("repository", "Which repository?", names))
        return OVER
    settings.repository(task.repo)
    _check_membership(settings, task)
    plan = plan_request(settings, availability, RequestOrigin.of_task(task), intent)
    if intent.read_by and (lane := plan.decision.lane):  # charge the reading to the lane that it led to
        await context.database.write(lambda tx: spending_ledger.attribute(tx, job, lane))
    await _commit(context, job, task, settings, intent, plan)
    return OVER


def _check_membership(settings: Settings, task: Task) -> None:
    """Raise unless the author may still make requests in the team of the repository; rules name no teams."""
    person = settings.people_of(task.repo).get(task.current.author)
    if settings.people.teams.are_separate and person is not None:
        problem = role_problem(person, Role.REQUESTER)
        if problem is not None:
            raise RefusedError(problem.code, problem.message, problem.mend)


STEPS: tuple[tuple[str, JobStep], ...] = (("decide", decide),)


async def _read(
    context: JobContext, job: Job, task: Task, interpretation_context: InterpretationContext | None
) -> Intent | Unclear:
    """The intent of the turns that this revision reads.

    Their authors are stored with the revision before the intent is used.
    """
    discussion = await discussion_of(context, task)
    intent, authors = await read_turns(context, task, interpretation_context, discussion)
    basis = task.current.basis.written_by(authors)
    await context.database.write(lambda tx: _save_basis(tx, job, basis))
    return intent


async def _save_basis(tx: Tx, job: Job, basis: Basis) -> None:
    await jobs.check_claim(tx, job)
    await tasks.save_revision(tx, job.number, job.revision, {"basis": basis.to_json()})


async def read_turns(
    context: JobContext, task: Task, interpretation_context: InterpretationContext | None, discussion: Discussion
) -> tuple[Intent | Unclear, frozenset[str]]:
    """The combined intent of the turns that this revision reads, in order, and their authors.

    Without an `interpretation_context` the texts need no reading. Everyone whose words a model was shown is an author.
    """
    authors = discussion.only(task.current.basis.turns).authors
    edits: list[Edit] = []
    texts: list[str] = []
    last: Intent | None = None
    by_rule, read_by = True, ""
    for n in task.current.basis.turns:
        up_to_turn = discussion.turns_of_people(n)
        texts.append(up_to_turn.turns[-1].text)
        if interpretation_context is None:
            continue
        read = await context.interpreter.interpret(up_to_turn.turns, interpretation_context)
        if read.read_by:  # the grammar reads only the last turn
            authors |= up_to_turn.authors
        if isinstance(read, Unclear):
            return read, authors
        by_rule, read_by = by_rule and bool(read.edits), read.read_by or read_by
        edits.extend(read.edits)
        last = read
    text, known = "\n".join(texts), tuple(edits) if by_rule else ()
    return Intent(text, known, lane=last.lane if last else None, read_by=read_by), authors


async def _commit(
    context: JobContext, job: Job, task: Task, settings: Settings, intent: Intent, plan: RequestPlan
) -> None:
    """Commit the outcome of planning: a question, a refusal, or the change job."""
    if plan.question is not None:
        await _ask(context, job, intent, plan.question)
        return
    decision = plan.decision
    decided = {"lane": decision.lane, "rule": decision.rule, "reason": decision.reason}
    requirements = plan.requirements.to_json() if plan.requirements else None
    revision = {
        "intent": intent.to_json(),
        **decided,
        "policy_digest": decision.policy_digest,
        "terms": requirements,
    }
    body = {**decided, "terms_sha256": canonical_sha256(requirements)}
    changes = {"lane": decision.lane, "title": await _title(context, task, settings, intent)}
    if plan.problem is not None:
        refusal = JobOutcome(changes=changes, revision=revision, body=body, problem=plan.problem)
        await context.finish(job, Fact.DENIED, refusal)
        return
    lane = settings.lane(decision.lane or "")
    question = None if intent.needs_git_alone else parameter_question(lane, task.parameters)
    if question is not None:
        await _ask(context, job, intent, question)
        return
    needs = frozenset(lane.needs) if intent.revert_of else context.executor_of(lane, intent).needs(lane)
    owed = OwedWork(needs=needs, after=task.after, write_set=lane.write)
    await context.finish(job, Fact.PLANNED, JobOutcome(changes=changes, revision=revision, body=body, owed=owed))


async def _title(context: JobContext, task: Task, settings: Settings, intent: Intent) -> str:
    """The task's title: from its last turn, whatever the revision builds on; an undo and a part keep it."""
    if intent.needs_git_alone:
        return task.title
    *earlier, last = task.current.basis.turns
    if not earlier:
        return intent.titled(settings.mask)
    turns = await context.database.read(lambda tx: tasks.turns_of(tx, task.number))
    return Intent(next(turn.text for turn in turns if turn.n == last)).titled(settings.mask)


def _how_to_answer(number: int, question: Question) -> Advice:
    options = f": one of {', '.join(question.options)}" if question.options else ""
    return advise("Answer with ", Suggestion(CommandName.REPLY, number, (BLANK,)), f"{options}.")


async def _ask(context: JobContext, job: Job, intent: Intent | None, question: Question) -> None:
    problem = Problem(Kind.FAILED, "asking", question.text, _how_to_answer(job.number, question))
    await context.finish(
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


def _nothing_requested() -> Problem:
    """The problem of a request that a model read and that asks for no change; the task does not wait for an answer."""
    return Problem(Kind.USAGE, "nothing_asked", "that asks for no change", "Say what to change in a new request.")


def _question(unclear: Unclear, interpretation_context: InterpretationContext | None) -> Question:
    """What to ask about a text that could not be read; if every option is a lane on offer, it asks for the lane."""
    offered_lanes = {offer.lane for offer in interpretation_context.offers} if interpretation_context else set()
    about = "lane" if unclear.options and offered_lanes.issuperset(unclear.options) else "request"
    return Question(about, _cannot(unclear), unclear.options)


def _cannot(unclear: Unclear) -> str:
    can = f" I can: {'; '.join(unclear.can)}" if unclear.can else ""
    reason = unclear.reason.rstrip(".")
    return f"{reason}{'' if reason.endswith(('?', '?”')) else '.'}{can}"
