"""A naive evaluation of a policy: every rule for every lane, and every word at once. What the index must agree with.

It is the product's first evaluation, kept as it was: each lane is judged by asking each rule in turn, each path by
walking each glob part by part, and reason and trace are written for every decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.model.change import show_path
from core.model.decision import ApprovalRequirements, Effect, PolicyRequest
from core.model.lane import Lane
from core.model.person import People, Person
from core.model.repository_path import PathError, check_path
from core.model.turn import Question
from policies.globs import Globs
from policies.protected import PROTECTED
from policies.rules import AllowEffect, AskEffect, DenyEffect, Rule, Rules


@dataclass(frozen=True)
class View:
    """One lane as the request sees it; `held` are protected paths with their pattern, `outside` uncovered ones."""

    lane: Lane
    write: Globs
    protect: Globs
    rule: Rule | None
    held: tuple[tuple[str, str], ...]
    outside: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.lane.name

    @property
    def open(self) -> bool:
        return self.rule is not None and not isinstance(self.rule.then, DenyEffect)

    @property
    def covers(self) -> bool:
        return not self.held and not self.outside

    @property
    def requirements(self) -> ApprovalRequirements:
        assert self.rule is not None
        assert isinstance(self.rule.then, AllowEffect)
        return self.rule.then.requirements

    def takes(self, path: str) -> bool:
        return self.write.covers(path.encode()) is not None and self.protect.denies(path.encode()) is None


@dataclass(frozen=True)
class NaiveDecision:
    """All that a decision says, with its trace."""

    effect: Effect
    reason: str
    views: tuple[View, ...] = ()
    lane: str | None = None
    rule: Rule | None = None
    requirements: ApprovalRequirements | None = None
    question: Question | None = None
    trace: tuple[str, ...] = ()


class NaivePolicy:
    """Decides by looking at everything, each time."""

    def __init__(self, rules: Rules, people: People, lanes: Mapping[str, Lane]) -> None:
        self.rules, self.people, self.lanes = rules, people, lanes
        self.everywhere = Globs(tuple(dict.fromkeys((*PROTECTED, *rules.protect))))
        self.globs = {
            name: (Globs(lane.write), Globs(tuple(dict.fromkeys((*self.everywhere.patterns, *lane.protect)))))
            for name, lane in sorted(lanes.items())
        }

    def decide(self, request: PolicyRequest) -> NaiveDecision:
        decision = self._route(request)
        return NaiveDecision(**{**vars(decision), "trace": self._trace(decision, request)})

    def _route(self, request: PolicyRequest) -> NaiveDecision:
        person = self.people.get(request.person)
        if person is None:
            return NaiveDecision(Effect.DENY, f"no person called {request.person!r} is in countersign.yaml")
        for path in request.paths:
            try:
                check_path(path)
            except PathError as error:
                return NaiveDecision(Effect.DENY, str(error))
            if pattern := self.everywhere.denies(path.encode()):
                return NaiveDecision(Effect.DENY, f"{_show(path)} may not be changed in any lane (by {pattern})")
        if request.lane is not None and request.lane not in self.lanes:
            known = ", ".join(sorted(self.lanes)) or "none"
            return NaiveDecision(Effect.DENY, f"there is no lane called {request.lane!r}; lanes are: {known}")
        views = tuple(self._view(name, person, request) for name in sorted(self.lanes) if request.lane in {None, name})
        usable = [view for view in views if view.open]
        if not usable:
            return _nobody_opens(views, person, request)
        fitting = [view for view in usable if view.covers]
        return _choose(views, fitting, person, request) if fitting else _nothing_covers(views, usable, request)

    def _view(self, name: str, person: Person, request: PolicyRequest) -> View:
        write, protect = self.globs[name]
        rule = next((r for r in self.rules.rules if _mismatch(r, person, request, name) is None), None)
        found = [(path, protect.denies(path.encode())) for path in request.paths]
        held = tuple((path, pattern) for path, pattern in found if pattern)
        outside = tuple(path for path in request.paths if not write.covers(path.encode()))
        return View(self.lanes[name], write, protect, rule, held, () if held else outside)

    def _trace(self, decision: NaiveDecision, request: PolicyRequest) -> tuple[str, ...]:
        person = self.people.get(request.person)
        what = ", ".join(repr(path)[1:-1] for path in request.paths) or "no named path"
        lane = f" in lane {request.lane}" if request.lane else ""
        how = "known edits" if request.deterministic else "work for a model, an agent or a command"
        lines = [f"asked: {request.person} in {request.repository} from {request.surface}{lane}: {what}; {how}"]
        if person is None or not decision.views:
            return (*lines, decision.reason)
        for rule in self.rules.rules:
            why = {view.name: _mismatch(rule, person, request, view.name) for view in decision.views}
            lines.append(f"rule {rule.name}: {_rule_line(rule, why, decision.views)}")
        return (*lines, *(f"lane {view.name}: {_lane_line(view, decision, request)}" for view in decision.views))


def _mismatch(rule: Rule, person: Person, request: PolicyRequest, lane: str) -> str | None:
    when, who = rule.when, f"{person.name} ({', '.join(sorted(person.roles)) or 'no role'})"
    if person.name not in when.people and not set(when.people) & person.roles:
        return f"it is for {_or(when.people)}, and {who} is not"
    if when.repositories is not None and request.repository not in when.repositories:
        return f"it is for the repository {_or(when.repositories)}, not {request.repository}"
    if when.surfaces is not None and request.surface not in when.surfaces:
        return f"it is for requests from {_or(when.surfaces)}, not {request.surface}"
    if when.lanes is not None and lane not in when.lanes:
        return f"it is for the lane {_or(when.lanes)}, not {lane}"
    if isinstance(rule.then, AskEffect) and request.lane is not None:
        return "its question is answered: the lane was named"
    return None


def _nobody_opens(views: tuple[View, ...], person: Person, request: PolicyRequest) -> NaiveDecision:
    fitting = [view for view in views if view.covers] or views
    rule = next((view.rule for view in fitting if view.rule is not None), None)
    if rule is not None and isinstance(rule.then, DenyEffect):
        reason = f"{rule.then.reason} (rule {rule.name})"
        return NaiveDecision(Effect.DENY, reason, views, request.lane, rule)
    what = f"use lane {request.lane}" if request.lane else "ask for changes"
    who = f"{person.name} ({', '.join(sorted(person.roles)) or 'no role'})"
    where = f"in {request.repository} from {request.surface}"
    return NaiveDecision(Effect.DENY, f"no rule lets {who} {what} {where}", views)


def _nothing_covers(views: tuple[View, ...], usable: Sequence[View], request: PolicyRequest) -> NaiveDecision:
    if all(view.held for view in usable):
        path, pattern = usable[0].held[0]
        reason = f"{_show(path)} may not be changed in lane {usable[0].name} (by {pattern})"
        return NaiveDecision(Effect.DENY, reason, views, request.lane)
    takers = {path: [view for view in usable if view.takes(path)] for path in request.paths}
    may = "; ".join(f"{view.name} covers {', '.join(view.lane.write)}" for view in usable)
    for path, taking in takers.items():
        if taking:
            continue
        rule = next((view.rule for view in views if not view.open and view.rule and view.takes(path)), None)
        if rule is not None and isinstance(rule.then, DenyEffect):
            reason = f"{rule.then.reason} (rule {rule.name}, about {_show(path)})"
            return NaiveDecision(Effect.DENY, reason, views, rule=rule)
        named = f"lane {request.lane} does not cover {_show(path)}"
        return NaiveDecision(
            Effect.DENY, f"{named if request.lane else f'{_show(path)} is in no lane you may use'}; {may}", views
        )
    parts = ", ".join(f"{_show(path)} in {_or([view.name for view in taking])}" for path, taking in takers.items())
    return NaiveDecision(Effect.DENY, f"no single lane covers all of it; ask in separate requests: {parts}", views)


def _choose(views: tuple[View, ...], fitting: Sequence[View], person: Person, request: PolicyRequest) -> NaiveDecision:
    suited = [view for view in fitting if _suits(view, request)] or list(fitting)
    asking = next((view.rule for view in suited if view.rule and isinstance(view.rule.then, AskEffect)), None)
    if asking is not None and isinstance(asking.then, AskEffect):
        question = Question("lane", asking.then.question, tuple(view.name for view in suited))
        return NaiveDecision(Effect.ASK, f"rule {asking.name} asks first", views, rule=asking, question=question)
    named = [view for view in suited if view.name == request.suggested]
    strictest = min((-view.requirements.count, view.requirements.self_approve) for view in suited)
    best = [v for v in suited if (-v.requirements.count, v.requirements.self_approve) == strictest]
    best = named if named and not request.paths else [view for view in best if view in named] or best
    what = ", ".join(_show(path) for path in request.paths[:3])
    if len(best) > 1:
        names = tuple(view.name for view in best)
        question = Question("lane", f"Which lane shall it be{what and f' for {what}'}: {_or(names)}?", names)
        reason = f"the lanes {', '.join(names)} all cover {what or 'a request without paths'}"
        return NaiveDecision(Effect.ASK, reason, views, question=question)
    chosen = best[0]
    if request.lane:
        because = f"what is undone went through lane {chosen.name}" if request.undoes else ""
        because = because or f"the request names lane {chosen.name}"
    elif request.paths:
        because = f"lane {chosen.name} covers {what}{' and more' if len(request.paths) > 3 else ''}"
    else:
        because = f"lane {chosen.name} suits the request"
    others = [view.name for view in fitting if view is not chosen]
    if others and all(_suits(view, request) for view in fitting):
        because += f" more strictly than {_or(others)}"
    requires = chosen.requirements
    who = f"{person.name} ({', '.join(sorted(person.roles)) or 'no role'})"
    needs = f"{requires.count} approval{'s' if requires.count > 1 else ''} by {_or(requires.approvers)}"
    needs += "" if requires.self_approve else ", not their own"
    reason = f"{because}; rule {requires.rule} lets {who} use it with {needs}"
    return NaiveDecision(Effect.ALLOW, reason, views, chosen.name, chosen.rule, requires)


def _suits(view: View, request: PolicyRequest) -> bool:
    return (view.name in request.edited_by_rule) is request.deterministic


def _rule_line(rule: Rule, why: Mapping[str, str | None], views: Sequence[View]) -> str:
    decided = [view.name for view in views if view.rule is rule]
    late = [view.name for view in views if why[view.name] is None and view.rule is not rule]
    if decided:
        outcome = ""
        match rule.then:
            case AllowEffect(requires):
                outcome = f"allow with {requires.count} of {', '.join(requires.approvers)}"
            case DenyEffect(reason):
                outcome = f"deny: {reason}"
            case AskEffect(question):
                outcome = f"ask: {question}"
        more = f"; for {', '.join(late)} a rule above decided" if late else ""
        return f"decides {', '.join(decided)}: {outcome}{more}"
    if late:
        return f"would match {', '.join(late)}, but a rule above decided"
    reasons = list(dict.fromkeys(text for text in why.values() if text))
    lanes = [text for text in reasons if not text.startswith("it is for the lane")]
    return f"does not match: {(lanes or reasons)[0]}"


def _lane_line(view: View, decision: NaiveDecision, request: PolicyRequest) -> str:
    if decision.effect is Effect.ALLOW and decision.lane == view.name:
        return f"chosen by rule {view.rule.name if view.rule else '-'}"
    if view.rule is None:
        return "not open: no rule matches"
    if not view.open:
        return f"not open: rule {view.rule.name} denies"
    if view.held:
        held = ", ".join(f"{_show(path)} (by {pattern})" for path, pattern in view.held)
        return f"open by rule {view.rule.name}, but protected: {held}"
    if view.outside:
        return f"open by rule {view.rule.name}, but does not cover {', '.join(map(_show, view.outside))}"
    if decision.question is not None and view.name in decision.question.options:
        return f"open by rule {view.rule.name}; could be chosen, so the person is asked"
    if not _suits(view, request):
        needed = "makes known edits" if request.deterministic else "does more than make known edits"
        has = f"but has {view.lane.executor}, and the request needs an executor that {needed}"
        return f"open by rule {view.rule.name}, {has}"
    return f"open by rule {view.rule.name}, but a stricter lane also covers it"


def _or(names: Sequence[str]) -> str:
    return " or ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} or {names[-1]}"


def _show(path: str) -> str:
    return show_path(path.encode())
