"""The audit trail: append-only events, chained by hash within each task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from core.store.database import from_ms
from core.store.tables import EventRow
from core.store.unit_of_work import Tx

GENESIS = "0" * 64
SYSTEM = 0
"""The `number` of events that belong to no task."""


@dataclass(frozen=True, slots=True)
class Event:
    """One past-tense thing that happened, who did it, and the link to what happened before it."""

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
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


async def append(
    tx: Tx,
    *,
    number: int,
    kind: str,
    person: str | None = None,
    surface: str | None = None,
    body: dict[str, Any] | None = None,
) -> EventRow:
    """Add an event to the end of its task's chain; the caller's transaction holds the task."""
    last = (
        await tx.session.exec(
            select(EventRow).where(EventRow.number == number).order_by(col(EventRow.seq).desc()).limit(1)
        )
    ).first()
    seq, previous = (last.seq + 1, last.hash) if last else (1, GENESIS)
    said = canonical(body or {})
    row = EventRow(
        number=number,
        seq=seq,
        kind=kind,
        at_ms=tx.now_ms,
        person=person,
        surface=surface,
        body=said,
        previous=previous,
        hash=link(previous, number, seq, kind, tx.now_ms, person, surface, said),
    )
    tx.session.add(row)
    await tx.session.flush()
    return row


async def chain_of(tx: Tx, number: int) -> list[Event]:
    """All events of a task, in order."""
    rows = await tx.session.exec(select(EventRow).where(EventRow.number == number).order_by(col(EventRow.seq)))
    return [_event(row) for row in rows]


async def since(
    tx: Tx,
    *,
    after_id: int = 0,
    number: int | None = None,
    since_ms: int | None = None,
    limit: int = 1000,
) -> list[Event]:
    """Events after `after_id`, oldest first, at most `limit`."""
    query = select(EventRow).where(col(EventRow.id) > after_id)
    if number is not None:
        query = query.where(EventRow.number == number)
    if since_ms is not None:
        query = query.where(EventRow.at_ms >= since_ms)
    rows = await tx.session.exec(query.order_by(col(EventRow.id)).limit(limit))
    return [_event(row) for row in rows]


async def count_by_kind(tx: Tx, since_ms: int) -> dict[str, int]:
    """How many events of each kind happened since `since_ms`."""
    rows = await tx.session.execute(
        select(EventRow.kind, func.count()).where(col(EventRow.at_ms) >= since_ms).group_by(EventRow.kind)
    )
    return {str(kind): int(count) for kind, count in rows}


def broken_link(chain: Sequence[Event]) -> str | None:
    """Where the chain does not hold, in words, or None when every link does."""
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


def _event(row: EventRow) -> Event:
    assert row.id is not None
    return Event(
        row.id,
        row.number,
        row.seq,
        row.kind,
        from_ms(row.at_ms),
        row.at_ms,
        row.person,
        row.surface,
        row.body,
        row.previous,
        row.hash,
    )
