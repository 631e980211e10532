"""A schedule: a recurring request, with the phrase that says when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from core.model.errors import UsageError
from core.model.place import Place

ACTIVE: Final = "active"
PAUSED: Final = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One recurring request of `person`.

    `phrase` says when in words and `zone` in which time zone; `missed` is ``skip`` or ``once``. `next_ms` is when it is
    made next (None while paused), `last_ms` the time for which it was made last. `parameters` are its lane's. `problem`
    is why Countersign paused it.
    """

    id: str
    person: str
    surface: str
    place: Place | None
    text: str
    repo: str | None
    lane: str | None
    phrase: str
    zone: str
    state: str
    missed: str
    next_ms: int | None
    last_ms: int | None
    created_ms: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None

    def dedup(self, at_ms: int) -> str:
        """The idempotency key of its request for one time: the same on every host and after every crash."""
        return f"schedule:{self.id}:{at_ms}"

    def to_json(self) -> dict[str, Any]:
        """The schedule as `countersign schedules --json` shows it."""
        return {
            "id": self.id,
            "person": self.person,
            "surface": self.surface,
            "text": self.text,
            "repo": self.repo,
            "lane": self.lane,
            "parameters": dict(self.parameters),
            "when": self.phrase,
            "zone": self.zone,
            "state": self.state,
            "missed": self.missed,
            "problem": self.problem,
        }


def zone_named(name: str) -> ZoneInfo:
    """The time zone with this IANA name; raises `UsageError`."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(
            "no_such_zone", f"{name[:64]!r} is not a time zone", "Write for example Europe/Zurich or UTC."
        ) from error
