"""Plan: from what was said to an intent, and from the intent to policy's decision."""

from __future__ import annotations

from dataclasses import replace

from core.jobs.interpretation_context import Discussion, helped_elsewhere, scene_of, talk_of
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput
from core.jobs.path_obstacle import about_the_paths
from core.model.advice import BLANK, Advice, CommandName, Suggestion, advise
from core.model.decision import Decision, Effect, PolicyRequest
from core.model.edits import Edit
from core.model.errors import Kind, PermanentError, Problem
from core.model.intent import Intent, Unclear
from core.model.job import Job
from core.model.lane import Lane
from core.model.lifecycle import Fact
from core.model.task import Task
from core.model.turn import Question
from core.model.workflow import first_wrong
from core.ports import InterpretationContext
from core.rules.audit import terms_hash
from core.rules.basis import PARAMETER
from core.settings import Settings
from core.store import jobs, spending, tasks
from core.store.transition import OwedWork
from core.store.unit_of_work import Tx

ASKING_EXPIRES_S = 14 * 24 * 3600


async def decide(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Read the intent, ask policy, and commit what it says."""
    task = await shop.task_for(job)
    shop.milestones.reached("plan.loaded", number=job.number)
    settings = shop.settings()
    asked = task.asked_lane and settings.lanes.get(task.asked_lane)
    reads_text = not asked or asked.executor == "edit"
    scene = await scene_of(shop, job, task) if reads_text and task.current.intent is None else None
    intent = task.current.intent or await _read(shop, job, task, scene)
    if isinstance(intent, Unclear) and intent.idle and task.revision == 1:
        await shop.finish(job, Fact.CANCELLED, JobOutcome(problem=_nothing_asked(), changes={"expires_ms": None}))
        return OVER
    if isinstance(intent, Unclear):
        await _ask(shop, job, None, _question(intent, scene))
        return OVER
    if task.repo is None:
        names = tuple(sorted(settings.repositories))
        # what no rule can read, and what depends on the files, is read once the repository is known
        known = intent if intent.edits and intent.is_located else None
        await _ask(shop, job, known, Question("repository", "Which repository?", names))
        return OVER
    settings.repository(task.repo)
    decision = settings.policy.decide(petition_for(task, intent))
    if intent.read_by and (lane := decision.lane):  # what reading it cost counts for the lane it led to
        await shop.database.write(lambda tx: spending.settle(tx, job, lane))
    await _commit(shop, job, task, settings, intent, decision)
    return OVER


STEPS: tuple[tuple[str, JobStep], ...] = (("decide", decide),)


async def _read(shop: JobContext, job: Job, task: Task, scene: InterpretationContext | None) -> Intent | Unclear:
    """The intent of the turns that this revision reads.

    Whose words they are is kept with the revision before anything is made of them.
    """
    intent, authors = await read_turns(shop, task, scene, await talk_of(shop, task))
    basis = task.current.basis.written_by(authors).to_json()

    async def work(tx: Tx) -> None:
        await jobs.hold(tx, job)
        await tasks.save_revision(tx, task.number, task.revision, {"basis": basis})

    await shop.database.write(work)
    return intent


async def read_turns(
    shop: JobContext, task: Task, scene: InterpretationContext | None, talk: Discussion
) -> tuple[Intent | Unclear, frozenset[str]]:
    """The intents of the turns this revision reads, put together in order, and everybody whose words they are.

    Without a scene nothing needs reading. Everybody of whom a model was told counts.
    """
    authors = talk.only(task.current.basis.turns).authors
    edits: list[Edit] = []
    texts: list[str] = []
    last: Intent | None = None
    by_rule, read_by = True, ""
    for n in task.current.basis.turns:
        shown = talk.said_by_people(n)
        texts.append(shown.turns[-1].text)
        if scene is None:
            continue
        read = await shop.interpreter.interpret(shown.turns, scene)
        if read.read_by:  # by rule nothing but the last turn is read
            authors |= shown.authors
        if isinstance(read, Unclear):
            return read, authors
        by_rule, read_by = by_rule and bool(read.edits), read.read_by or read_by
        edits.extend(read.edits)
        last = read
    text, known = "\n".join(texts), tuple(edits) if by_rule else ()
    return Intent(text, known, lane=last.lane if last else None, read_by=read_by), authors


def petition_for(task: Task, intent: Intent) -> PolicyRequest:
    """What policy is asked about the current revision of a task, whose lane is not decided yet."""
    return PolicyRequest(
        person=task.current.author,
        surface=task.surface,
        repository=task.repo or "",
        paths=intent.paths(),
        lane=task.asked_lane,
        deterministic=bool(intent.edits or intent.needs_git_alone),
        suggested=intent.lane,
        undoes=intent.revert_of is not None,
    )


async def _commit(
    shop: JobContext, job: Job, task: Task, settings: Settings, intent: Intent, decision: Decision
) -> None:
    if decision.effect is Effect.ASK and decision.question is not None:
        offered = await _offered(shop, task, settings, intent, decision.question)
        if isinstance(offered, Question):
            await _ask(shop, job, intent, offered)
            return
        decision = offered
    revision = {
        "intent": intent.to_json(),
        "lane": decision.lane,
        "rule": decision.rule,
        "reason": decision.reason,
        "policy_digest": decision.policy_digest,
        "terms": decision.terms.to_json() if decision.terms else None,
    }
    body = {
        "lane": decision.lane,
        "rule": decision.rule,
        "reason": decision.reason,
        "terms_sha256": terms_hash(decision.terms),
    }
    title = {"title": await _title(shop, task, settings, intent)}
    problem = _refusal(decision) or await _incapable(shop, settings, decision, intent)
    if problem is not None:
        problem = await about_the_paths(shop, settings, task, intent, decision, problem)
        await shop.finish(
            job,
            Fact.DENIED,
            JobOutcome(changes={"lane": decision.lane, **title}, revision=revision, body=body, problem=problem),
        )
        return
    lane = settings.lane(decision.lane or "")
    needs = frozenset(lane.needs) if intent.needs_git_alone else shop.executors[lane.executor].needs(lane)
    question = None if intent.needs_git_alone else _about_parameters(lane, task)
    if question is not None:
        await _ask(shop, job, intent, question)
        return
    owed = OwedWork(needs=needs, after=task.after, write_set=lane.write)
    await shop.finish(
        job,
        Fact.PLANNED,
        JobOutcome(changes={"lane": lane.name, **title}, revision=revision, body=body, owed=owed),
    )


async def _offered(
    shop: JobContext, task: Task, settings: Settings, intent: Intent, question: Question
) -> Question | Decision:
    """A question about the lane with only the lanes that would take the request if they were named.

    With one such lane nothing is left to ask, and with none the first one's refusal is the decision.
    """
    if question.about != "lane":
        return question
    petition = petition_for(task, intent)
    takes: dict[str, Decision] = {}
    refusals: list[Decision] = []
    for name in question.options:
        decision = settings.policy.decide(replace(petition, lane=name))
        problem = _refusal(decision) or await _incapable(shop, settings, decision, intent)
        if problem is None:
            takes[name] = decision
        else:
            refusals.append(replace(decision, effect=Effect.DENY, reason=problem.message))
    if not takes:
        return refusals[0] if refusals else settings.policy.decide(petition)
    if len(takes) == len(question.options):
        return question
    if len(takes) == 1:
        name, decision = next(iter(takes.items()))
        return replace(decision, reason=f"of the lanes that cover it, only {name} takes it; rule {decision.rule}")
    return Question("lane", f"Which lane shall it be: {' or '.join(takes)}?", tuple(takes))


def _about_parameters(lane: Lane, task: Task) -> Question | None:
    """What to ask about the lane's parameters: the first that is missing or wrong. An unknown one is a `UsageError`."""
    wrong = first_wrong(lane.name, lane.parameters, task.parameters)
    if wrong is None:
        return None
    parameter, why = wrong
    about = f": {parameter.describe}" if parameter.describe else ""
    return Question(f"{PARAMETER}{parameter.name}", f"{why}. What is {parameter.name}{about}?", parameter.choices)


async def _title(shop: JobContext, task: Task, settings: Settings, intent: Intent) -> str:
    """What the task is called now: by the last turn, whatever it goes on from; an undo keeps its name."""
    if intent.revert_of:
        return task.title
    *earlier, last = task.current.basis.turns
    if not earlier:
        return intent.titled(settings.mask)
    turns = await shop.database.read(lambda tx: tasks.turns_of(tx, task.number))
    return Intent(next(turn.text for turn in turns if turn.n == last)).titled(settings.mask)


def _refusal(decision: Decision) -> Problem | None:
    if decision.effect is Effect.ALLOW and decision.lane and decision.terms:
        return None
    return Problem(
        Kind.REFUSED,
        "refused_by_policy",
        decision.reason,
        advise(
            "See every rule's answer with ",
            Suggestion(CommandName.EXPLAIN),
            ".",
            otherwise="Reply to change what is asked, or ask somebody whom a rule lets do it.",
        ),
    )


async def _incapable(shop: JobContext, settings: Settings, decision: Decision, intent: Intent) -> Problem | None:
    """Why no worker can run the chosen lane; a control that cannot be enforced refuses the lane."""
    try:
        lane = settings.lane(decision.lane or "")
    except PermanentError as error:
        return error.problem
    if intent.needs_git_alone:
        return None
    executor = shop.executors.get(lane.executor)
    if executor is None:
        return Problem(
            Kind.REFUSED,
            "no_executor",
            f"{decision.reason}; but for lane {lane.name} there is no executor {lane.executor}; "
            f"there are: {', '.join(sorted(shop.executors))}",
            "Ask for a deterministic edit in another lane, or configure that executor.",
        )
    problem = executor.unavailable(lane)
    if problem is None or await helped_elsewhere(shop, executor, lane, problem):
        return None
    return replace(problem, kind=Kind.REFUSED)


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


def _question(unclear: Unclear, scene: InterpretationContext | None) -> Question:
    """What to ask about a text that could not be read; where every answer is a lane on offer, the lane is asked for."""
    offered = {offer.lane for offer in scene.offers} if scene else set()
    about = "lane" if unclear.options and offered.issuperset(unclear.options) else "request"
    return Question(about, _cannot(unclear), unclear.options)


def _cannot(unclear: Unclear) -> str:
    can = f" I can: {'; '.join(unclear.can)}" if unclear.can else ""
    reason = unclear.reason.rstrip(".")
    return f"{reason}{'' if reason.endswith(('?', '?”')) else '.'}{can}"
