"""Chooses the lane and the rule of a request; a pure function.

The first rule that matches a lane decides on it. Among the lanes that a rule opens for the person and that cover every
named path, lanes with a suitable executor come first, then those with stricter requirements; the person chooses between
equal ones. Reasons are put into words only when they are read: `policies.reasons`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.model.decision import PASSKEY, ApprovalRequirements, Effect, PolicyRequest
from core.model.person import Person
from core.model.turn import Question
from policies import reasons
from policies.index import LaneEvaluation, PathFit, PolicyIndex
from policies.rules import AskEffect, Rule


@dataclass(frozen=True, slots=True)
class LaneRoute:
    """The route of a request: the effect, the lane and the deciding rule; `why` returns the reason."""

    effect: Effect
    why: Callable[[], str]
    lane: str | None = None
    rule: Rule | None = None
    requirements: ApprovalRequirements | None = None
    question: Question | None = None


def route(index: PolicyIndex, request: PolicyRequest) -> LaneRoute:
    """The route of `request`."""
    person = index.people.of_repository(request.repository).get(request.person)
    if person is None:
        return _denied(reasons.unknown_person, index, request)
    if refusal := index.path_refusal(request.paths):
        return LaneRoute(Effect.DENY, lambda: refusal)
    if request.lane is not None and index.lane(request.lane) is None:
        return _denied(reasons.no_such_lane, index, request)
    evaluations = index.evaluate(person, request)
    usable = [one for one in evaluations if one.is_open]
    if not usable:
        return _no_open_lane(evaluations, person, request)
    fitting = [one for one in usable if one.lane.fit(request.paths) is PathFit.COVERS]
    if not fitting:
        return _no_covering_lane(evaluations, usable, request)
    return _choose(fitting, person, request)


def open_lanes(index: PolicyIndex, request: PolicyRequest) -> tuple[str, ...]:
    """The names of the lanes that a rule opens for the person, whatever the paths."""
    person = index.people.of_repository(request.repository).get(request.person)
    return tuple(one.name for one in index.evaluate(person, request) if one.is_open) if person else ()


def suits(name: str, request: PolicyRequest) -> bool:
    """True if the lane's executor suits the request: one that makes known edits, or one that does more."""
    return (name in request.edited_by_rule) is request.deterministic


def _denied(
    reason: Callable[..., str], *arguments: object, lane: str | None = None, rule: Rule | None = None
) -> LaneRoute:
    return LaneRoute(Effect.DENY, partial(reason, *arguments), lane, rule)


def _no_open_lane(evaluations: Sequence[LaneEvaluation], person: Person, request: PolicyRequest) -> LaneRoute:
    """The refusal when no rule opens a lane for this person."""
    covering = [one for one in evaluations if one.lane.fit(request.paths) is PathFit.COVERS]
    rule = next((one.rule for one in covering or evaluations if one.rule is not None), None)
    if rule is None:
        return _denied(reasons.no_rule, person, request)
    return _denied(reasons.denied_by, rule, lane=request.lane, rule=rule)


def _no_covering_lane(
    evaluations: Sequence[LaneEvaluation], usable: Sequence[LaneEvaluation], request: PolicyRequest
) -> LaneRoute:
    """The refusal when no open lane covers every path: a path is protected or outside, or several lanes are needed."""
    lanes = [one.lane for one in usable]
    if all(lane.fit(request.paths) is PathFit.PROTECTED for lane in lanes):
        return _denied(reasons.protected_path, lanes[0], request, lane=request.lane)
    for path in request.paths:
        if any(lane.accepts(path) for lane in lanes):
            continue
        closed_lanes = (one for one in evaluations if one.rule is not None and not one.is_open)
        denying_rule = next((one.rule for one in closed_lanes if one.lane.accepts(path)), None)
        if denying_rule is not None:
            return _denied(reasons.denied_by, denying_rule, path, rule=denying_rule)
        return _denied(reasons.outside, path, lanes, request)
    return _denied(reasons.several_lanes_needed, lanes, request)


def _choose(fitting: Sequence[LaneEvaluation], person: Person, request: PolicyRequest) -> LaneRoute:
    """The route to the best of the open lanes that cover every path, or the question that decides."""
    suited = [one for one in fitting if suits(one.name, request)] or fitting
    for one in suited:
        if one.rule is not None and isinstance(one.rule.then, AskEffect):
            question = Question("lane", one.rule.then.question, tuple(other.name for other in suited))
            return LaneRoute(Effect.ASK, partial(reasons.asks_first, one.rule), rule=one.rule, question=question)
    best = _best(suited, request)
    if len(best) > 1:
        names = tuple(one.name for one in best)
        question = Question("lane", reasons.which_lane(names, request), names)
        return LaneRoute(Effect.ASK, partial(reasons.equal_lanes, names, request), question=question)
    chosen = best[0]
    assert chosen.rule is not None
    all_suit = all(suits(one.name, request) for one in fitting)
    others = [one.name for one in fitting if one is not chosen] if all_suit else []
    why = partial(reasons.chosen, chosen.lane, chosen.rule, person, request, others)
    return LaneRoute(Effect.ALLOW, why, chosen.name, chosen.rule, chosen.rule.requirements)


def _best(suited: Sequence[LaneEvaluation], request: PolicyRequest) -> list[LaneEvaluation]:
    """The lanes with the strictest requirements; the one that a model suggests, if it is among them.

    If the request names no path, the suggestion comes before strictness, which then does not relate to the request.
    Every lane here is open to the person, and its paths and approvals apply in any case.
    """
    suggested = [one for one in suited if one.name == request.suggested]
    if suggested and not request.paths:
        return suggested
    strictest = min(map(_strictness, suited))
    best = [one for one in suited if _strictness(one) == strictest]
    return [one for one in best if one in suggested] or best


def _strictness(evaluation: LaneEvaluation) -> tuple[int, bool, bool, bool]:
    """A key that sorts the strictest requirements first: more approvals, none by the requester, a step-up."""
    requirements = evaluation.rule.requirements if evaluation.rule else None
    assert requirements is not None
    step_up = requirements.step_up
    return -requirements.count, requirements.self_approve, step_up != PASSKEY, not step_up
