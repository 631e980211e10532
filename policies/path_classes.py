"""Kinds of paths: a path for each combination of globs that a path can match.

A policy treats two paths alike if they match the same globs, so a few paths stand for all of them. They are found by
walking all globs together, one part of a path at a time, over the names of `policies.part_witnesses`. A deny glob also
covers other spellings (see `policies.globs`). Those of another case are walked; of the rest, such as full-width letters
or names as Windows reads them, none is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from policies.globs import compiled, compiled_deny, fold
from policies.part_witnesses import part_witnesses
from policies.witness_search import witnesses

_STARS: Final = "**"
_Rule = Sequence[re.Pattern[str] | None]


@dataclass(frozen=True)
class _Walk:
    """One glob as it is walked: a state has a bit for each place in each of its rules, and one for "it matched".

    A deny glob matches for good once a folder matches.
    """

    pattern: str
    is_deny: bool

    @cached_property
    def _rules(self) -> tuple[_Rule, ...]:
        return compiled_deny(self.pattern) if self.is_deny else (compiled(self.pattern),)

    def start(self) -> tuple[int, ...]:
        """The state before the first part."""
        return tuple(_past_stars(rule, 1) for rule in self._rules)

    def step(self, state: tuple[int, ...], part: str) -> tuple[int, ...]:
        """The state after one more part."""
        if self.is_deny and self.accepts(state):
            return state
        text = fold(part) if self.is_deny else part
        return tuple(_step(rule, places, text) for rule, places in zip(self._rules, state, strict=True))

    def accepts(self, state: tuple[int, ...]) -> bool:
        """Whether the path so far matches."""
        return any(places >> len(rule) & 1 for rule, places in zip(self._rules, state, strict=True))


def path_witnesses(write: Iterable[str], deny: Iterable[str]) -> list[str]:
    """A shortest path for each combination of these globs that a path can match, none of them included.

    All globs pass `policies.globs.check`. Raises `TooManyCombinationsError` if they combine in more ways than can be
    looked at one by one.
    """
    walks = [_Walk(pattern, is_deny=False) for pattern in dict.fromkeys(write)]
    walks += [_Walk(pattern, is_deny=True) for pattern in dict.fromkeys(deny)]
    plain = (part for walk in walks if not walk.is_deny for part in _parts(walk.pattern))
    folded = (part for walk in walks if walk.is_deny for part in _parts(fold(walk.pattern)))
    names = part_witnesses(plain, folded)
    return witnesses(walks, names, "/")


def _parts(pattern: str) -> list[str]:
    return [part for part in pattern.removeprefix("/").split("/") if part != _STARS]


def _step(rule: _Rule, places: int, part: str) -> int:
    after = 0
    for at, pattern in enumerate(rule):
        if not places >> at & 1:
            continue
        if pattern is None:
            after |= 1 << at
        elif pattern.fullmatch(part):
            after |= 1 << at + 1
    return _past_stars(rule, after)


def _past_stars(rule: _Rule, places: int) -> int:
    """The places with those after a ``**``, which may stand for no part."""
    for at, pattern in enumerate(rule):
        if pattern is None and places >> at & 1:
            places |= 1 << at + 1
    return places
