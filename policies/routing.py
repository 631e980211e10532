"""Routing: which lane a request takes, by which rule, and why. Pure: the same question has the same answer.

Every lane is judged by the first rule that matches it. Among the lanes that a rule opens for this person and
that cover every named path, the choice goes to lanes whose executor suits the request (`edit` when the edits are
known already), then to the stricter terms; what is still undecided is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from core.model.change import show_path
from core.model.decision import ApprovalRequirements, Effect, PolicyRequest
from core.model.edits import PathError, check_path
from core.model.lane import Lane
from core.model.person import People, Person
from core.model.turn import Question
from policies.globs import Globs
from policies.protected import protected
from policies.rules import AllowEffect, AskEffect, DenyEffect, Rule, Rules


class PathFit(Enum):
    """Whether a lane covers the named paths."""

    COVERS = "covers"
    OUTSIDE = "outside"
    PROTECTED = "protected"


@dataclass(frozen=True, slots=True)
class CompiledLane:
    """A lane with its globs ready: what it may write, and what is protected in it."""

    lane: Lane
    write: Globs
    protect: Globs


@dataclass(frozen=True, slots=True)
class LaneEvaluation:
    """One lane as this request sees it: the rule that decides it, and how the paths fit.

    `misses` are the paths outside the lane, or the protected ones with their pattern.
    """

    post: CompiledLane
    rule: Rule | None
    fit: PathFit
    misses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The lane's name."""
        return self.post.lane.name

    @property
    def terms(self) -> ApprovalRequirements | None:
        """The terms of an allowing rule."""
        return self.rule.then.terms if self.rule and isinstance(self.rule.then, AllowEffect) else None

    @property
    def open(self) -> bool:
        """True if the rule lets the request into the lane, or asks first."""
        return self.rule is not None and not isinstance(self.rule.then, DenyEffect)


@dataclass(frozen=True, slots=True)
class LaneRoute:
    """Where a request goes: the effect, why, and every lane that was looked at."""

    effect: Effect
    reason: str
    views: tuple[LaneEvaluation, ...] = ()
    chosen: LaneEvaluation | None = None
    rule: Rule | None = None
    question: Question | None = None


@dataclass(frozen=True)
class PolicyIndex:
    """What routing knows: the rules, the people, and the lanes with their globs.

    Raises `ValueError` for a lane whose globs are wrong.
    """

    rules: Rules
    people: People
    lanes: Mapping[str, Lane] = field(repr=False)

    @cached_property
    def posts(self) -> tuple[CompiledLane, ...]:
        """The lanes by name, each with its globs."""
        return tuple(
            CompiledLane(lane, Globs(lane.write), protected(self.rules.protect, lane.protect))
            for _, lane in sorted(self.lanes.items())
        )

    @cached_property
    def protect(self) -> Globs:
        """What is protected in every lane."""
        return protected(self.rules.protect)

    def route(self, petition: PolicyRequest) -> LaneRoute:
        """Where `petition` goes."""
        person = self.people.get(petition.person)
        if person is None:
            return LaneRoute(Effect.DENY, f"nobody called {petition.person!r} is in countersign.yaml")
        if refusal := self._refuse_paths(petition.paths):
            return LaneRoute(Effect.DENY, refusal)
        if petition.lane is not None and petition.lane not in self.lanes:
            known = ", ".join(sorted(self.lanes)) or "none"
            return LaneRoute(Effect.DENY, f"there is no lane called {petition.lane!r}; lanes are: {known}")
        views = tuple(
            self._view(post, person, petition) for post in self.posts if petition.lane in {None, post.lane.name}
        )
        usable = [v for v in views if v.open]
        if not usable:
            return _nobody_opens(views, person, petition)
        fitting = [v for v in usable if v.fit is PathFit.COVERS]
        if not fitting:
            return _nothing_covers(views, usable, petition)
        return _choose(views, fitting, person, petition)

    def open_lanes(self, petition: PolicyRequest) -> tuple[str, ...]:
        """The names of the lanes that a rule opens for the person, by name."""
        person = self.people.get(petition.person)
        if person is None:
            return ()
        views = (self._view(post, person, petition) for post in self.posts if petition.lane in {None, post.lane.name})
        return tuple(view.name for view in views if view.open)

    def _refuse_paths(self, paths: Sequence[str]) -> str | None:
        """Why a named path may be touched in no lane, or None."""
        for path in paths:
            try:
                check_path(path)
            except PathError as error:
                return str(error)
            if pattern := self.protect.denies(_bytes(path)):
                return f"{_show(path)} may not be changed in any lane (by {pattern})"
        return None

    def _view(self, post: CompiledLane, person: Person, petition: PolicyRequest) -> LaneEvaluation:
        rule = next((r for r in self.rules.rules if mismatch(r, person, petition, post.lane.name) is None), None)
        guarded = [(path, post.protect.denies(_bytes(path))) for path in petition.paths]
        held = tuple(f"{_show(path)} (by {pattern})" for path, pattern in guarded if pattern)
        if held:
            return LaneEvaluation(post, rule, PathFit.PROTECTED, held)
        outside = tuple(_show(path) for path in petition.paths if not post.write.covers(_bytes(path)))
        return LaneEvaluation(post, rule, PathFit.OUTSIDE if outside else PathFit.COVERS, outside)


