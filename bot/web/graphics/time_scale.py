"""A scale of time on which long pauses without work are cut short, so that seconds and days fit beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_PAUSE_SHARE: Final = 0.06
"""The width of a pause that is cut short, as a share of all work."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time from `from_ms` to `to_ms` that is drawn from `begin` on, `width` wide, both in milliseconds."""

    from_ms: int
    to_ms: int
    begin: float
    width: float

    @property
    def is_cut(self) -> bool:
        """Whether it is a pause that is drawn shorter than it was."""
        return self.width < self.to_ms - self.from_ms


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Places times between 0 and 1; `stretches` follow each other without gaps."""

    stretches: tuple[Stretch, ...]

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> TimeScale:
        """A scale for these spans of work, in UTC milliseconds; pauses between them are cut where they are long."""
        busy = _union(spans)
        longest = max(1.0, _PAUSE_SHARE * sum(end - begin for begin, end in busy))
        stretches: list[Stretch] = []
        at = 0.0
        for index, (begin, end) in enumerate(busy):
            if index:
                pause = begin - busy[index - 1][1]
                width = min(float(pause), longest)
                stretches.append(Stretch(busy[index - 1][1], begin, at, width))
                at += width
            stretches.append(Stretch(begin, end, at, float(end - begin)))
            at += end - begin
        return cls(tuple(stretches))

    @property
    def width(self) -> float:
        """All that is drawn, in milliseconds, at least 1."""
        return max(1.0, self.stretches[-1].begin + self.stretches[-1].width) if self.stretches else 1.0

    def place(self, at_ms: int) -> float:
        """Where a time is, from 0 to 1; one outside all stretches is at an end."""
        for each in self.stretches:
            if at_ms <= each.to_ms:
                length = max(1, each.to_ms - each.from_ms)
                inside = min(1.0, max(0.0, (at_ms - each.from_ms) / length))
                return (each.begin + inside * each.width) / self.width
        return 1.0

    @property
    def cuts(self) -> Sequence[Stretch]:
        """The pauses that are cut short."""
        return [each for each in self.stretches if each.is_cut]


def _union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if united and begin <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((begin, max(begin, end)))
    return united
