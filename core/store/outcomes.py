"""Awaited outcomes: who typed a command where no card shows its outcome, and is notified there once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import col, select

from core.model.place import Place
from core.model.turn import MessageOrigin
from core.store.message_tables import OutcomeRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class AwaitedOutcome:
    """The writer of a command (`action`) at `origin`, who is notified of its outcome there."""

    id: int
    action: str
    origin: MessageOrigin


async def add(tx: Tx, number: int, action: str, origin: MessageOrigin) -> None:
    """Have the writer of the message at `origin` notified of the outcome, once for the same message."""
    assert origin.place is not None
    waiting = await of_task(tx, number)
    if any((outcome.action, outcome.origin) == (action, origin) for outcome in waiting):
        return
    tx.session.add(
        OutcomeRow(
            number=number,
            asked=action,
            place=origin.place.to_json(),
            reply_to=origin.reply_to,
            only_to=origin.only_to,
            created_ms=tx.now_ms,
        )
    )
    await tx.session.flush()


async def of_task(tx: Tx, number: int) -> list[AwaitedOutcome]:
    """The awaited outcomes of a task."""
    rows = await tx.session.exec(select(OutcomeRow).where(OutcomeRow.number == number).order_by(col(OutcomeRow.id)))
    return [
        AwaitedOutcome(row.id or 0, row.asked, MessageOrigin(Place.from_json(row.place), row.reply_to, row.only_to))
        for row in rows
    ]


async def remove(tx: Tx, ids: Iterable[int]) -> None:
    """Delete awaited outcomes: their writers were notified."""
    await tx.session.execute(delete(OutcomeRow).where(col(OutcomeRow.id).in_(list(ids))))
