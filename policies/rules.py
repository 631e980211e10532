"""The rules of a policy as immutable values; `policies.load` reads them from a file."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.decision import ApprovalRequirements
from core.model.person import People
from core.model.turn import SURFACES

BUILT_IN_ROLES = frozenset({"member", "maintainer"})


@dataclass(frozen=True, slots=True)
class NameList:
    """The names that a policy may use; loading refuses any other."""

    people: frozenset[str] = frozenset()
    roles: frozenset[str] = BUILT_IN_ROLES
    lanes: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()
    surfaces: frozenset[str] = SURFACES


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """The requests that a rule matches; `people` are names and roles, and None means any."""

    people: tuple[str, ...]
    lanes: tuple[str, ...] | None = None
    surfaces: tuple[str, ...] | None = None
    repositories: tuple[str, ...] | None = None

    def covers(self, other: RuleCondition) -> bool:
        """True if this condition matches every request that `other` matches, whatever roles people have."""
        pairs = (
            (self.people, other.people),
            (self.lanes, other.lanes),
            (self.surfaces, other.surfaces),
            (self.repositories, other.repositories),
        )
        return all(ours is None or (others is not None and set(others) <= set(ours)) for ours, others in pairs)


@dataclass(frozen=True, slots=True)
class AllowEffect:
    """Allow the request with `requirements`."""

    requirements: ApprovalRequirements


@dataclass(frozen=True, slots=True)
class DenyEffect:
    """Refuse the request with a reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskEffect:
    """Ask the person to name the lane; then the rules below decide."""

    question: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a policy file; `line` is its first line."""

    name: str
    when: RuleCondition
    then: AllowEffect | DenyEffect | AskEffect
    line: int | None = None

    @property
    def opens(self) -> bool:
        """True if the rule allows the request in the lane, or asks first."""
        return not isinstance(self.then, DenyEffect)

    @property
    def requirements(self) -> ApprovalRequirements | None:
        """The requirements of an allowing rule; None for another."""
        return self.then.requirements if isinstance(self.then, AllowEffect) else None


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy: the first rule that matches a request decides, and a request without a match is denied.

    `protect` are globs that no lane may change, in addition to those of `policies.protected`.
    """

    rules: tuple[Rule, ...]
    protect: tuple[str, ...] = ()
    source: str = ""


def warnings(rules: Rules, people: People) -> list[str]:
    """Rules that are valid but cannot work with these people, one sentence each, for `policy check` and doctor."""
    problems: list[str] = []
    for index, rule in enumerate(rules.rules):
        where = f"{rules.source}:{rule.line}: rule {rule.name}" if rule.line else f"rule {rule.name}"
        above = next((r for r in rules.rules[:index] if _shadows(r, rule)), None)
        if above is not None:
            problems.append(f"{where} is never reached: rule {above.name} above it decides all its requests")
        requesters = people.of_repository(None).matching(rule.when.people)
        if not requesters:
            problems.append(f"{where} matches no one: no person is, or has a role, in {_list(rule.when.people)}")
        if isinstance(rule.then, AllowEffect):
            for team, members in _teams_of(rule, people):
                asking = members.matching(rule.when.people)
                found = _unsatisfiable(rule.then.requirements, asking, members)
                problems.extend(f"{where} {text}{team}" for text in found)
    return problems


def _teams_of(rule: Rule, people: People) -> list[tuple[str, People]]:
    """The people that a rule is for, as the end of a sentence about them and by team, once there are teams."""
    if not people.teams.are_separate:
        return [("", people)]
    owned = [name for name in people.teams.owners if name in (rule.when.repositories or people.teams.owners)]
    first = {people.teams.owners[name]: name for name in owned}
    return [(f"; in the team {team}", people.of_repository(name)) for team, name in sorted(first.items())]


def _shadows(above: Rule, below: Rule) -> bool:
    return not isinstance(above.then, AskEffect) and above.when.covers(below.when)


def _unsatisfiable(requirements: ApprovalRequirements, requesters: tuple[str, ...], people: People) -> list[str]:
    """A sentence about the requesters whose requests can never get enough approvals, if there are any."""
    eligible = people.matching(requirements.approvers)
    own = 0 if requirements.self_approve else 1
    stuck = [p for p in requesters if len(eligible) - (own if p in eligible else 0) < requirements.count]
    if not stuck:
        return []
    who = "requests by anyone" if len(stuck) == len(requesters) else f"requests by {_list(tuple(stuck))}"
    return [
        f"can never be satisfied for {who}: it needs {requirements.count} of {_list(requirements.approvers)}, "
        f"who are {_list(eligible)}" + (", and no one approves their own" if own else "")
    ]


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "no one"
