"""The compiled policy: which rule speaks of a request in a lane, and whether a lane covers its paths.

Rules are compiled once. For every name that a condition may have, one whole number has a bit for each rule that lets
this name through; the rules that speak of a request are the bits that all of its conditions share, and the first of
them is the lowest bit. So a decision costs the same for ten rules as for a thousand.
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
from core.model.edits import PathError, check_path
from core.model.lane import Lane
from core.model.person import People, Person
from policies.globs import Globs, covering
from policies.protected import protected
from policies.rules import AskEffect, Rule, Rules


class PathFit(Enum):
    """Whether a lane covers the named paths."""

    COVERS = "covers"
    OUTSIDE = "outside"
    PROTECTED = "protected"


@dataclass(frozen=True)
class CompiledLane:
    """A lane with its globs, each compiled when it is first asked for.

    `everywhere` are the globs that no lane may touch. Raises `ValueError` for a glob that is not anchored, once it is
    asked for.
    """

    lane: Lane
    everywhere: tuple[str, ...] = field(repr=False)

    @cached_property
    def name(self) -> str:
        """The lane's name."""
        return self.lane.name

    @cached_property
    def write(self) -> Globs:
        """What the lane may write."""
        return Globs(self.lane.write)

    @cached_property
    def protect(self) -> Globs:
        """What is protected in the lane, with what is protected everywhere."""
        return protected(self.everywhere, self.lane.protect)

    @cached_property
    def _protects_besides(self) -> Globs | None:
        own = tuple(pattern for pattern in self.lane.protect if pattern not in self.everywhere)
        return Globs(own) if own else None

    @cached_property
    def _covers(self) -> Callable[[str], re.Match[str] | None]:
        return covering(self.lane.write).fullmatch

    def holding(self, path: str) -> str | None:
        """The pattern by which this lane alone protects `path`, which is not protected everywhere; None if none."""
        return self._protects_besides.denies(raw(path)) if self._protects_besides else None

    def takes(self, path: str) -> bool:
        """True if the lane covers `path`, a sound one that is not protected everywhere, and does not protect it."""
        return self._covers(f"{path}/") is not None and self.holding(path) is None

    def fit(self, paths: Sequence[str]) -> PathFit:
        """How sound `paths` that are not protected everywhere fit into the lane."""
        if self._protects_besides is not None and any(map(self.holding, paths)):
            return PathFit.PROTECTED
        for path in paths:
            if self._covers(f"{path}/") is None:
                return PathFit.OUTSIDE
        return PathFit.COVERS


class LaneEvaluation(NamedTuple):
    """A lane as one request sees it: with the first rule that speaks of the request there, which decides."""

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
    """For one condition of all rules: which rules a name meets, as bits; rule n is bit n.

    A rule that leaves the condition out is met by every name, also by one that no rule has.
    """

    def __init__(self, conditions: Iterable[tuple[str, ...] | None]) -> None:
        self._open, named = 0, dict[str, int]()
        for n, names in enumerate(conditions):
            if names is None:
                self._open |= 1 << n
            for name in names or ():
                named[name] = named.get(name, 0) | 1 << n
        self._named = {name: bits | self._open for name, bits in named.items()}

    def of(self, name: str) -> int:
        """The rules that `name` meets."""
        return self._named.get(name, self._open)


@dataclass(frozen=True)
class PolicyIndex:
    """What routing knows: the rules, the people, and the lanes, compiled.

    Raises `ValueError` for a lane whose globs are wrong, when they are first asked for.
    """

    rules: Rules
    people: People
    lanes: Mapping[str, Lane] = field(repr=False)

    @cached_property
    def everywhere(self) -> Globs:
        """What is protected in every lane."""
        return protected(self.rules.protect)

    @cached_property
    def _bits(self) -> tuple[RuleBits, RuleBits, RuleBits]:
        """By people and roles, by repository, and by surface."""
        when = [rule.when for rule in self.rules.rules]
        return (
            RuleBits(condition.people for condition in when),
            RuleBits(condition.repositories for condition in when),
            RuleBits(condition.surfaces for condition in when),
        )

    @cached_property
    def _lane_bits(self) -> Mapping[str, tuple[CompiledLane, int]]:
        """Each lane by name, sorted, with the rules that speak of it."""
        bits = RuleBits(rule.when.lanes for rule in self.rules.rules)
        compiled = (CompiledLane(lane, self.everywhere.patterns) for _, lane in sorted(self.lanes.items()))
        return {lane.name: (lane, bits.of(lane.name)) for lane in compiled}

    @cached_property
    def _asking(self) -> int:
        """The rules that ask first, which is answered once the lane is named."""
        return sum(1 << n for n, rule in enumerate(self.rules.rules) if isinstance(rule.then, AskEffect))

    def lane(self, name: str) -> CompiledLane | None:
        """The lane called `name`."""
        found = self._lane_bits.get(name)
        return found[0] if found else None

    def evaluate(self, person: Person, request: PolicyRequest) -> list[LaneEvaluation]:
        """Each lane that the request may take, sorted by name, with the rule that decides there."""
        people, repositories, surfaces = self._bits
        speaking = people.of(person.name)
        for role in person.roles:
            speaking |= people.of(role)
        speaking &= repositories.of(request.repository) & surfaces.of(request.surface)
        lanes: Iterable[tuple[CompiledLane, int]] = self._lane_bits.values()
        if request.lane is not None:
            speaking &= ~self._asking
            lanes = [self._lane_bits[request.lane]] if request.lane in self._lane_bits else []
        rules, evaluations = self.rules.rules, []
        for lane, bits in lanes:
            here = speaking & bits
            evaluations.append(LaneEvaluation(lane, rules[(here & -here).bit_length() - 1] if here else None))
        return evaluations

    def refusal_of_paths(self, paths: Sequence[str]) -> str | None:
        """Why one of `paths` may be touched in no lane, or None."""
        for path in paths:
            try:
                check_path(path)
            except PathError as error:
                return str(error)
            if pattern := self.everywhere.denies(raw(path)):
                return f"{shown(path)} may not be changed in any lane (by {pattern})"
        return None


def raw(path: str) -> bytes:
    """A path that was named in words, as git has it."""
    return path.encode("utf-8", "surrogateescape")


def shown(path: str) -> str:
    """The same for people to read."""
    return show_path(raw(path))
