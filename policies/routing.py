"""Routing: which lane a request takes, and by which rule. Pure: the same question has the same answer.

Every lane is judged by the first rule that matches it. Among the lanes that a rule opens for this person and that cover
every named path, the choice goes to lanes whose executor suits the request, then to the stricter requirements; what is
still undecided is asked. Why a route was taken is put into words only when somebody reads them: `policies.reasons`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.model.decision import ApprovalRequirements, Effect, PolicyRequest
from core.model.person import Person
from core.model.turn import Question
from policies import reasons
from policies.index import LaneEvaluation, PathFit, PolicyIndex
from policies.rules import AskEffect, Rule


@dataclass(frozen=True, slots=True)
class LaneRoute:
    """Where a request goes: the effect, the lane and the rule that decided, and `why`, which makes the reason."""

    effect: Effect
    why: Callable[[], str]
    lane: str | None = None
    rule: Rule | None = None
    requirements: ApprovalRequirements | None = None
    question: Question | None = None


def route(index: PolicyIndex, request: PolicyRequest) -> LaneRoute:
    """Where `request` goes."""
    person = index.people.get(request.person)
    if person is None:
        return _denied(reasons.stranger, request)
    if refusal := index.refusal_of_paths(request.paths):
        return LaneRoute(Effect.DENY, lambda: refusal)
    if request.lane is not None and index.lane(request.lane) is None:
        return _denied(reasons.no_such_lane, index, request)
    evaluations = index.evaluate(person, request)
    usable = [one for one in evaluations if one.is_open]
    if not usable:
        return _nobody_opens(evaluations, person, request)
    fitting = [one for one in usable if one.lane.fit(request.paths) is PathFit.COVERS]
    if not fitting:
        return _nothing_covers(evaluations, usable, request)
    return _choose(fitting, person, request)


def open_lanes(index: PolicyIndex, request: PolicyRequest) -> tuple[str, ...]:
    """The lanes that a rule opens for the person, by name, whatever the paths will be."""
    person = index.people.get(request.person)
    return tuple(one.name for one in index.evaluate(person, request) if one.is_open) if person else ()


def suits(name: str, request: PolicyRequest) -> bool:
    """True if the lane's executor is of the kind that this request wants: one that makes known edits, or another."""
    return (name in request.edited_by_rule) is request.deterministic


def _denied(reason: Callable[..., str], *about: object, lane: str | None = None, rule: Rule | None = None) -> LaneRoute:
    return LaneRoute(Effect.DENY, partial(reason, *about), lane, rule)


def _nobody_opens(evaluations: Sequence[LaneEvaluation], person: Person, request: PolicyRequest) -> LaneRoute:
    """The refusal when no rule lets this person into any lane that was looked at."""
    covering = [one for one in evaluations if one.lane.fit(request.paths) is PathFit.COVERS]
    rule = next((one.rule for one in covering or evaluations if one.rule is not None), None)
    if rule is None:
        return _denied(reasons.not_let_in, person, request)
    return _denied(reasons.denied_by, rule, lane=request.lane, rule=rule)


def _nothing_covers(
    evaluations: Sequence[LaneEvaluation], usable: Sequence[LaneEvaluation], request: PolicyRequest
) -> LaneRoute:
    """The refusal when no open lane covers every named path: protected, spread over lanes, or outside."""
    lanes = [one.lane for one in usable]
    if all(lane.fit(request.paths) is PathFit.PROTECTED for lane in lanes):
        return _denied(reasons.protected_in, lanes[0], request, lane=request.lane)
    for path in request.paths:
        if any(lane.takes(path) for lane in lanes):
            continue
        closed = (one for one in evaluations if one.rule is not None and not one.is_open)
        refusing = next((one.rule for one in closed if one.lane.takes(path)), None)
        if refusing is not None:
            return _denied(reasons.denied_by, refusing, path, rule=refusing)
        return _denied(reasons.outside, path, lanes, request)
    return _denied(reasons.spread_over, lanes, request)


def _choose(fitting: Sequence[LaneEvaluation], person: Person, request: PolicyRequest) -> LaneRoute:
    """The best of the lanes that are open and cover every path, or the question that decides."""
    suited = [one for one in fitting if suits(one.name, request)] or fitting
    for one in suited:
        if one.rule is not None and isinstance(one.rule.then, AskEffect):
            question = Question("lane", one.rule.then.question, tuple(other.name for other in suited))
            return LaneRoute(Effect.ASK, partial(reasons.asks_first, one.rule), rule=one.rule, question=question)
    best = _best(suited, request)
    if len(best) > 1:
        names = tuple(one.name for one in best)
        question = Question("lane", reasons.which_lane(names, request), names)
        return LaneRoute(Effect.ASK, partial(reasons.several, names, request), question=question)
    chosen = best[0]
    assert chosen.rule is not None
    all_suit = all(suits(one.name, request) for one in fitting)
    others = [one.name for one in fitting if one is not chosen] if all_suit else []
    why = partial(reasons.chosen, chosen.lane, chosen.rule, person, request, others)
    return LaneRoute(Effect.ALLOW, why, chosen.name, chosen.rule, chosen.rule.requirements)


def _best(suited: Sequence[LaneEvaluation], request: PolicyRequest) -> list[LaneEvaluation]:
    """The lanes of the strictest requirements, of which a model may name one.

    Where the text names no path, strictness says nothing of what is asked, so there the model's choice comes first:
    every lane here is open to the person, and its own paths and approvals bind in the end.
    """
    named = [one for one in suited if one.name == request.suggested]
    if named and not request.paths:
        return named
    strictest = min(map(_strictness, suited))
    best = [one for one in suited if _strictness(one) == strictest]
    return [one for one in best if one in named] or best


def _strictness(evaluation: LaneEvaluation) -> tuple[int, bool]:
    """Sorts the strictest requirements first: more approvals, then no approval of one's own request."""
    requirements = evaluation.rule.requirements if evaluation.rule else None
    assert requirements is not None
    return -requirements.count, requirements.self_approve
