"""Compares two policies: every kind of request that they decide differently, each with a witness.

What a policy knows of a request is finite: which rules name the person or a role of theirs, the surface and the
repository, the lane that is asked for, which globs the path matches, and whether the edits are known. One request for
each combination is decided by both. Requests with several paths need no combinations of their own: in a lane that is
named, they are decided as their paths are one by one, and without a named lane from the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

from core.model.decision import ApprovalRequirements, Decision, Effect, PolicyRequest
from core.model.lane import Lane
from core.model.person import People
from core.model.turn import SURFACES
from policies.path_classes import path_witnesses
from policies.policy import RulePolicy
from policies.rules import Rules

_Groups = list[tuple[str, ...]]


@dataclass(frozen=True)
class PolicyVersion:
    """One of the policies to compare, with the people, lanes and repositories that it is about.

    The lanes have the globs that the rules protect everywhere (see `policies.protected.with_protected`);
    `edited_by_rule` are those whose executor only makes known edits.
    """

    rules: Rules
    people: People
    lanes: Mapping[str, Lane]
    repositories: frozenset[str]
    edited_by_rule: frozenset[str] = frozenset()

    @cached_property
    def policy(self) -> RulePolicy:
        """The policy that decides."""
        return RulePolicy(self.rules, self.people, self.lanes)

    @cached_property
    def _named(self) -> frozenset[str]:
        """The people and roles that a rule names in its condition."""
        return frozenset(name for rule in self.rules.rules for name in rule.when.people)

    def kind_of_person(self, name: str) -> tuple[object, ...] | None:
        """What a rule can know of a person: the names in rules that stand for them, by team; None if unknown."""
        person = self.people.get(name)
        if person is None:
            return None
        everywhere = frozenset({name, *person.roles}) & self._named
        teams = ((team, roles & self._named) for team, roles in person.teams.items())
        return everywhere, frozenset(teams), person.is_home_wide

    def kind_of_path(self, path: str) -> tuple[object, ...]:
        """What a decision can know of a path: whether it is refused everywhere, and how each lane covers it."""
        index = self.policy.index
        if index.path_refusal((path,)) is not None:
            return ()
        return tuple(compiled.fit((path,)) for name in sorted(self.lanes) if (compiled := index.lane(name)))

    def names_of(self, condition: str) -> frozenset[str]:
        """The surfaces or repositories that a rule names in its condition."""
        listed = (getattr(rule.when, condition) or () for rule in self.rules.rules)
        return frozenset(name for names in listed for name in names)

    def outcome(self, request: PolicyRequest) -> PolicyOutcome:
        """What this policy decides about a request, as far as it makes a difference."""
        decision = self.policy.decide(replace(request, edited_by_rule=self.edited_by_rule))
        return PolicyOutcome.of(decision, self.people.of_repository(request.repository))


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """A decision without what makes no difference: names of rules and texts of reasons.

    `approvers` are the people who may approve now. `rule` and `reason` are for display, and not compared.
    """

    effect: Effect
    lane: str | None
    requirements: ApprovalRequirements | None
    approvers: tuple[str, ...]
    options: tuple[str, ...]
    rule: str = field(compare=False)
    reason: str = field(compare=False)

    @classmethod
    def of(cls, decision: Decision, people: People) -> PolicyOutcome:
        """The outcome of `decision` among `people`."""
        needs = decision.requirements
        return cls(
            decision.effect,
            decision.lane if decision.effect is Effect.ALLOW else None,
            replace(needs, rule="") if needs else None,
            people.matching(needs.approvers) if needs else (),
            decision.question.options if decision.question else (),
            decision.rule or "",
            decision.reason,
        )


@dataclass(frozen=True, slots=True)
class ChangedDecision:
    """A kind of request that is decided differently: `witness` is one such request.

    The kind is of these people, surfaces and repositories; another path is of the same kind if it matches the same
    globs.
    """

    witness: PolicyRequest
    before: PolicyOutcome
    after: PolicyOutcome
    people: tuple[str, ...]
    surfaces: tuple[str, ...]
    repositories: tuple[str, ...]


def changed_decisions(before: PolicyVersion, after: PolicyVersion) -> list[ChangedDecision]:
    """Every kind of request that the two versions decide differently.

    Raises `policies.witness_search.TooManyCombinationsError` if their globs combine in too many ways.
    """
    versions = (before, after)
    requests = list(_requests(versions))
    found = []
    for people, surfaces, repositories in product(*_kinds(versions)):
        for request in requests:
            witness = replace(request, person=people[0], surface=surfaces[0], repository=repositories[0])
            was, now = before.outcome(witness), after.outcome(witness)
            if was != now:
                found.append(ChangedDecision(witness, was, now, people, surfaces, repositories))
    return found


def kinds_of_paths(versions: Iterable[PolicyVersion]) -> list[str]:
    """A path of each kind that these versions tell apart."""
    versions = list(versions)
    lanes = [lane for version in versions for _, lane in sorted(version.lanes.items())]
    write = (pattern for lane in lanes for pattern in lane.write)
    deny = (pattern for lane in lanes for pattern in lane.protect)

    def kind_of(path: str) -> tuple[object, ...]:
        return tuple(version.kind_of_path(path) for version in versions)

    kinds: dict[tuple[object, ...], str] = {}
    for path in path_witnesses(write, deny):
        kind, named = kind_of(path), _with_name(path)
        kinds.setdefault(kind, named if kind_of(named) == kind else path)
    return list(kinds.values())


def _with_name(path: str) -> str:
    """The path with a name before a lone suffix, which reads better: ``docs/name.md`` for ``docs/.md``."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}name{name}" if name.startswith(".") else path


def _kinds(versions: Sequence[PolicyVersion]) -> tuple[_Groups, _Groups, _Groups]:
    """The people, surfaces and repositories, each in groups that no rule tells apart."""

    def naming(condition: str) -> Callable[[str], Hashable]:
        named = [version.names_of(condition) for version in versions]
        return lambda name: tuple(name if name in names else None for names in named)

    def kind_of_repository(name: str) -> Hashable:
        return naming("repositories")(name), tuple(version.people.teams.owner_of(name) for version in versions)

    people = {name for version in versions for name in version.people.by_name}
    repositories = {name for version in versions for name in version.repositories}
    return (
        _alike(people, lambda name: tuple(version.kind_of_person(name) for version in versions)),
        _alike(SURFACES, naming("surfaces")),
        _alike(repositories, kind_of_repository),
    )


def _alike(names: Iterable[str], kind_of: Callable[[str], Hashable]) -> _Groups:
    groups: dict[Hashable, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(kind_of(name), []).append(name)
    return [tuple(group) for group in groups.values()]


def _requests(versions: Sequence[PolicyVersion]) -> Iterator[PolicyRequest]:
    """Every kind of request, without its person, surface and repository."""
    lanes = sorted({name for version in versions for name in version.lanes})
    paths = [(), *((path,) for path in kinds_of_paths(versions))]
    for lane, named, is_known in product([None, *lanes], paths, (True, False)):
        if lane is None or is_known:  # in a named lane it makes no difference whether the edits are known
            yield PolicyRequest("", "", "", named, lane, deterministic=is_known)
