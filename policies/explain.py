"""Explains a decision: how each rule and each lane evaluated the request, from the values that routing uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.model.decision import Decision, Effect, PolicyRequest
from policies.index import LaneEvaluation, PathFit, PolicyIndex
from policies.reasons import STEP_UPS, mismatch, misses
from policies.routing import LaneRoute, route, suits
from policies.rules import AllowEffect, AskEffect, DenyEffect, Rule


def trace(index: PolicyIndex, request: PolicyRequest) -> tuple[str, ...]:
    """One line for each evaluated rule and lane: why it matched or was chosen, or why not."""
    person, chosen = index.people.of_repository(request.repository).get(request.person), route(index, request)
    lines = [_request_line(request)]
    evaluations = index.evaluate(person, request) if person and not index.path_refusal(request.paths) else []
    if person is None or not evaluations:
        return (*lines, chosen.why())
    for rule in index.rules.rules:
        why = {one.name: mismatch(rule, person, request, one.name) for one in evaluations}
        lines.append(f"rule {rule.name}: {_rule_line(rule, why, evaluations)}")
    lines.extend(f"lane {one.name}: {_lane_line(one, chosen, request)}" for one in evaluations)
    return tuple(lines)


def explain(decision: Decision, lines: Sequence[str]) -> str:
    """The decision and the `lines` of its trace as a text for ``policy explain``."""
    verdict = {
        Effect.ALLOW: f"ALLOWED in lane {decision.lane} by rule {decision.rule}",
        Effect.DENY: "DENIED" + (f" by rule {decision.rule}" if decision.rule else ""),
        Effect.ASK: "ASKS FIRST",
    }[decision.effect]
    options = decision.question.options if decision.question else ()
    question = [f"{decision.question.text} ({', '.join(options)})"] if decision.question else []
    return "\n".join((f"{verdict}: {decision.reason}", *question, *(f"  {line}" for line in lines)))


def _request_line(request: PolicyRequest) -> str:
    paths = ", ".join(repr(path)[1:-1] for path in request.paths) or "no named path"
    lane = f" in lane {request.lane}" if request.lane else ""
    work = "known edits" if request.deterministic else "work for a model, an agent or a command"
    where = f"in {request.repository} from {request.surface}"
    return f"asked: {request.person} {where}{lane}: {paths}; {work}"


def _rule_line(rule: Rule, why: Mapping[str, str | None], evaluations: Sequence[LaneEvaluation]) -> str:
    """How `rule` evaluated each lane."""
    decided = [one.name for one in evaluations if one.rule is rule]
    shadowed = [one.name for one in evaluations if why[one.name] is None and one.rule is not rule]
    if decided:
        more = f"; for {', '.join(shadowed)} a rule above decided" if shadowed else ""
        return f"decides {', '.join(decided)}: {_outcome(rule)}{more}"
    if shadowed:
        return f"would match {', '.join(shadowed)}, but a rule above decided"
    reasons = list(dict.fromkeys(text for text in why.values() if text))
    lanes = [text for text in reasons if not text.startswith("it is for the lane")]
    return f"does not match: {(lanes or reasons)[0]}"


def _outcome(rule: Rule) -> str:
    match rule.then:
        case AllowEffect(requirements):
            signed = f", {STEP_UPS[requirements.step_up]}" if requirements.step_up else ""
            return f"allow with {requirements.count} of {', '.join(requirements.approvers)}{signed}"
        case DenyEffect(reason):
            return f"deny: {reason}"
        case AskEffect(question):
            return f"ask: {question}"


def _lane_line(one: LaneEvaluation, chosen: LaneRoute, request: PolicyRequest) -> str:
    """Why a lane was chosen or not."""
    if chosen.effect is Effect.ALLOW and chosen.lane == one.name:
        return f"chosen by rule {one.rule.name if one.rule else '-'}"
    if one.rule is None:
        return "not open: no rule matches"
    if not one.is_open:
        return f"not open: rule {one.rule.name} denies"
    fit = one.lane.fit(request.paths)
    if fit is PathFit.PROTECTED:
        return f"open by rule {one.rule.name}, but protected: {', '.join(misses(one.lane, request))}"
    if fit is PathFit.OUTSIDE:
        return f"open by rule {one.rule.name}, but does not cover {', '.join(misses(one.lane, request))}"
    if chosen.question is not None and one.name in chosen.question.options:
        return f"open by rule {one.rule.name}; could be chosen, so the person is asked"
    if not suits(one.name, request):
        needed = "makes known edits" if request.deterministic else "does more than make known edits"
        reason = f"has {one.lane.lane.executor}, and the request needs an executor that {needed}"
        return f"open by rule {one.rule.name}, but {reason}"
    return f"open by rule {one.rule.name}, but a stricter lane also covers it"
