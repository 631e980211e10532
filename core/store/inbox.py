"""The inbox: what platforms delivered, stored once before it is acknowledged and then processed in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import delete, func, or_, tuple_, update
from sqlmodel import col, select

from core.model.inbox import InboxDelivery, InboxEntry, RecordedResponse
from core.store.message_tables import InboxRow
from core.store.outbox import Outbox
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into

NEW: Final = "new"
DONE: Final = "done"

LEASE_MS: Final = 20_000
"""The length of a lease; after a crash, another process gets the delivery once it has expired."""

QUEUE: Final[Outbox[InboxRow]] = Outbox(InboxRow, is_owed=lambda row: col(row.state) == NEW, lease_ms=LEASE_MS)
"""Deliveries that must be processed; the process that leases them keeps the order of each channel."""


async def keep(tx: Tx, deliveries: Sequence[InboxDelivery]) -> list[tuple[int, bool]]:
    """Store all of `deliveries`; returns for each the id of its row and whether it is new."""
    rows = [
        {
            "surface": d.surface,
            "dedup": d.dedup,
            "kind": d.kind,
            "body": d.body,
            "state": NEW,
            "attempt": 0,
            "held_ms": 0,
            "fence": 0,
            "received_ms": tx.now_ms,
            "due_ms": tx.now_ms + d.wait_ms,
        }
        for d in deliveries
    ]
    insert = insert_into(tx, InboxRow).on_conflict_do_nothing(index_elements=["surface", "dedup"])
    inserted = await tx.session.execute(insert.values(rows).returning(InboxRow.surface, InboxRow.dedup))
    new = {(str(surface), str(dedup)) for surface, dedup in inserted}
    keys = [(d.surface, d.dedup) for d in deliveries]
    present = await tx.session.execute(
        select(InboxRow.surface, InboxRow.dedup, InboxRow.id).where(
            tuple_(col(InboxRow.surface), col(InboxRow.dedup)).in_(keys)
        )
    )
    ids = {(str(surface), str(dedup)): int(id_ or 0) for surface, dedup, id_ in present}
    rows_of_deliveries = []
    for key in keys:
        rows_of_deliveries.append((ids[key], key in new))
        new.discard(key)  # a duplicate within the batch is new once
    return rows_of_deliveries


async def find(tx: Tx, surface: str, dedup: str) -> int | None:
    """The id of a delivery's row, or None if it was never stored."""
    return (
        await tx.session.exec(select(InboxRow.id).where(InboxRow.surface == surface, InboxRow.dedup == dedup))
    ).first()


async def latest(tx: Tx, surface: str, first: str, later: str) -> tuple[int, dict[str, Any]] | None:
    """The id and the body of the newest version of an edited message, or None if none was stored.

    `first` is the `dedup` of the original message, `later` the beginning of those of its edits.
    """
    version = or_(col(InboxRow.dedup) == first, col(InboxRow.dedup).startswith(later, autoescape=True))
    rows = await tx.session.exec(
        select(InboxRow.id, InboxRow.body)
        .where(InboxRow.surface == surface, version)
        .order_by(col(InboxRow.id).desc())
        .limit(1)
    )
    row = rows.first()
    return None if row is None else (row[0] or 0, dict(row[1]))


async def append(tx: Tx, surface: str, first: str, text: str, due_ms: int) -> int | None:
    """Append `text` to the delivery `first` and process it at `due_ms`; its id, or None if its processing began."""
    query = select(InboxRow).where(InboxRow.surface == surface, InboxRow.dedup == first)
    row = (await tx.session.exec(query.with_for_update().execution_options(populate_existing=True))).first()
    if row is None or row.state != NEW or row.attempt:
        return None
    row.body = {**row.body, "text": str(row.body.get("text", "")) + text}
    row.due_ms = max(row.due_ms, due_ms)
    tx.session.add(row)
    await tx.session.flush()
    return row.id


async def any_due(tx: Tx) -> bool:
    """Whether a delivery is due."""
    return await QUEUE.any_due(tx)


async def hold(tx: Tx, entry: InboxEntry) -> bool:
    """Renew the lease of a delivery; False if another process has it."""
    return await QUEUE.hold(tx, entry)


async def release(tx: Tx, entry: InboxEntry) -> bool:
    """End the lease of a delivery whose work was given up; False if the lease is lost."""
    return await QUEUE.release(tx, entry)


async def begin(tx: Tx, limit: int) -> list[InboxEntry]:
    """Lease the deliveries that are due, in the order in which they arrived."""
    return [
        InboxEntry(
            row.id or 0,
            InboxDelivery(row.surface, row.dedup, row.kind, row.body),
            row.attempt,
            row.received_ms,
            row.fence,
        )
        for row in await QUEUE.begin(tx, limit)
    ]


async def conclude(tx: Tx, entry: InboxEntry, response: RecordedResponse) -> bool:
    """Record the response to a delivery; False if the lease is lost and another process concludes it."""
    return await QUEUE.finish(tx, entry, state=DONE, answer=response.to_json(), done_ms=tx.now_ms)


async def close(tx: Tx, id_: int, response: RecordedResponse) -> None:
    """Record the response to a delivery that no process has leased yet."""
    await tx.session.execute(
        update(InboxRow).where(col(InboxRow.id) == id_).values(state=DONE, answer=response.to_json(), done_ms=tx.now_ms)
    )


async def put_off(tx: Tx, entry: InboxEntry, due_ms: int) -> bool:
    """Process a delivery again at `due_ms`, because something is unavailable; False if the lease is lost."""
    return await QUEUE.put_off(tx, entry, due_ms)


async def response_to(tx: Tx, id_: int) -> RecordedResponse | None:
    """The recorded response to a delivery, or None while there is none."""
    value = (await tx.session.exec(select(InboxRow.answer).where(InboxRow.id == id_))).first()
    return RecordedResponse.from_json(value) if value is not None else None


async def prune(tx: Tx, before_ms: int) -> int:
    """Delete deliveries that were processed before `before_ms`; their duplicates are no longer recognised."""
    gone = await tx.session.execute(
        delete(InboxRow).where(col(InboxRow.state) == DONE, col(InboxRow.done_ms) < before_ms)
    )
    return int(getattr(gone, "rowcount", 0))


async def waiting(tx: Tx) -> int:
    """The number of deliveries that are not processed yet."""
    rows = await tx.session.exec(select(func.count()).select_from(InboxRow).where(InboxRow.state == NEW))
    return int(rows.one())
