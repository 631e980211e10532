"""The inbox: what platforms delivered, kept once before it is acknowledged, and heard in order afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, or_, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from core.store.message_tables import InboxRow
from core.store.unit_of_work import Tx

NEW: Final = "new"
DONE: Final = "done"
FAILED: Final = "failed"

HOLD_MS: Final = 20_000
"""How long one process has a delivery to itself; after a crash another hears it then, and its effects are made once."""


@dataclass(frozen=True, slots=True)
class InboxDelivery:
    """One kept delivery: `kind` says what `body` is; it is heard `wait_ms` after it came, or later."""

    surface: str
    dedup: str
    kind: str
    body: dict[str, Any]
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A delivery with its row: `attempt` counts how often it was begun to be heard."""

    id: int
    delivery: InboxDelivery
    attempt: int
    received_ms: int


async def keep(tx: Tx, deliveries: Sequence[InboxDelivery]) -> list[tuple[int, bool]]:
    """Keep all of `deliveries`; for each its row's id, and whether it was not there before."""
    rows = [
        {
            "surface": d.surface,
            "dedup": d.dedup,
            "kind": d.kind,
            "body": d.body,
            "state": NEW,
            "attempt": 0,
            "received_ms": tx.now_ms,
            "due_ms": tx.now_ms + d.wait_ms,
        }
        for d in deliveries
    ]
    dialect = sqlite if tx.session.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(InboxRow).on_conflict_do_nothing(index_elements=["surface", "dedup"])
    made = await tx.session.execute(insert.values(rows).returning(InboxRow.surface, InboxRow.dedup))
    new = {(str(surface), str(dedup)) for surface, dedup in made}
    keys = [(d.surface, d.dedup) for d in deliveries]
    found = await tx.session.execute(
        select(InboxRow.surface, InboxRow.dedup, InboxRow.id).where(
            tuple_(col(InboxRow.surface), col(InboxRow.dedup)).in_(keys)
        )
    )
    ids = {(str(surface), str(dedup)): int(id_ or 0) for surface, dedup, id_ in found}
    kept = []
    for key in keys:
        kept.append((ids[key], key in new))
        new.discard(key)  # the same one twice in one batch is new once
    return kept


async def find(tx: Tx, surface: str, dedup: str) -> int | None:
    """The row of a delivery, or None where it was never kept."""
    return (
        await tx.session.exec(select(InboxRow.id).where(InboxRow.surface == surface, InboxRow.dedup == dedup))
    ).first()


async def latest(tx: Tx, surface: str, first: str, later: str) -> tuple[int, dict[str, Any]] | None:
    """The row and the body of the newest version of a message that was edited, or None where none was kept.

    `first` is the `dedup` of the message as it was first written, `later` how those of its edits begin.
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
    """Put `text` to the delivery `first`, which is heard at `due_ms` then; its row, or None if it was begun already."""
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
    """Whether there is anything to hear now; one look at an index."""
    rows = await tx.session.exec(
        select(InboxRow.id).where(InboxRow.state == NEW, InboxRow.due_ms <= tx.now_ms).limit(1)
    )
    return rows.first() is not None


async def begin(tx: Tx, limit: int) -> list[KeptMessage]:
    """Take the oldest deliveries that are due, for `HOLD_MS` to ourselves."""
    due = select(InboxRow.id).where(InboxRow.state == NEW, InboxRow.due_ms <= tx.now_ms)
    free = due.order_by(col(InboxRow.id)).limit(limit).with_for_update(skip_locked=True)  # what others just take
    taken = await tx.session.execute(
        update(InboxRow)
        .where(col(InboxRow.id).in_(free), col(InboxRow.due_ms) <= tx.now_ms)
        .values(due_ms=tx.now_ms + HOLD_MS, attempt=col(InboxRow.attempt) + 1)
        .returning(InboxRow)
        .execution_options(populate_existing=True)
    )
    kept = [
        KeptMessage(
            row.id or 0, InboxDelivery(row.surface, row.dedup, row.kind, row.body), row.attempt, row.received_ms
        )
        for row in taken.scalars()
    ]
    return sorted(kept, key=lambda one: one.id)


async def finish(tx: Tx, id_: int, answer: dict[str, Any], state: str = DONE) -> None:
    """Say what became of a delivery."""
    await tx.session.execute(
        update(InboxRow).where(col(InboxRow.id) == id_).values(state=state, answer=answer, done_ms=tx.now_ms)
    )


async def put_off(tx: Tx, id_: int, due_ms: int) -> None:
    """Hear a delivery again at `due_ms`: something that it needs is not there now."""
    await tx.session.execute(update(InboxRow).where(col(InboxRow.id) == id_).values(due_ms=due_ms))


async def answer_to(tx: Tx, id_: int) -> dict[str, Any] | None:
    """What became of a delivery, or None while it was not heard."""
    row = (await tx.session.exec(select(InboxRow.answer).where(InboxRow.id == id_))).first()
    return dict(row) if row is not None else None


async def prune(tx: Tx, before_ms: int) -> int:
    """Forget what was heard before then; until then a redelivery is known."""
    gone = await tx.session.execute(
        delete(InboxRow).where(col(InboxRow.state).in_([DONE, FAILED]), col(InboxRow.done_ms) < before_ms)
    )
    return int(getattr(gone, "rowcount", 0))


async def waiting(tx: Tx) -> int:
    """How many deliveries were not heard yet."""
    rows = await tx.session.exec(select(func.count()).select_from(InboxRow).where(InboxRow.state == NEW))
    return int(rows.one())
