"""Protected paths: what no lane may touch, because changing it changes what other machines run or trust.

The list is `core.model.steering`'s, which what agent programs are shown is made from too. Here they are deny patterns
in the sense of `policies.globs`: any spelling, everything below, also for deleting and renaming away.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from core.model.steering import STEERING
from policies.globs import Globs

# 45: Countersign's own home, should somebody keep it in a repository.
_OURS: Final = ("**/.countersign/**",)

PROTECTED: Final = (*STEERING, *_OURS)


@lru_cache(maxsize=256)
def protected(*more: tuple[str, ...]) -> Globs:
    """The globs that are protected in every lane, and `more` of them; raises `ValueError` for a wrong pattern.

    Compiling them takes milliseconds, and lanes share what they protect, so what was compiled is kept.
    """
    return Globs(tuple(dict.fromkeys((*PROTECTED, *(pattern for group in more for pattern in group)))))