def mismatch(rule: Rule, person: Person, petition: PolicyRequest, lane: str) -> str | None:
    """Why `rule` does not speak of this request in `lane`, in plain words; None when it does."""
    when = rule.when
    if not person.is_one_of(when.people):
        return f"it is for {_or(when.people)}, and {_who(person)} is not"
    if when.repositories is not None and petition.repository not in when.repositories:
        return f"it is for the repository {_or(when.repositories)}, not {petition.repository}"
    if when.surfaces is not None and petition.surface not in when.surfaces:
        return f"it is for requests from {_or(when.surfaces)}, not {petition.surface}"
    if when.lanes is not None and lane not in when.lanes:
        return f"it is for the lane {_or(when.lanes)}, not {lane}"
    if isinstance(rule.then, AskEffect) and petition.lane is not None:
        return "its question is answered: the lane was named"
    return None


def _nobody_opens(views: Sequence[LaneEvaluation], person: Person, petition: PolicyRequest) -> LaneRoute:
    """The refusal when no rule lets this person into any lane that was looked at."""
    fitting = [v for v in views if v.fit is PathFit.COVERS] or list(views)
    where = f"in {petition.repository} from {petition.surface}"
    rule = next((v.rule for v in fitting if v.rule is not None), None)
    if rule is not None and isinstance(rule.then, DenyEffect):
        reason = f"{rule.then.reason} (rule {rule.name})"
        return LaneRoute(Effect.DENY, reason, tuple(views), _only(views, petition.lane), rule)
    what = f"use lane {petition.lane}" if petition.lane else "ask for changes"
    return LaneRoute(Effect.DENY, f"no rule lets {_who(person)} {what} {where}", tuple(views))


def _nothing_covers(
    views: Sequence[LaneEvaluation], usable: Sequence[LaneEvaluation], petition: PolicyRequest
) -> LaneRoute:
    """The refusal when no open lane covers every named path: protected, spread over lanes, or outside."""
    held = next((v for v in usable if v.fit is PathFit.PROTECTED), None)
    if held is not None and all(v.fit is PathFit.PROTECTED for v in usable):
        path, _, pattern = held.misses[0].rpartition(" (by ")
        reason = f"{path} may not be changed in lane {held.name} (by {pattern}"
        return LaneRoute(Effect.DENY, reason, tuple(views), _only(views, petition.lane))
    homes = {path: [v for v in usable if _takes(v, path)] for path in petition.paths}
    may = "; ".join(f"{v.name} covers {', '.join(v.post.lane.write)}" for v in usable)
    for path, takers in homes.items():
        if takers:
            continue
        refusing = next((v for v in views if not v.open and v.rule and _takes(v, path)), None)
        if refusing is not None and refusing.rule is not None and isinstance(refusing.rule.then, DenyEffect):
            reason = f"{refusing.rule.then.reason} (rule {refusing.rule.name}, about {_show(path)})"
            return LaneRoute(Effect.DENY, reason, tuple(views), rule=refusing.rule)
        named = f"lane {petition.lane} does not cover {_show(path)}"
        told = named if petition.lane else f"{_show(path)} is in no lane you may use"
        return LaneRoute(Effect.DENY, f"{told}; {may}", tuple(views))
    parts = ", ".join(f"{_show(path)} in {_or([v.name for v in takers])}" for path, takers in homes.items())
    return LaneRoute(Effect.DENY, f"no one lane covers all of it; ask in separate requests: {parts}", tuple(views))


