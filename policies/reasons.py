"""The reasons of decisions, one sentence each, built from the deciding values only when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.model.decision import PASSKEY, TOTP, PolicyRequest
from core.model.person import Person
from policies.index import CompiledLane, PathFit, PolicyIndex, shown
from policies.protected import protected_reason
from policies.rules import AskEffect, DenyEffect, Rule

STEP_UPS: Final = {PASSKEY: "signed with a passkey", TOTP: "with a code of their authenticator app or a passkey"}
"""How an approval must be given, by the step-up of its rule."""


def unknown_person(index: PolicyIndex, request: PolicyRequest) -> str:
    """The requester is not configured, or not in the team that owns the repository."""
    if index.people.get(request.person) is not None:
        return f"{request.person} is not in the team that owns {request.repository}"
    return f"no person called {request.person!r} is in countersign.yaml"


def no_such_lane(index: PolicyIndex, request: PolicyRequest) -> str:
    """The named lane does not exist."""
    known = ", ".join(sorted(index.lanes)) or "none"
    return f"there is no lane called {request.lane!r}; lanes are: {known}"


def no_rule(person: Person, request: PolicyRequest) -> str:
    """No rule matches the request."""
    action = f"use lane {request.lane}" if request.lane else "ask for changes"
    return f"no rule lets {person_and_roles(person)} {action} in {request.repository} from {request.surface}"


def denied_by(rule: Rule, path: str | None = None) -> str:
    """The reason of a rule that denies; `path` is given if the rule matches only that path's lane."""
    assert isinstance(rule.then, DenyEffect)
    about = f", about {shown(path)}" if path is not None else ""
    return f"{rule.then.reason} (rule {rule.name}{about})"


def protected_path(lane: CompiledLane, request: PolicyRequest) -> str:
    """The lane protects a path."""
    path, pattern = protected_paths(lane, request)[0]
    return f"{shown(path)} {protected_reason(pattern, lane.lane)}"


def outside(path: str, lanes: Sequence[CompiledLane], request: PolicyRequest) -> str:
    """No open lane covers `path`."""
    coverage = "; ".join(f"{lane.name} covers {', '.join(lane.lane.write)}" for lane in lanes)
    if request.lane:
        return f"lane {request.lane} does not cover {shown(path)}; {coverage}"
    return f"{shown(path)} is in no lane you may use; {coverage}"


def several_lanes_needed(lanes: Sequence[CompiledLane], request: PolicyRequest) -> str:
    """Every path has an open lane, but no lane covers them all."""
    parts = ", ".join(
        f"{shown(path)} in {either([lane.name for lane in lanes if lane.accepts(path)])}"
        for path in dict.fromkeys(request.paths)
    )
    return f"no single lane covers all of it; ask in separate requests: {parts}"


def asks_first(rule: Rule) -> str:
    """A rule asks before it decides."""
    return f"rule {rule.name} asks first"


def which_lane(names: Sequence[str], request: PolicyRequest) -> str:
    """The question that chooses between equal lanes."""
    what = _first_paths(request)
    return f"Which lane shall it be{what and f' for {what}'}: {either(names)}?"


def equal_lanes(names: Sequence[str], request: PolicyRequest) -> str:
    """Several equal lanes cover the request."""
    return f"the lanes {', '.join(names)} all cover {_first_paths(request) or 'a request without paths'}"


def chosen(lane: CompiledLane, rule: Rule, person: Person, request: PolicyRequest, less_strict: Sequence[str]) -> str:
    """Why this lane and this rule were chosen; `less_strict` are other lanes that cover the request."""
    requirements = rule.requirements
    assert requirements is not None
    if request.lane and request.undoes:
        because = f"what is undone went through lane {lane.name}"
    elif request.lane:
        because = f"the request names lane {lane.name}"
    elif request.paths:
        because = f"lane {lane.name} covers {_first_paths(request)}{' and more' if len(request.paths) > 3 else ''}"
    else:
        because = f"lane {lane.name} suits the request"
    if less_strict:
        because += f" more strictly than {either(less_strict)}"
    needs = f"{requirements.count} approval{'s' if requirements.count > 1 else ''} by {either(requirements.approvers)}"
    own = "" if requirements.self_approve else ", not their own"
    signed = f", {STEP_UPS[requirements.step_up]}" if requirements.step_up else ""
    return f"{because}; rule {requirements.rule} lets {person_and_roles(person)} use it with {needs}{own}{signed}"


def mismatch(rule: Rule, person: Person, request: PolicyRequest, lane: str) -> str | None:
    """Why `rule` does not match this request in `lane`; None if it does."""
    when = rule.when
    if not person.is_one_of(when.people):
        return f"it is for {either(when.people)}, and {person_and_roles(person)} is not"
    if when.repositories is not None and request.repository not in when.repositories:
        return f"it is for the repository {either(when.repositories)}, not {request.repository}"
    if when.surfaces is not None and request.surface not in when.surfaces:
        return f"it is for requests from {either(when.surfaces)}, not {request.surface}"
    if when.lanes is not None and lane not in when.lanes:
        return f"it is for the lane {either(when.lanes)}, not {lane}"
    if isinstance(rule.then, AskEffect) and request.lane is not None:
        return "its question is answered: the lane was named"
    return None


def misses(lane: CompiledLane, request: PolicyRequest) -> tuple[str, ...]:
    """The paths that exclude the lane: those that it protects, with the pattern, else those that it does not cover."""
    if lane.fit(request.paths) is PathFit.PROTECTED:
        return tuple(f"{shown(path)} (by {pattern})" for path, pattern in protected_paths(lane, request))
    return tuple(shown(path) for path in request.paths if not lane.accepts(path))


def protected_paths(lane: CompiledLane, request: PolicyRequest) -> list[tuple[str, str]]:
    """The paths that the lane protects, each with its pattern."""
    return [(path, pattern) for path in request.paths if (pattern := lane.protecting_pattern(path))]


def person_and_roles(person: Person) -> str:
    """A person with their roles."""
    return f"{person.name} ({', '.join(sorted(person.roles)) or 'no role'})"


def either(names: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return " or ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} or {names[-1]}"


def _first_paths(request: PolicyRequest) -> str:
    return ", ".join(shown(path) for path in request.paths[:3])
