"""Planning: policy's decision on a request, from its intent to its approval requirements. Pure.

The plan job, the read job, `policy explain`, `lane plan` and the check of recurring requests all use this module, so
that they judge a request alike. Nothing here uses a database session or a clock; a `LaneAvailability` says which lanes
can run now.
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
from core.model.workflow import first_invalid
from core.rules.lane_availability import LaneAvailability
from core.settings import Settings

ANYTHING: Final = Intent("")
"""The intent of a request that was not read: it names no path and no edit."""

PARAMETER: Final = "parameter "
"""The beginning of `Question.about` for a question about a parameter; the parameter's name follows."""

_MOST_GLOBS: Final = 4
_MOST_PATHS: Final = 3


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Who makes a request, on which surface, for which repository, and in which lane if they named one."""

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
        """The origin of a planned revision, as if `person` requested it on `surface`."""
        return cls(person, surface, task.repo or "", revision.lane or task.asked_lane)


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """The plan of a request: the policy request, the decision, and the problem that ends it, if there is one.

    `problem` is policy's refusal, or that no worker can run the chosen lane; None if the change can be made, or if
    `question` is asked first.
    """

    request: PolicyRequest
    decision: Decision
    problem: Problem | None

    @property
    def question(self) -> Question | None:
        """The question that is asked before policy decides, or None."""
        return self.decision.question if self.decision.effect is Effect.ASK else None

    @property
    def requirements(self) -> ApprovalRequirements | None:
        """The approval requirements of the change; None unless policy allows it."""
        return self.decision.requirements


def policy_request(
    origin: RequestOrigin, intent: Intent = ANYTHING, edited_by_rule: frozenset[str] = frozenset()
) -> PolicyRequest:
    """The policy request for `intent`; `edited_by_rule` are the lanes whose executor only makes known edits."""
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
    """The lanes that a rule opens to the requester for at least some requests; sorted by name."""
    return tuple(settings.lanes[name] for name in settings.policy.open_lanes(policy_request(origin)))


def plan_request(
    settings: Settings, availability: LaneAvailability, origin: RequestOrigin, intent: Intent
) -> RequestPlan:
    """Plan a request whose repository is known: policy's decision, and whether the lane can run now.

    A question between lanes offers only those that would accept the request if it named them. If there is one such lane
    it is chosen, and if there is none, the first lane's refusal is the decision.
    """
    by_rule = () if origin.lane else filter(availability.edits_by_rule, open_lanes(settings, origin))
    request = policy_request(origin, intent, frozenset(lane.name for lane in by_rule))
    decision = settings.policy.decide(request)
    if decision.effect is Effect.ASK and decision.question is not None:
        decision = _among_accepting_lanes(settings, availability, request, intent, decision, decision.question)
    if decision.effect is Effect.ASK and decision.question is not None:
        return RequestPlan(request, decision, None)
    problem = _problem_of(settings, availability, decision, intent)
    if problem is not None and decision.effect is Effect.ALLOW and request.paths and not origin.lane:
        problem = _explained_by_paths(settings, availability, request, decision, problem)
    return RequestPlan(request, decision, problem)


def parameter_question(lane: Lane, values: Mapping[str, str]) -> Question | None:
    """The question about the first parameter that is missing or invalid, or None.

    Raises `UsageError` for a parameter that the lane does not have.
    """
    invalid = first_invalid(lane.name, lane.parameters, values)
    if invalid is None:
        return None
    parameter, reason = invalid
    description = f": {parameter.describe}" if parameter.describe else ""
    text = f"{reason}. What is {parameter.name}{description}?"
    return Question(f"{PARAMETER}{parameter.name}", text, parameter.choices)


def people_allowed_in(settings: Settings, lane: str) -> list[str]:
    """The names of all people to whom a rule opens the lane in some repository on some surface; sorted."""
    return [
        person
        for person in sorted(settings.people.by_name)
        if any(
            open_lanes(settings, RequestOrigin(person, surface, repository, lane))
            for repository in settings.repositories
            for surface in sorted(SURFACES)
        )
    ]


def _among_accepting_lanes(
    settings: Settings,
    availability: LaneAvailability,
    request: PolicyRequest,
    intent: Intent,
    decision: Decision,
    question: Question,
) -> Decision:
    """The decision without the lanes in its question that would refuse the request."""
    if question.about != "lane":
        return decision
    accepting: dict[str, Decision] = {}
    refusals: list[Decision] = []
    for name in question.options:
        for_lane = settings.policy.decide(replace(request, lane=name))
        problem = _problem_of(settings, availability, for_lane, intent)
        if problem is None:
            accepting[name] = for_lane
        else:
            refusals.append(replace(for_lane, effect=Effect.DENY).because(problem.message))
    if not accepting:
        return refusals[0] if refusals else decision
    if len(accepting) == len(question.options):
        return decision
    if len(accepting) == 1:
        name, for_lane = next(iter(accepting.items()))
        return for_lane.because(f"of the lanes that cover it, only {name} takes it; rule {for_lane.rule}")
    fewer = Question("lane", f"Which lane shall it be: {' or '.join(accepting)}?", tuple(accepting))
    return replace(decision, question=fewer)


def _problem_of(
    settings: Settings, availability: LaneAvailability, decision: Decision, intent: Intent
) -> Problem | None:
    """Policy's refusal, or why no worker can run the lane; a control that cannot be enforced refuses the lane."""
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
    otherwise = "Reply to change the request, or ask someone whom a rule allows to make it."
    mend = advise("See every rule's answer with ", explain, ".", otherwise=otherwise)
    return Problem(Kind.REFUSED, "refused_by_policy", decision.reason, mend)


def _explained_by_paths(
    settings: Settings, availability: LaneAvailability, request: PolicyRequest, decision: Decision, problem: Problem
) -> Problem:
    """The problem of a lane that policy chose for known edits, with what it means for their files."""
    others = [settings.lanes[name] for name in settings.policy.open_lanes(request) if name != decision.lane]
    usable = [lane for lane in others if availability.can_run(lane)]

    def is_covered(path: str) -> bool:
        requests = (replace(request, paths=(path,), lane=lane.name) for lane in usable)
        return any(settings.policy.decide(for_lane).effect is Effect.ALLOW for for_lane in requests)

    uncovered = [path for path in request.paths if not is_covered(path)]
    names = ", ".join(uncovered[:_MOST_PATHS]) + (" and more" if len(uncovered) > _MOST_PATHS else "")
    if uncovered:
        where = f"{names} {'is' if len(uncovered) == 1 else 'are'} in no lane you may use now"
    else:
        where = "No single lane that you may use now covers all files"
    message = "; ".join([where, *map(_covers, usable), problem.message])
    return replace(problem, message=message)


def _covers(lane: Lane) -> str:
    more = len(lane.write) - _MOST_GLOBS
    return f"{lane.name} covers {', '.join(lane.write[:_MOST_GLOBS])}" + (f" and {more} more" if more > 0 else "")
