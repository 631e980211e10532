"""Plan: from what was said to an intent, and from the intent to policy's decision."""

from __future__ import annotations

from dataclasses import replace

from core.basis import PARAMETER
from core.decision import Decision, Effect, Petition
from core.edit import Edit
from core.errors import Kind, PermanentError, Problem
from core.intent import Intent, Unclear
from core.job import Job
from core.lane import Lane
from core.lifecycle import Fact
from core.ports import Scene
from core.settings import Settings
from core.store import spending, tasks
from core.store.database import Session
from core.task import Task
from core.transition import Owed
from core.turn import Question, Turn
from core.work.scene import helped_elsewhere, scene_of
from core.work.workshop import OVER, Notes, Outcome, Step, Workshop
from core.workflow import first_wrong

ASKING_EXPIRES_S = 14 * 24 * 3600
MAX_TITLE = 100


async def decide(shop: Workshop, job: Job, _notes: Notes) -> Notes:
    """Read the intent, ask policy, and commit what it says."""
    task = await shop.task_for(job)
    shop.milestones.reached("plan.loaded", number=job.number)
    settings = shop.settings()
    asked = task.asked_lane and settings.lanes.get(task.asked_lane)
    reads_text = not asked or asked.executor == "edit"
    scene = await scene_of(shop, job, task) if reads_text and task.current.intent is None else None
    intent = task.current.intent or await read_turns(shop, task, scene, await _said(shop, task))
    if isinstance(intent, Unclear) and intent.idle and task.revision == 1:
        await shop.finish(job, Fact.CANCELLED, Outcome(problem=_nothing_asked(), changes={"expires_ms": None}))
        return OVER
    if isinstance(intent, Unclear):
        await _ask(shop, job, None, _question(intent, scene))
        return OVER
    if task.repo is None:
        names = tuple(sorted(settings.repositories))
        known = intent if intent.edits else None  # what no rule can read is read once the repository is known
        await _ask(shop, job, known, Question("repository", "Which repository?", names))
        return OVER
    settings.repository(task.repo)
    decision = settings.policy.decide(petition_for(task, intent))
    if intent.read_by and (lane := decision.lane):  # what reading it cost counts for the lane it led to
        await shop.database.write(lambda session: spending.settle(session, job, lane))
    await _commit(shop, job, task, settings, intent, decision)
    return OVER


STEPS: tuple[tuple[str, Step], ...] = (("decide", decide),)


async def _said(shop: Workshop, task: Task) -> tuple[Turn, ...]:
    async def work(session: Session) -> tuple[Turn, ...]:
        return await tasks.turns_of(session, task.number)

    return await shop.database.read(work)


async def read_turns(shop: Workshop, task: Task, scene: Scene | None, said: tuple[Turn, ...]) -> Intent | Unclear:
    """The intents of the turns this revision reads, put together in order; without a scene nothing needs reading."""
    edits: list[Edit] = []
    texts: list[str] = []
    last: Intent | None = None
    by_rule, read_by = True, ""
    for n in task.current.basis.turns:
        turns = said[:n]
        texts.append(turns[-1].text)
        if scene is None:
            continue
        read = await shop.interpreter.interpret(turns, scene)
        if isinstance(read, Unclear):
            return read
        by_rule, read_by = by_rule and bool(read.edits), read.read_by or read_by
        edits.extend(read.edits)
        last = read
    text, known = "\n".join(texts), tuple(edits) if by_rule else ()
    return Intent(text, known, lane=last.lane if last else None, read_by=read_by)


def petition_for(task: Task, intent: Intent) -> Petition:
    """What policy is asked about the current revision of a task, whose lane is not decided yet."""
    return Petition(
        person=task.current.author,
        surface=task.surface,
        repository=task.repo or "",
        paths=intent.paths(),
        lane=task.asked_lane,
        deterministic=bool(intent.edits or intent.needs_git_alone),
        suggested=intent.lane,
    )


async def _commit(shop: Workshop, job: Job, task: Task, settings: Settings, intent: Intent, decision: Decision) -> None:
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
    body = {"lane": decision.lane, "rule": decision.rule, "reason": decision.reason}
    title = {"title": _title(task, intent)}
    problem = _refusal(decision) or await _incapable(shop, settings, decision, intent)
    if problem is not None:
        await shop.finish(
            job,
            Fact.DENIED,
            Outcome(changes={"lane": decision.lane, **title}, revision=revision, body=body, problem=problem),
        )
        return
    lane = settings.lane(decision.lane or "")
    needs = frozenset(lane.needs) if intent.needs_git_alone else shop.executors[lane.executor].needs(lane)
    question = None if intent.needs_git_alone else _about_parameters(lane, task)
    if question is not None:
        await _ask(shop, job, intent, question)
        return
    owed = Owed(needs=needs, after=task.after)
    await shop.finish(
        job,
        Fact.PLANNED,
        Outcome(changes={"lane": lane.name, **title}, revision=revision, body=body, owed=owed),
    )


async def _offered(
    shop: Workshop, task: Task, settings: Settings, intent: Intent, question: Question
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


def _title(task: Task, intent: Intent) -> str:
    """What the task is called now: a revision that goes on from an earlier one says both."""
    if intent.revert_of or task.current.basis.turns == (1,):
        return task.title if intent.revert_of else intent.title
    if task.current.basis.continue_from is None:
        return intent.title
    both = f"{task.title}; then {intent.title}"
    return both if len(both) <= MAX_TITLE else both[: MAX_TITLE - 1].rstrip() + "…"


def _refusal(decision: Decision) -> Problem | None:
    if decision.effect is Effect.ALLOW and decision.lane and decision.terms:
        return None
    return Problem(
        Kind.REFUSED,
        "refused_by_policy",
        decision.reason,
        "See every rule's answer with `countersign policy explain`.",
    )


async def _incapable(shop: Workshop, settings: Settings, decision: Decision, intent: Intent) -> Problem | None:
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
            f"{decision.reason}; but lane {lane.name} needs the executor {lane.executor!r}, which is not installed",
            "Ask for a deterministic edit in another lane, or configure that executor.",
        )
    problem = executor.unavailable(lane)
    if problem is None or await helped_elsewhere(shop, executor, lane, problem):
        return None
    return replace(problem, kind=Kind.REFUSED)


async def _ask(shop: Workshop, job: Job, intent: Intent | None, question: Question) -> None:
    problem = Problem(
        Kind.FAILED,
        "asking",
        question.text,
        f"Answer with: countersign reply {job.number} " + (" | ".join(question.options) if question.options else '"…"'),
    )
    await shop.finish(
        job,
        Fact.UNCLEAR,
        Outcome(
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


def _question(unclear: Unclear, scene: Scene | None) -> Question:
    """What to ask about a text that could not be read; where every answer is a lane on offer, the lane is asked for."""
    offered = {offer.lane for offer in scene.offers} if scene else set()
    about = "lane" if unclear.options and offered.issuperset(unclear.options) else "request"
    return Question(about, _cannot(unclear), unclear.options)


def _cannot(unclear: Unclear) -> str:
    can = f" I can: {'; '.join(unclear.can)}" if unclear.can else ""
    reason = unclear.reason.rstrip(".")
    return f"{reason}{'' if reason.endswith(('?', '?”')) else '.'}{can}"
