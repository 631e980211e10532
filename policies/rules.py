"""Rules: the valid policy as frozen values. Nothing here reads a file; `policies.load` makes them."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.decision import ApprovalRequirements
from core.model.person import People
from core.model.turn import SURFACES

BUILT_IN_ROLES = frozenset({"member", "maintainer"})


@dataclass(frozen=True, slots=True)
class NameList:
    """Every name a policy may use; any other is refused when the policy is loaded."""

    people: frozenset[str] = frozenset()
    roles: frozenset[str] = BUILT_IN_ROLES
    lanes: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()
    surfaces: frozenset[str] = SURFACES


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """Which requests a rule speaks of. `people` are names and roles; None anywhere means any."""

    people: tuple[str, ...]
    lanes: tuple[str, ...] | None = None
    surfaces: tuple[str, ...] | None = None
    repositories: tuple[str, ...] | None = None

    def covers(self, other: RuleCondition) -> bool:
        """True if every request that `other` speaks of is one this speaks of, whatever roles people have."""
        pairs = (
            (self.people, other.people),
            (self.lanes, other.lanes),
            (self.surfaces, other.surfaces),
            (self.repositories, other.repositories),
        )
        return all(mine is None or (theirs is not None and set(theirs) <= set(mine)) for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class AllowEffect:
    """Let the request through under `requirements`."""

    requirements: ApprovalRequirements


@dataclass(frozen=True, slots=True)
class DenyEffect:
    """Refuse the request and say why."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskEffect:
    """Have the person name the lane first; once they did, the rules below decide."""

    question: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the file; `line` is where it begins."""

    name: str
    when: RuleCondition
    then: AllowEffect | DenyEffect | AskEffect
    line: int | None = None

    @property
    def opens(self) -> bool:
        """True if it lets the request into the lane, or asks first."""
        return not isinstance(self.then, DenyEffect)

    @property
    def requirements(self) -> ApprovalRequirements | None:
        """What an allowing rule requires."""
        return self.then.requirements if isinstance(self.then, AllowEffect) else None


@dataclass(frozen=True, slots=True)
class Rules:
    """The whole policy: the first rule that matches decides, and what nothing matches is denied.

    `protect` are globs that no lane may touch, beside those that `policies.protected` names.
    """

    rules: tuple[Rule, ...]
    protect: tuple[str, ...] = ()
    source: str = ""


def warnings(rules: Rules, people: People) -> list[str]:
    """What loads but cannot work with these people: one sentence for each, for `policy check` and doctor."""
    found: list[str] = []
    for index, rule in enumerate(rules.rules):
        where = f"{rules.source}:{rule.line}: rule {rule.name}" if rule.line else f"rule {rule.name}"
        above = next((r for r in rules.rules[:index] if _shadows(r, rule)), None)
        if above is not None:
            found.append(f"{where} is never reached: rule {above.name} above it decides all its requests")
        requesters = people.matching(rule.when.people)
        if not requesters:
            found.append(f"{where} speaks of nobody: no person is, or has a role, in {_list(rule.when.people)}")
        if isinstance(rule.then, AllowEffect):
            found.extend(f"{where} {lack}" for lack in _lacks(rule.then.requirements, requesters, people))
    return found


def _shadows(above: Rule, below: Rule) -> bool:
    return not isinstance(above.then, AskEffect) and above.when.covers(below.when)


def _lacks(requirements: ApprovalRequirements, requesters: tuple[str, ...], people: People) -> list[str]:
    """Whose requests can never get enough approvals under `requirements`."""
    eligible = people.matching(requirements.approvers)
    own = 0 if requirements.self_approve else 1
    stuck = [p for p in requesters if len(eligible) - (own if p in eligible else 0) < requirements.count]
    if not stuck:
        return []
    who = "requests by anybody" if len(stuck) == len(requesters) else f"requests by {_list(tuple(stuck))}"
    return [
        f"can never be satisfied for {who}: it wants {requirements.count} of {_list(requirements.approvers)}, "
        f"who are {_list(eligible)}" + (", and nobody approves their own" if own else "")
    ]


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "nobody"
