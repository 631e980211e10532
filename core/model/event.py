"""An event: one thing that happened, chained by hash to the previous event of its task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

GENESIS: Final = "0" * 64
"""The `previous` of a chain's first event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, who did it, and the hash of the previous event."""

    id: int
    number: int
    seq: int
    kind: str
    at: datetime
    at_ms: int
    person: str | None
    surface: str | None
    body: str
    previous: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """The event document (`countersign schema event`)."""
        return {
            "id": self.id,
            "task": self.number or None,
            "seq": self.seq,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "person": self.person,
            "surface": self.surface,
            "body": json.loads(self.body),
            "previous": self.previous,
            "hash": self.hash,
        }


def link(
    previous: str, number: int, seq: int, kind: str, at_ms: int, person: str | None, surface: str | None, body: str
) -> str:
    """The hash of an event: sha256 over the canonical JSON array of all its fields and the previous hash."""
    fields = [previous, number, seq, kind, at_ms, person, surface, body]
    return canonical_sha256(fields)


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_sha256(value: object) -> str:
    """The sha256 of a JSON value, whatever the order of its keys, as 64 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@dataclass(slots=True)
class ChainCheck:
    """Checks the chains of many tasks at once, event by event in the order in which they were written.

    It keeps the end of each chain, so it reads every event once. `fault` is the first one in words, or None.
    """

    fault: str | None = None
    checked: int = 0
    _ends: dict[int, tuple[int, str]] = field(default_factory=dict)

    def add(self, event: Event) -> bool:
        """Check the next event; False if its chain is broken there."""
        seq, previous = self._ends.get(event.number, (0, GENESIS))
        expected = link(
            previous, event.number, event.seq, event.kind, event.at_ms, event.person, event.surface, event.body
        )
        whose = f"of #{event.number}" if event.number else "of the home"
        if event.seq != seq + 1:
            self.fault = f"event {seq + 1} {whose} is missing"
        elif event.previous != previous or event.hash != expected:
            self.fault = f"event {event.seq} {whose} ({event.kind}) was changed after it was written"
        else:
            self._ends[event.number] = (event.seq, event.hash)
            self.checked += 1
        return self.fault is None


def broken_link(chain: Sequence[Event]) -> str | None:
    """The first fault in a chain, in words, or None if every link holds."""
    previous = GENESIS
    for position, event in enumerate(chain, start=1):
        if event.seq != position:
            return f"event {position} is missing"
        expected = link(
            previous,
            event.number,
            event.seq,
            event.kind,
            event.at_ms,
            event.person,
            event.surface,
            event.body,
        )
        if event.previous != previous or event.hash != expected:
            return f"event {position} ({event.kind}) was changed after it was written"
        previous = event.hash
    return None