def _choose(
    views: tuple[LaneEvaluation, ...], fitting: Sequence[LaneEvaluation], person: Person, petition: PolicyRequest
) -> LaneRoute:
    """The best of the lanes that are open and cover every path, or the question that decides."""
    suited = [v for v in fitting if suits(v, petition)] or list(fitting)
    names = tuple(v.name for v in suited)
    asking = next((v.rule for v in suited if v.rule and isinstance(v.rule.then, AskEffect)), None)
    if asking is not None and isinstance(asking.then, AskEffect):
        question = Question("lane", asking.then.question, names)
        return LaneRoute(Effect.ASK, f"rule {asking.name} asks first", views, rule=asking, question=question)
    best = _best(suited, petition)
    if len(best) > 1:
        names = tuple(v.name for v in best)
        what = ", ".join(_show(path) for path in petition.paths[:3])
        question = Question("lane", f"Which lane shall it be{what and f' for {what}'}: {_or(names)}?", names)
        reason = f"the lanes {', '.join(names)} all cover {what or 'a request without paths'}"
        return LaneRoute(Effect.ASK, reason, views, question=question)
    chosen = best[0]
    return LaneRoute(Effect.ALLOW, _why(chosen, fitting, person, petition), views, chosen, chosen.rule)


def _best(suited: Sequence[LaneEvaluation], petition: PolicyRequest) -> list[LaneEvaluation]:
    """The lanes of the strictest terms, of which a model may name one.

    Where the text names no path, strictness says nothing of what is asked, so there the model's choice comes first:
    every lane here is open to the person, and its own paths and approvals bind in the end.
    """
    named = [v for v in suited if v.name == petition.suggested]
    if named and not petition.paths:
        return named
    strictest = min(_strictness(v) for v in suited)
    best = [v for v in suited if _strictness(v) == strictest]
    return [v for v in best if v in named] or best


def suits(view: LaneEvaluation, petition: PolicyRequest) -> bool:
    """True if the lane's executor is the kind this request wants: `edit` for edits that are known already."""
    return (view.post.lane.executor == "edit") is petition.deterministic


def _strictness(view: LaneEvaluation) -> tuple[int, bool]:
    """Sorts the strictest terms first: more approvals, then no approval of one's own request."""
    assert view.terms is not None
    return -view.terms.count, view.terms.self_approve


def _why(chosen: LaneEvaluation, fitting: Sequence[LaneEvaluation], person: Person, petition: PolicyRequest) -> str:
    """Why this lane and this rule, in one sentence."""
    terms = chosen.terms
    assert terms is not None
    if petition.lane and petition.undoes:
        because = f"what is undone went through lane {chosen.name}"
    elif petition.lane:
        because = f"the request names lane {chosen.name}"
    elif petition.paths:
        shown = ", ".join(_show(path) for path in petition.paths[:3])
        because = f"lane {chosen.name} covers {shown}{' and more' if len(petition.paths) > 3 else ''}"
    else:
        because = f"lane {chosen.name} suits the request"
    others = [v.name for v in fitting if v is not chosen]
    if others:
        because += f" more strictly than {_or(others)}" if all(suits(v, petition) for v in fitting) else ""
    needs = f"{terms.count} approval{'s' if terms.count > 1 else ''} by {_or(terms.approvers)}"
    own = "" if terms.self_approve else ", not their own"
    return f"{because}; rule {terms.rule} lets {_who(person)} use it with {needs}{own}"


def _takes(view: LaneEvaluation, path: str) -> bool:
    return view.post.write.covers(_bytes(path)) is not None and view.post.protect.denies(_bytes(path)) is None


def _only(views: Sequence[LaneEvaluation], lane: str | None) -> LaneEvaluation | None:
    return next((v for v in views if lane is not None and v.name == lane), None)


def _who(person: Person) -> str:
    return f"{person.name} ({', '.join(sorted(person.roles)) or 'no role'})"


def _or(names: Sequence[str]) -> str:
    return " or ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} or {names[-1]}"


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _show(path: str) -> str:
    return show_path(_bytes(path))
