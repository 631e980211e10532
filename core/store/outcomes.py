"""Awaited outcomes: who asked for something where no card shows the outcome, and is notified there, once."""

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
    """Somebody who `asked` for something at `origin` and is notified of its outcome there."""

    id: int
    asked: str
    origin: MessageOrigin


async def wait(tx: Tx, number: int, asked: str, origin: MessageOrigin) -> None:
    """Have the writer of the message at `origin` notified of the outcome; the same message waits once."""
    assert origin.place is not None
    waiting = await of_task(tx, number)
    if any((one.asked, one.origin) == (asked, origin) for one in waiting):
        return
    tx.session.add(
        OutcomeRow(
            number=number,
            asked=asked,
            place=origin.place.to_json(),
            reply_to=origin.reply_to,
            only_to=origin.only_to,
            created_ms=tx.now_ms,
        )
    )
    await tx.session.flush()


async def of_task(tx: Tx, number: int) -> list[AwaitedOutcome]:
    """Everybody who waits for an outcome of a task."""
    rows = await tx.session.exec(select(OutcomeRow).where(OutcomeRow.number == number).order_by(col(OutcomeRow.id)))
    return [
        AwaitedOutcome(row.id or 0, row.asked, MessageOrigin(Place.from_json(row.place), row.reply_to, row.only_to))
        for row in rows
    ]


async def forget(tx: Tx, ids: Iterable[int]) -> None:
    """Delete awaited outcomes: their writers were notified."""
    await tx.session.execute(delete(OutcomeRow).where(col(OutcomeRow.id).in_(list(ids))))
