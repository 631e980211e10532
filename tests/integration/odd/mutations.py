"""Mutations of real deliveries: parts that are missing, extra, odd, huge, elsewhere, or of another type."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

from tests.campaign import WHOLE

COUNT: Final = 10_000 if WHOLE else 300
"""Mutated deliveries for each platform, at the level of reading."""
RUNNING: Final = 1_000 if WHOLE else 60
"""Those that go through a running surface and the fake of its platform."""
CANARY: Final = "zqcanary"
"""A word of people's: in every text, and never in a log."""


def _deep(depth: int) -> Any:
    value: Any = CANARY
    for n in range(depth):
        value = [value] if n % 2 else {CANARY: value}
    return value


ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 7.5, 2**31, 2**63, -(2**63), 10**200, 1e308),
    *("", " ", CANARY, f"{CANARY}\0", f"{CANARY}\ud800", "\u202e" + CANARY, f"/{CANARY}", "0", "true", "null", "é" * 9),
    *([], {}, [None], [[]], [CANARY], [{}], {CANARY: CANARY}, {"id": CANARY}, {"id": 1}, {"": None}, _deep(60)),
)
_HUGE: Final[tuple[Any, ...]] = (
    CANARY * 20_000,
    [CANARY] * 5_000,
    {f"{CANARY}{n}": n for n in range(2_000)},
    _deep(300),
)


class Mutator:
    """Mutates payloads, each time from the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def of(self, payload: Any, *, keep: frozenset[str] = frozenset()) -> Any:
        """A copy with one to four mutations; the keys `keep` at the top stay as they are."""
        made = copy.deepcopy(payload)
        for _ in range(self.chance.choice((1, 1, 1, 2, 2, 3, 4))):
            self._mutate(made, keep)
        return made

    def _mutate(self, made: Any, keep: frozenset[str]) -> None:
        places = [(holder, key) for holder, key in _places(made) if not (holder is made and key in keep)]
        if not places:
            return
        holder, key = self.chance.choice(places)
        kind = self.chance.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = copy.deepcopy(self.chance.choice(_HUGE if self.chance.random() < 0.05 else ODD))
        elif kind == 2:
            holder[key] = [holder[key]]
        elif kind == 3:
            holder[key] = str(holder[key]) if isinstance(holder[key], int) else {CANARY: holder[key]}
        elif kind == 4 and isinstance(holder, dict):
            holder[f"{key}_{CANARY}"] = holder.pop(key)
        elif kind == 5:
            other, place = self.chance.choice(places)
            if not (isinstance(other, list) and place >= len(other)) and (
                not isinstance(other, dict) or place in other
            ):
                holder[key] = copy.deepcopy(other[place])
        elif kind == 6 and isinstance(holder[key], dict):
            holder[key][CANARY] = copy.deepcopy(self.chance.choice(ODD))
        else:
            holder[key] = copy.deepcopy(self.chance.choice(ODD))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested objects and lists, as (holder, key)."""
    stack = [value]
    while stack:
        holder = stack.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                stack.append(holder[key])
