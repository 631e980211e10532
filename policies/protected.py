"""Protected paths: what no lane may touch, because changing it changes what other machines run or trust.

The list is `core.model.steering`'s, which what agent programs are shown is made from too. Here they are deny patterns
in the sense of `policies.globs`: any spelling, everything below, also for deleting and renaming away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from core.model.lane import Lane
from core.model.steering import STEERING
from policies.globs import Globs

# 45: Countersign's own home, should somebody keep it in a repository.
_OURS: Final = ("**/.countersign/**",)

PROTECTED: Final = (*STEERING, *_OURS)


def protecting(lanes: Mapping[str, Lane], patterns: tuple[str, ...]) -> dict[str, Lane]:
    """The lanes with what a policy file protects in every lane, for the guard judges by the lane alone."""
    return {name: replace(lane, protect=(*lane.protect, *patterns)) for name, lane in lanes.items()}


@lru_cache(maxsize=256)
def protected(*more: tuple[str, ...]) -> Globs:
    """The globs that are protected in every lane, and `more` of them; raises `ValueError` for a wrong pattern.

    Compiling them takes milliseconds, and lanes share what they protect, so what was compiled is kept.
    """
    return Globs(tuple(dict.fromkeys((*PROTECTED, *(pattern for group in more for pattern in group)))))
