"""Forecasts of the queue: when each job is expected to begin and end, and whether a change is worth telling people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

FRESH_FOR: Final = timedelta(seconds=120)
"""A forecast that is older says nothing any more: no worker renews it."""
_ANNOUNCED_AGAIN_AFTER: Final = timedelta(seconds=30)
"""A card is edited for a forecast no more often than this."""
_FACTOR: Final = 1.5
"""By how much an expected wait must change before a card is edited for it."""
_LEAST_S: Final = 60.0
"""A smaller change is not announced."""
_UNANNOUNCED_S: Final = 20.0
"""Work that begins within this time is not announced."""
_BEFORE_STEPS: Final = (1, 2, 3, 4, 6, 11, 21, 51, 101, 201, 501)
"""The numbers of jobs before one at which a card is edited again."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A forecast of a moment or a duration: the real one is expected between `low` and `high`, at best at `middle`.

    `low` and `high` are the 10% and the 90% quantile.
    """

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The quantiles of what several runs gave; there is at least one value."""
        ordered = sorted(values)
        last = len(ordered) - 1
        outside = int(0.08 * len(ordered))  # few runs know little of the tails, so the interval is the wider one
        return cls(ordered[outside], ordered[last // 2 + last % 2], ordered[last - outside])

    def shifted(self, by: float) -> Interval:
        """The interval `by` later."""
        return Interval(self.low + by, self.middle + by, self.high + by)

    def scaled(self, by: float) -> Interval:
        """The interval of something `by` times as long."""
        return Interval(self.low * by, self.middle * by, self.high * by)


@dataclass(frozen=True, slots=True)
class JobForecast:
    """When a job is expected to begin its work and to end, in seconds since the epoch.

    Work begins with the claim, or with the lease of the first model that it needs. `start` is None for work that runs.
    `before` is how many jobs are expected to begin before it.
    """

    start: Interval | None
    finish: Interval
    before: int = 0


@dataclass(frozen=True, slots=True)
class AnnouncedForecast:
    """What the card of a task was last redrawn for: the wait in seconds as it was then, and whether it was late."""

    before: int
    wait: Interval
    is_late: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredForecast:
    """The newest forecast of a job, made at `made_at`; the start promised when it was submitted never changes."""

    job: str
    number: int
    forecast: JobForecast
    made_at: datetime
    promised_at: datetime | None = None
    announced: AnnouncedForecast | None = None

    def is_fresh(self, now: datetime) -> bool:
        """Whether a worker made or confirmed it lately."""
        return now - self.made_at <= FRESH_FOR

    def wait(self, now: datetime) -> Interval | None:
        """The seconds until the work is expected to begin; None for work that runs."""
        start = self.forecast.start
        if start is None:
            return None
        waits = start.shifted(-now.timestamp())
        return Interval(max(0.0, waits.low), max(0.0, waits.middle), max(0.0, waits.high))

    def is_late(self, now: datetime) -> bool:
        """Whether the work has not begun although the promised start is over."""
        return self.forecast.start is not None and self.promised_at is not None and self.promised_at < now

    def is_news(self, now: datetime) -> bool:
        """Whether the forecast says something that the task's card does not say yet, so that it is worth an edit."""
        wait, is_late = self.wait(now), self.is_late(now)
        if wait is None:
            return False
        if self.announced is None:
            return is_late or wait.high > _UNANNOUNCED_S
        if self.announced.is_late is not is_late:
            return True
        if now - self.announced.at < _ANNOUNCED_AGAIN_AFTER:
            return False
        if _step(self.forecast.before) != _step(self.announced.before):
            return True
        return _differs(wait.high, self.announced.wait.high) or _differs(wait.middle, self.announced.wait.middle)


def _step(before: int) -> int:
    return sum(1 for step in _BEFORE_STEPS if before >= step)


def _differs(seconds: float, told_s: float) -> bool:
    small, large = sorted((seconds, told_s))
    return large - small >= _LEAST_S and large > _FACTOR * small
