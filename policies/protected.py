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

# security.md 45: the home of Countersign, if somebody keeps it in a repository
_OWN_HOME: Final = ("**/.countersign/**",)

PROTECTED: Final = (*STEERING, *_OWN_HOME)


def with_protected(lanes: Mapping[str, Lane], patterns: tuple[str, ...]) -> dict[str, Lane]:
    """The lanes with the globs that a policy file protects in every lane; the guard reads them from the lane."""
    return {name: replace(lane, protect=(*lane.protect, *patterns)) for name, lane in lanes.items()}


@lru_cache(maxsize=256)
def protected(*more: tuple[str, ...]) -> Globs:
    """The globs that are protected in every lane, and `more`; raises `ValueError` for an invalid pattern.

    Compiled globs are cached, since compiling takes milliseconds and many lanes protect the same paths.
    """
    return Globs(tuple(dict.fromkeys((*PROTECTED, *(pattern for group in more for pattern in group)))))
