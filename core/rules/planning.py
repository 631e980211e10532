"""Planning: what policy says of a request, from what was read of it to what must be approved. Pure.

The plan job, the reading of a reply, `policy explain`, `lane plan` and the check of recurring requests all come here,
so that a request is judged alike wherever it is asked about. Nothing here knows a session or a clock; what can run now
is told by a `LaneAvailability`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from core.model.advice import CommandName, Suggestion, advise
from core.model.decision import ApprovalRequirements, Decision, Effect, PolicyRequest
from core.model.errors import Kind, PermanentError, Problem
from core.model.intent import Intent
from core.model.lane import Lane
from core.model.task import Revision, Task
from core.model.turn import SURFACES, Question
from core.model.workflow import first_wrong
from core.rules.lane_availability import LaneAvailability
from core.settings import Settings

ANYTHING: Final = Intent("")
"""The intent of a request of which nothing was read: it names no path and knows no edit."""

PARAMETER: Final = "parameter "
"""What a question about a parameter begins to be about; its name follows."""

_MOST_GLOBS: Final = 4
_MOST_PATHS: Final = 3


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Who asks, on which surface, for which repository, and in which lane if they named one."""

    person: str
    surface: str
    repository: str
    lane: str | None = None

    @classmethod
    def of_task(cls, task: Task) -> RequestOrigin:
        """The origin of a task's current revision, whose lane is not decided yet."""
        return cls(task.current.author, task.surface, task.repo or "", task.asked_lane)

    @classmethod
    def of_revision(cls, task: Task, revision: Revision, person: str, surface: str) -> RequestOrigin:
        """The origin of a planned revision, as if `person` asked for it on `surface`."""
        return cls(person, surface, task.repo or "", revision.lane or task.asked_lane)


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """What would become of a request: what policy was asked, what it decided, and why the request goes no further.

    `problem` is policy's refusal, or that no worker can work in the chosen lane; None when the request goes on, or when
    `question` is asked first.
    """

    request: PolicyRequest
    decision: Decision
    problem: Problem | None

    @property
    def question(self) -> Question | None:
        """What is asked before policy decides."""
        return self.decision.question if self.decision.effect is Effect.ASK else None

    @property
    def requirements(self) -> ApprovalRequirements | None:
        """Under which approvals the change may be published; None unless policy allows it."""
        return self.decision.requirements


def policy_request(
    origin: RequestOrigin, intent: Intent = ANYTHING, edited_by_rule: frozenset[str] = frozenset()
) -> PolicyRequest:
    """What policy is asked about `intent`; `edited_by_rule` are the lanes whose executor makes known edits."""
    return PolicyRequest(
        person=origin.person,
        surface=origin.surface,
        repository=origin.repository,
        paths=intent.paths(),
        lane=origin.lane,
        deterministic=bool(intent.edits or intent.needs_git_alone),
        suggested=intent.lane,
        undoes=intent.revert_of is not None,
        edited_by_rule=edited_by_rule,
    )


def open_lanes(settings: Settings, origin: RequestOrigin) -> tuple[Lane, ...]:
    """The lanes that a rule opens for who asks, whatever they will ask for; sorted by name."""
    return tuple(settings.lanes[name] for name in settings.policy.open_lanes(policy_request(origin)))


def plan_request(
    settings: Settings, availability: LaneAvailability, origin: RequestOrigin, intent: Intent
) -> RequestPlan:
    """Plan a request whose repository is known: policy's decision, and whether the lane can work now.

    A question between lanes is asked only about those that would take the request if they were named. With one such
    lane nothing is left to ask, and with none the first one's refusal is the decision.
    """
    by_rule = () if origin.lane else filter(availability.edits_by_rule, open_lanes(settings, origin))
    request = policy_request(origin, intent, frozenset(lane.name for lane in by_rule))
    decision = settings.policy.decide(request)
    if decision.effect is Effect.ASK and decision.question is not None:
        decision = _settled(settings, availability, request, intent, decision, decision.question)
    if decision.effect is Effect.ASK and decision.question is not None:
        return RequestPlan(request, decision, None)
    problem = _problem_of(settings, availability, decision, intent)
    if problem is not None and decision.effect is Effect.ALLOW and request.paths and not origin.lane:
        problem = _told_of_the_paths(settings, availability, request, decision, problem)
    return RequestPlan(request, decision, problem)


