"""Deliveries: events owed to webhooks, a row each; and the cursor up to which events were handed out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, func, true, update
from sqlmodel import col, select

from core.model.event import Event
from core.model.webhook_delivery import DUE, FAILED, SENT, WebhookDelivery
from core.store import events
from core.store.message_tables import DeliveryRow
from core.store.outbox import Outbox
from core.store.tables import EventRow, SettingRow
from core.store.unit_of_work import Tx

SETTLED_MS: Final = 30_000
"""After this time, a missing event id belongs to a rolled-back transaction, because open ones end after 15 s."""
_CURSOR: Final = "outbound.cursor"


OUTBOX: Final[Outbox[DeliveryRow]] = Outbox(
    DeliveryRow,
    is_owed=lambda delivery: col(delivery.state) == DUE,
    is_ordered=lambda _delivery: true(),
    channel=("hook",),
    order="event_id",
)
"""Webhook deliveries that must be sent; each webhook gets its events in order."""


async def cursor(tx: Tx, *, lock: bool = False) -> int | None:
    """The last event that was handed out; None before the first one."""
    row = await tx.session.get(SettingRow, _CURSOR, with_for_update=lock or None, populate_existing=True)
    return int(row.value["event"]) if row is not None else None


async def set_cursor(tx: Tx, event_id: int) -> None:
    """Record that all events up to `event_id` were handed out."""
    await tx.session.merge(SettingRow(name=_CURSOR, value={"event": event_id}, updated_ms=tx.now_ms))


async def last_event(tx: Tx) -> int:
    """The id of the newest event; 0 if there is none."""
    return int((await tx.session.execute(select(func.coalesce(func.max(EventRow.id), 0)))).scalar_one())


async def settled_since(tx: Tx, after_id: int, limit: int) -> list[Event]:
    """The events after `after_id`, up to the first whose predecessor may still be committed.

    PostgreSQL assigns ids before it commits, so 8 may be visible before 7; a cursor beyond 7 would then skip it.
    """
    page = await events.since(tx, after_id=after_id, limit=limit)
    expected = after_id + 1
    for n, event in enumerate(page):
        if event.id != expected and event.at_ms > tx.now_ms - SETTLED_MS:
            return page[:n]
        expected = event.id + 1
    return page


async def add(tx: Tx, owed: Iterable[tuple[str, str, int, str]]) -> None:
    """Add a delivery for each (id, webhook, event id, body)."""
    for name, hook, event_id, body in owed:
        tx.session.add(
            DeliveryRow(
                id=name, hook=hook, event_id=event_id, body=body, state=DUE, due_ms=tx.now_ms, created_ms=tx.now_ms
            )
        )
    await tx.session.flush()


async def any_due(tx: Tx) -> bool:
    """Whether a delivery is due."""
    return await OUTBOX.any_due(tx)


async def begin(tx: Tx, limit: int) -> list[WebhookDelivery]:
    """Lease due deliveries, at most one of each webhook, in the order of its events."""
    return [
        WebhookDelivery(row.id, row.hook, row.event_id, row.body, row.attempt, row.created_ms, row.fence)
        for row in await OUTBOX.begin(tx, limit)
    ]


async def hold(tx: Tx, delivery: WebhookDelivery) -> bool:
    """Renew the lease of a delivery; False if another process has it."""
    return await OUTBOX.hold(tx, delivery)


async def release(tx: Tx, delivery: WebhookDelivery) -> bool:
    """End the lease of a delivery whose work was given up; False if the lease is lost."""
    return await OUTBOX.release(tx, delivery)


async def conclude(tx: Tx, delivery: WebhookDelivery, state: str, problem: str | None) -> bool:
    """Record that a delivery was `SENT`, or `FAILED` for good; False if the lease is lost."""
    sent_ms = tx.now_ms if state == SENT else None
    return await OUTBOX.finish(tx, delivery, state=state, problem=problem, sent_ms=sent_ms)


async def put_off(tx: Tx, delivery: WebhookDelivery, due_ms: int, problem: str) -> bool:
    """Send a delivery again at `due_ms`; False if the lease is lost."""
    return await OUTBOX.put_off(tx, delivery, due_ms, problem=problem)


async def drop(tx: Tx, known: Collection[str], prefixes: tuple[str, ...]) -> int:
    """Mark deliveries to receivers that are no longer configured as failed; returns their number.

    `known` are the names of webhooks, `prefixes` the possible beginnings of other receivers' names.
    """
    owed = (await tx.session.execute(select(DeliveryRow.hook).where(DeliveryRow.state == DUE).distinct())).scalars()
    gone = [hook for hook in owed if hook not in known and not hook.startswith(prefixes)]
    if not gone:
        return 0
    done = await tx.session.execute(
        update(DeliveryRow)
        .where(col(DeliveryRow.hook).in_(gone), col(DeliveryRow.state) == DUE)
        .values(state=FAILED, problem="this receiver is no longer configured", sent_ms=None, due_ms=tx.now_ms)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", done).rowcount


async def counts(tx: Tx) -> dict[tuple[str, str], int]:
    """The number of deliveries by webhook and state."""
    rows = await tx.session.execute(
        select(DeliveryRow.hook, DeliveryRow.state, func.count()).group_by(DeliveryRow.hook, DeliveryRow.state)
    )
    return {(str(hook), str(state)): int(count) for hook, state, count in rows}


async def last_failure(tx: Tx, hook: str) -> str | None:
    """Why the newest delivery that failed for good did."""
    rows = await tx.session.exec(
        select(DeliveryRow.problem)
        .where(DeliveryRow.hook == hook, DeliveryRow.state == FAILED)
        .order_by(col(DeliveryRow.event_id).desc())
        .limit(1)
    )
    return rows.first()


async def prune(tx: Tx, before_ms: int) -> None:
    """Delete concluded deliveries that are older than `before_ms`."""
    await tx.session.execute(
        delete(DeliveryRow).where(col(DeliveryRow.state) != DUE, col(DeliveryRow.created_ms) < before_ms)
    )
