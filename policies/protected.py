"""Paths that no lane may change, because they decide what other machines run or trust.

The list is that of `core.model.protected_files`, which also limits what agent programs see. Here they are deny patterns
of `policies.globs`: they cover any spelling and everything below, also for deleting and renaming.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from core.model.lane import Lane
from core.model.protected_files import STEERING
from policies.globs import Globs

# security.md 45: the home of Countersign, if someone keeps it in a repository
_OWN_HOME: Final = ("**/.countersign/**",)

PROTECTED: Final = (*STEERING, *_OWN_HOME)


def with_protected(lanes: Mapping[str, Lane], patterns: tuple[str, ...]) -> dict[str, Lane]:
    """The lanes with the globs that a policy file protects in every lane, instead of those of another policy file.

    The guard reads them from the lane.
    """
    return {name: replace(lane, protect=(*_own(lane), *patterns), everywhere=patterns) for name, lane in lanes.items()}


def _own(lane: Lane) -> tuple[str, ...]:
    """The globs that the lane's own file protects."""
    return lane.protect[: len(lane.protect) - len(lane.everywhere)]


def protected_reason(pattern: str, lane: Lane | None = None) -> str:
    """Why a path that matches a protected `pattern` may not be changed, as the rest of a sentence about the path.

    Without a `lane` the pattern is one that is protected in every lane.
    """
    is_own = lane is not None and pattern not in {*PROTECTED, *lane.everywhere}
    where = f"lane {lane.name}" if lane is not None and is_own else "any lane"
    return f"may not be changed in {where} (by {pattern})"


@lru_cache(maxsize=256)
def protected(*more: tuple[str, ...]) -> Globs:
    """The globs that are protected in every lane, and `more`; raises `ValueError` for an invalid pattern.

    Compiled globs are cached, since compiling takes milliseconds and many lanes protect the same paths.
    """
    return Globs(tuple(dict.fromkeys((*PROTECTED, *(pattern for group in more for pattern in group)))))
