"""How long demands waited by class, and whether other weights made that better or worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.scheduler.demand import WorkClass

LEAST: Final = 50
"""Figures of fewer demands say nothing."""
BETTER: Final = 0.98
"""Other weights are better when the waits are at most this share of the old ones."""
WORSE_TIMES, WORSE_S = 1.25, 2.0
"""A class waits longer when its mean is over this many times the old one and this many seconds more."""
WORSE_SHARE: Final = 0.05
"""More promises are broken when their share rose by this."""


@dataclass(frozen=True, slots=True)
class WaitFigures:
    """The demands of one class that were granted: their number, their waits in seconds, and the broken promises."""

    count: int = 0
    wait_s: float = 0.0
    broken: int = 0

    def after(self, wait_s: float, *, is_broken: bool) -> WaitFigures:
        """The figures after one more grant."""
        return WaitFigures(self.count + 1, self.wait_s + max(0.0, wait_s), self.broken + is_broken)

    @property
    def mean_s(self) -> float:
        """The mean wait; 0 of none."""
        return self.wait_s / self.count if self.count else 0.0

    @property
    def broken_share(self) -> float:
        """The share of promised starts that were not kept; 0 of none."""
        return self.broken / self.count if self.count else 0.0

    def to_json(self) -> dict[str, Any]:
        """The figures by names."""
        return {
            "count": self.count,
            "mean_wait_s": round(self.mean_s, 3),
            "promises_broken": round(self.broken_share, 4),
            "wait_s": round(self.wait_s, 3),
            "broken": self.broken,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WaitFigures:
        """Read what `to_json` wrote; what is missing is 0."""
        return cls(int(value.get("count", 0)), float(value.get("wait_s", 0.0)), int(value.get("broken", 0)))


ByClass = Mapping[WorkClass, WaitFigures]


def to_json(figures: ByClass) -> dict[str, Any]:
    """Figures by the names of their classes."""
    return {work_class.value: each.to_json() for work_class, each in figures.items()}


def from_json(value: Mapping[str, Any]) -> dict[WorkClass, WaitFigures]:
    """Read what `to_json` wrote; a class that is missing has no figures yet."""
    return {each: WaitFigures.from_json(value.get(each.value, {})) for each in WorkClass}


def is_enough(old: ByClass, new: ByClass) -> bool:
    """Whether both have so many demands that they can be compared."""
    return all(sum(each.count for each in figures.values()) >= LEAST for figures in (old, new))


def problems(old: ByClass, new: ByClass) -> tuple[str, ...]:
    """What is worse than before by more than the margins, each as a sentence."""
    found: list[str] = []
    for work_class in WorkClass:
        before, after = old.get(work_class, WaitFigures()), new.get(work_class, WaitFigures())
        if not before.count or not after.count:
            continue
        if after.mean_s > before.mean_s * WORSE_TIMES and after.mean_s > before.mean_s + WORSE_S:
            found.append(f"{work_class.value} waits {after.mean_s:.1f} s instead of {before.mean_s:.1f} s")
        if after.broken_share > before.broken_share + WORSE_SHARE:
            found.append(
                f"{after.broken_share:.0%} of the promised starts of {work_class.value} are missed"
                f" instead of {before.broken_share:.0%}"
            )
    return tuple(found)


def is_better(old: ByClass, new: ByClass) -> bool:
    """Whether all demands together wait less, and nothing is worse by more than the margins."""
    if not is_enough(old, new) or problems(old, new):
        return False
    return _mean_s(new) <= BETTER * _mean_s(old)


def _mean_s(figures: ByClass) -> float:
    count = sum(each.count for each in figures.values())
    return sum(each.wait_s for each in figures.values()) / count if count else 0.0
