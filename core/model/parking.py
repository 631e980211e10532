"""Parking: why a ready job may not be claimed now. Parked jobs are out of the way of claims, whatever their number."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LATER: Final = "later"
"""What a job is parked as that becomes ready at a later time, such as its next attempt."""


class GateKind(StrEnum):
    """What keeps jobs from being claimed: a `pause`, a limit of what runs at once, or one of a day's use."""

    PAUSE = "pause"
    RUNNING = "running"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Gate:
    """One reason why jobs are parked: a pause of the lane or repository `key`, or the limit `limit` for `key`."""

    kind: GateKind
    limit: str
    key: str

    def __str__(self) -> str:
        """As the row of a job stores it."""
        return f"{self.kind}/{self.limit}/{self.key}"

    @classmethod
    def parse(cls, text: str) -> Gate | None:
        """The gate that `str` wrote; None for anything else, such as `LATER`."""
        kind, _, rest = text.partition("/")
        limit, _, key = rest.partition("/")
        return cls(GateKind(kind), limit, key) if rest and kind in set(GateKind) else None
