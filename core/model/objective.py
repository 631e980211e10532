"""Objectives: which share of what happens in a window of time must be good, and how fast the rest is used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

FAST_BURN: Final = 14.4
"""A burn rate that uses up 2% of a budget of 30 days in an hour (Google's SRE workbook, "Alerting on SLOs")."""
FAST_BURN_LEAST: Final = 10
"""Of fewer events in the last hour a burn rate says nothing."""


class Subject(StrEnum):
    """What an objective is about, and which part of it is good."""

    WAIT = "wait"
    """Jobs that waited for a worker and for models no longer than `within_s`."""
    RUN = "run"
    """Jobs that ran no longer than `within_s`."""
    DECISION = "decision"
    """Verdicts that came no later than `within_s` after the staged diff."""
    SUCCESS = "success"
    """Requests whose work ended with a staged diff, of those that staged one or failed."""
    ENDPOINT = "endpoint"
    """Looks at a model server that found it up."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Of what happens within `window_s` seconds, the share `share` must be good.

    `names` are the lanes, surfaces or the endpoint that it is about; empty for all. `by_surface` says that they are
    surfaces.
    """

    name: str
    subject: Subject
    share: float
    window_s: int
    within_s: float | None = None
    names: frozenset[str] = frozenset()
    by_surface: bool = False


@dataclass(frozen=True, slots=True)
class ShareCount:
    """How many there were, and how many of them were good."""

    all: int = 0
    good: int = 0

    def plus(self, other: ShareCount) -> ShareCount:
        """The sum of both."""
        return ShareCount(self.all + other.all, self.good + other.good)

    @property
    def share(self) -> float | None:
        """The good share; None if there was nothing."""
        return self.good / self.all if self.all else None


@dataclass(frozen=True, slots=True)
class ObjectiveResult:
    """An objective with what happened in its window and in the last hour of it.

    `quantile_s` is the time that the share `objective.share` did not exceed, for those about times.
    """

    objective: Objective
    window: ShareCount
    last_hour: ShareCount
    quantile_s: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the window has its share; one in which nothing happened has."""
        share = self.window.share
        return share is None or share >= self.objective.share

    @property
    def burn_rate(self) -> float:
        """How fast the error budget is used: 1 uses all of it within the window."""
        return self._burn(self.window)

    @property
    def burns_fast(self) -> bool:
        """Whether the last hour used the budget so fast that someone should look now."""
        return self.last_hour.all >= FAST_BURN_LEAST and self._burn(self.last_hour) >= FAST_BURN

    @property
    def budget_left(self) -> float:
        """The share of the error budget that is left; negative if more than all of it was used."""
        return 1 - self.burn_rate

    def _burn(self, count: ShareCount) -> float:
        return (1 - count.share) / (1 - self.objective.share) if count.share is not None else 0.0

    def to_json(self) -> dict[str, Any]:
        """The row of ``objectives`` in ``stats --json``."""
        share = self.window.share
        return {
            "name": self.objective.name,
            "subject": self.objective.subject.value,
            "share": self.objective.share,
            "within_s": self.objective.within_s,
            "window_s": self.objective.window_s,
            "names": sorted(self.objective.names),
            "events": self.window.all,
            "good": self.window.good,
            "good_share": round(share, 6) if share is not None else None,
            "quantile_s": round(self.quantile_s, 3) if self.quantile_s is not None else None,
            "burn_rate": round(self.burn_rate, 4),
            "last_hour_burn_rate": round(self._burn(self.last_hour), 4),
            "met": self.is_met,
        }


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that operators were alerted of; `closed_at` is None while it lasts."""

    kind: str
    name: str
    sentence: str
    opened_at: datetime
    closed_at: datetime | None


class AlertKind(StrEnum):
    """What operators are alerted of."""

    QUEUE_STALLED = "queue_stalled"
    ENDPOINT_LOST = "endpoint_lost"
    BUDGET_BURNT = "budget_burnt"
    TOKEN_ENDS = "token_ends"  # noqa: S105 - the kind of an alert
    CERTIFICATE_ENDS = "certificate_ends"