def parameter_question(lane: Lane, given: Mapping[str, str]) -> Question | None:
    """What to ask about the lane's parameters: the first that is missing or wrong. An unknown one is a `UsageError`."""
    wrong = first_wrong(lane.name, lane.parameters, given)
    if wrong is None:
        return None
    parameter, why = wrong
    about = f": {parameter.describe}" if parameter.describe else ""
    return Question(f"{PARAMETER}{parameter.name}", f"{why}. What is {parameter.name}{about}?", parameter.choices)


def people_let_into(settings: Settings, lane: str) -> list[str]:
    """Everybody whom a rule lets into the lane, in some repository, from some surface; sorted."""
    return [
        person
        for person in sorted(settings.people.by_name)
        if any(
            open_lanes(settings, RequestOrigin(person, surface, repository, lane))
            for repository in settings.repositories
            for surface in sorted(SURFACES)
        )
    ]


def _settled(
    settings: Settings,
    availability: LaneAvailability,
    request: PolicyRequest,
    intent: Intent,
    asked: Decision,
    question: Question,
) -> Decision:
    """The decision once the lanes that would not take the request are left out of the question."""
    if question.about != "lane":
        return asked
    takes: dict[str, Decision] = {}
    refusals: list[Decision] = []
    for name in question.options:
        decision = settings.policy.decide(replace(request, lane=name))
        problem = _problem_of(settings, availability, decision, intent)
        if problem is None:
            takes[name] = decision
        else:
            refusals.append(replace(decision, effect=Effect.DENY).because(problem.message))
    if not takes:
        return refusals[0] if refusals else asked
    if len(takes) == len(question.options):
        return asked
    if len(takes) == 1:
        name, decision = next(iter(takes.items()))
        return decision.because(f"of the lanes that cover it, only {name} takes it; rule {decision.rule}")
    fewer = Question("lane", f"Which lane shall it be: {' or '.join(takes)}?", tuple(takes))
    return replace(asked, question=fewer)


def _problem_of(
    settings: Settings, availability: LaneAvailability, decision: Decision, intent: Intent
) -> Problem | None:
    """Policy's refusal, or why no worker can work in the lane; a control that cannot be enforced refuses the lane."""
    if decision.effect is not Effect.ALLOW or decision.lane is None or decision.requirements is None:
        return _refusal(decision)
    try:
        lane = settings.lane(decision.lane)
    except PermanentError as error:
        return error.problem
    problem = None if intent.needs_git_alone else availability.obstacle(lane)
    if problem is not None and problem.code == "no_executor":
        return replace(problem, message=f"{decision.reason}; but {problem.message}")
    return problem


def _refusal(decision: Decision) -> Problem:
    explain = Suggestion(CommandName.EXPLAIN)
    otherwise = "Reply to change what is asked, or ask somebody whom a rule lets do it."
    mend = advise("See every rule's answer with ", explain, ".", otherwise=otherwise)
    return Problem(Kind.REFUSED, "refused_by_policy", decision.reason, mend)


def _told_of_the_paths(
    settings: Settings, availability: LaneAvailability, request: PolicyRequest, decision: Decision, problem: Problem
) -> Problem:
    """The problem of a lane that policy chose for known edits, told as what it means for their files."""
    others = [settings.lanes[name] for name in settings.policy.open_lanes(request) if name != decision.lane]
    able = [lane for lane in others if availability.can_run(lane)]

    def taken(path: str) -> bool:
        asked = (replace(request, paths=(path,), lane=lane.name) for lane in able)
        return any(settings.policy.decide(one).effect is Effect.ALLOW for one in asked)

    homeless = [path for path in request.paths if not taken(path)]
    names = ", ".join(homeless[:_MOST_PATHS]) + (" and more" if len(homeless) > _MOST_PATHS else "")
    where = f"{names} {'is' if len(homeless) == 1 else 'are'} in no lane" if homeless else "All of it is in no one lane"
    message = "; ".join([f"{where} you may use now", *map(_covers, able), problem.message])
    return replace(problem, message=message)


def _covers(lane: Lane) -> str:
    more = len(lane.write) - _MOST_GLOBS
    return f"{lane.name} covers {', '.join(lane.write[:_MOST_GLOBS])}" + (f" and {more} more" if more > 0 else "")
