"""Explaining: the trace of a decision in plain words, from the very values that decided."""

from __future__ import annotations

from core.model.decision import Decision, Effect, PolicyRequest
from core.model.person import People
from policies.routing import LaneEvaluation, LaneRoute, PathFit, mismatch, suits
from policies.rules import AllowEffect, AskEffect, DenyEffect, Rule, Rules


def trace(route: LaneRoute, rules: Rules, people: People, petition: PolicyRequest) -> tuple[str, ...]:
    """One line for each rule and each lane that was looked at: why it matched, was chosen, or was not."""
    person = people.get(petition.person)
    lines = [_question(petition)]
    if person is None or not route.views:
        return (*lines, route.reason)
    for rule in rules.rules:
        why = {v.name: mismatch(rule, person, petition, v.name) for v in route.views}
        lines.append(f"rule {rule.name}: {_rule_line(rule, why, route)}")
    lines.extend(f"lane {view.name}: {_lane_line(view, route, petition)}" for view in route.views)
    return tuple(lines)


def explain(decision: Decision) -> str:
    """The decision and its trace as a text for ``policy explain``."""
    verdict = {
        Effect.ALLOW: f"ALLOWED in lane {decision.lane} by rule {decision.rule}",
        Effect.DENY: "DENIED" + (f" by rule {decision.rule}" if decision.rule else ""),
        Effect.ASK: "ASKS FIRST",
    }[decision.effect]
    options = decision.question.options if decision.question else ()
    asked = [f"{decision.question.text} ({', '.join(options)})"] if decision.question else []
    return "\n".join((f"{verdict}: {decision.reason}", *asked, *(f"  {line}" for line in decision.trace)))


def _question(petition: PolicyRequest) -> str:
    what = ", ".join(repr(path)[1:-1] for path in petition.paths) or "no named path"
    lane = f" in lane {petition.lane}" if petition.lane else ""
    how = "known edits" if petition.deterministic else "work for a model, an agent or a command"
    where = f"in {petition.repository} from {petition.surface}"
    return f"asked: {petition.person} {where}{lane}: {what}; {how}"


def _rule_line(rule: Rule, why: dict[str, str | None], route: LaneRoute) -> str:
    """What `rule` said of each lane."""
    decided = [v.name for v in route.views if v.rule is rule]
    late = [v.name for v in route.views if why[v.name] is None and v.rule is not rule]
    if decided:
        more = f"; for {', '.join(late)} a rule above decided" if late else ""
        return f"decides {', '.join(decided)}: {_outcome(rule)}{more}"
    if late:
        return f"would match {', '.join(late)}, but a rule above decided"
    reasons = list(dict.fromkeys(text for text in why.values() if text))
    lanes = [text for text in reasons if not text.startswith("it is for the lane")]
    return f"does not match: {(lanes or reasons)[0]}"


def _outcome(rule: Rule) -> str:
    match rule.then:
        case AllowEffect(terms):
            return f"allow with {terms.count} of {', '.join(terms.approvers)}"
        case DenyEffect(reason):
            return f"deny: {reason}"
        case AskEffect(question):
            return f"ask: {question}"


def _lane_line(view: LaneEvaluation, route: LaneRoute, petition: PolicyRequest) -> str:
    """Why a lane was chosen or was not."""
    if route.chosen is view and route.effect is Effect.ALLOW:
        return f"chosen by rule {view.rule.name if view.rule else '-'}"
    if view.rule is None:
        return "not open: no rule matches"
    if not view.open:
        return f"not open: rule {view.rule.name} denies"
    if view.fit is PathFit.PROTECTED:
        return f"open by rule {view.rule.name}, but protected: {', '.join(view.misses)}"
    if view.fit is PathFit.OUTSIDE:
        return f"open by rule {view.rule.name}, but does not cover {', '.join(view.misses)}"
    if route.question is not None and view.name in route.question.options:
        return f"open by rule {view.rule.name}; could be chosen, so it is asked"
    if not suits(view, petition):
        wanted = "the executor edit" if petition.deterministic else "an executor other than edit"
        return f"open by rule {view.rule.name}, but has {view.post.lane.executor}, and this wants {wanted}"
    return f"open by rule {view.rule.name}, but a stricter lane covers it too"
