"""The compiled policy: which rule matches a request in a lane, and whether a lane covers its paths.

Rules are compiled once. For each name in a condition, an integer has one bit for each rule that accepts the name. The
rules that match a request are the bits that the integers of all its conditions share, and the first rule is the lowest
bit. So the time of a decision hardly depends on the number of rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from core.model.change import show_path
from core.model.decision import PolicyRequest
from core.model.lane import Lane
from core.model.person import People, Person
from core.model.repository_path import PathError, check_path
from policies.globs import Globs, covering
from policies.protected import protected, protected_reason
from policies.rules import AskEffect, Rule, Rules


class PathFit(Enum):
    """How a lane covers the paths of a request."""

    COVERS = "covers"
    OUTSIDE = "outside"
    PROTECTED = "protected"


@dataclass(frozen=True)
class CompiledLane:
    """A lane with its globs, each compiled on first use.

    `everywhere` are the globs that are protected in every lane. First use raises `ValueError` for an invalid glob.
    """

    lane: Lane
    everywhere: tuple[str, ...] = field(repr=False)

    @cached_property
    def name(self) -> str:
        """The lane's name."""
        return self.lane.name

    @cached_property
    def write(self) -> Globs:
        """The globs that the lane may write."""
        return Globs(self.lane.write)

    @cached_property
    def protect(self) -> Globs:
        """The globs that are protected in the lane, including those of every lane."""
        return protected(self.everywhere, self.lane.protect)

    @cached_property
    def _own_protect(self) -> Globs | None:
        own = tuple(pattern for pattern in self.lane.protect if pattern not in self.everywhere)
        return Globs(own) if own else None

    @cached_property
    def _covers(self) -> Callable[[str], re.Match[str] | None]:
        return covering(self.lane.write).fullmatch

    def protecting_pattern(self, path: str) -> str | None:
        """The lane's own pattern that protects `path`, which no pattern of every lane protects; None if none does."""
        return self._own_protect.denies(path_bytes(path)) if self._own_protect else None

    def accepts(self, path: str) -> bool:
        """True if the lane covers and does not protect `path`, a valid path that is not protected everywhere."""
        return self._covers(f"{path}/") is not None and self.protecting_pattern(path) is None

    def fit(self, paths: Sequence[str]) -> PathFit:
        """How the lane covers `paths`, which are valid and not protected everywhere."""
        if self._own_protect is not None and any(map(self.protecting_pattern, paths)):
            return PathFit.PROTECTED
        for path in paths:
            if self._covers(f"{path}/") is None:
                return PathFit.OUTSIDE
        return PathFit.COVERS


class LaneEvaluation(NamedTuple):
    """A lane with the first rule that matches a request in it, which decides."""

    lane: CompiledLane
    rule: Rule | None

    @property
    def name(self) -> str:
        """The lane's name."""
        return self.lane.name

    @property
    def is_open(self) -> bool:
        """True if the rule lets the request into the lane, or asks first."""
        return self.rule is not None and self.rule.opens


class RuleBits:
    """The rules that accept a name, as bits, for one condition of all rules; rule n is bit n.

    A rule without the condition accepts every name, also one that no rule mentions.
    """

    def __init__(self, conditions: Iterable[tuple[str, ...] | None]) -> None:
        self._unconditional, bits_by_name = 0, dict[str, int]()
        for n, names in enumerate(conditions):
            if names is None:
                self._unconditional |= 1 << n
            for name in names or ():
                bits_by_name[name] = bits_by_name.get(name, 0) | 1 << n
        self._bits_by_name = {name: bits | self._unconditional for name, bits in bits_by_name.items()}

    def accepting(self, name: str) -> int:
        """The rules that accept `name`."""
        return self._bits_by_name.get(name, self._unconditional)


@dataclass(frozen=True)
class PolicyIndex:
    """The rules, the people and the lanes, compiled for routing.

    First use of a lane with invalid globs raises `ValueError`.
    """

    rules: Rules
    people: People
    lanes: Mapping[str, Lane] = field(repr=False)

    @cached_property
    def everywhere(self) -> Globs:
        """The globs that are protected in every lane."""
        return protected(self.rules.protect)

    @cached_property
    def _bits(self) -> tuple[RuleBits, RuleBits, RuleBits]:
        """The bits by people and roles, by repository, and by surface."""
        when = [rule.when for rule in self.rules.rules]
        return (
            RuleBits(condition.people for condition in when),
            RuleBits(condition.repositories for condition in when),
            RuleBits(condition.surfaces for condition in when),
        )

    @cached_property
    def _lane_bits(self) -> Mapping[str, tuple[CompiledLane, int]]:
        """Each lane by name, sorted, with the rules that apply to it."""
        bits = RuleBits(rule.when.lanes for rule in self.rules.rules)
        compiled = (CompiledLane(lane, self.everywhere.patterns) for _, lane in sorted(self.lanes.items()))
        return {lane.name: (lane, bits.accepting(lane.name)) for lane in compiled}

    @cached_property
    def _ask_rules(self) -> int:
        """The rules that ask a question, which naming a lane answers."""
        return sum(1 << n for n, rule in enumerate(self.rules.rules) if isinstance(rule.then, AskEffect))

    def lane(self, name: str) -> CompiledLane | None:
        """The lane called `name`."""
        entry = self._lane_bits.get(name)
        return entry[0] if entry else None

    def evaluate(self, person: Person, request: PolicyRequest) -> list[LaneEvaluation]:
        """Each lane that the request may take, sorted by name, with the rule that decides there."""
        people, repositories, surfaces = self._bits
        matching = people.accepting(person.name)
        for role in person.roles:
            matching |= people.accepting(role)
        matching &= repositories.accepting(request.repository) & surfaces.accepting(request.surface)
        lanes: Iterable[tuple[CompiledLane, int]] = self._lane_bits.values()
        if request.lane is not None:
            matching &= ~self._ask_rules
            lanes = [self._lane_bits[request.lane]] if request.lane in self._lane_bits else []
        rules, evaluations = self.rules.rules, []
        for lane, bits in lanes:
            both = matching & bits
            evaluations.append(LaneEvaluation(lane, rules[(both & -both).bit_length() - 1] if both else None))
        return evaluations

    def path_refusal(self, paths: Sequence[str]) -> str | None:
        """Why no lane may change one of `paths`; None if all may be changed."""
        for path in paths:
            try:
                check_path(path)
            except PathError as error:
                return str(error)
            if pattern := self.everywhere.denies(path_bytes(path)):
                return f"{shown(path)} {protected_reason(pattern)}"
        return None


def path_bytes(path: str) -> bytes:
    """A path of a request as git's bytes."""
    return path.encode("utf-8", "surrogateescape")


def shown(path: str) -> str:
    """A path of a request for display."""
    return show_path(path_bytes(path))
