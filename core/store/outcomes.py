"""Outcomes: who asked for something by typing, where no card shows what becomes of it, and is told there, once."""

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
    """Somebody who waits to hear what became of what they `asked` for."""

    id: int
    asked: str
    heard: MessageOrigin


async def wait(tx: Tx, number: int, asked: str, heard: MessageOrigin) -> None:
    """Have whoever spoke at `heard` told what becomes of it; the same message waits once."""
    assert heard.place is not None
    known = await of_task(tx, number)
    if any((one.asked, one.heard) == (asked, heard) for one in known):
        return
    tx.session.add(
        OutcomeRow(
            number=number,
            asked=asked,
            place=heard.place.to_json(),
            reply_to=heard.reply_to,
            only_to=heard.only_to,
            created_ms=tx.now_ms,
        )
    )
    await tx.session.flush()


async def of_task(tx: Tx, number: int) -> list[AwaitedOutcome]:
    """Everybody who waits to hear of a task."""
    rows = await tx.session.exec(select(OutcomeRow).where(OutcomeRow.number == number).order_by(col(OutcomeRow.id)))
    return [
        AwaitedOutcome(row.id or 0, row.asked, MessageOrigin(Place.from_json(row.place), row.reply_to, row.only_to))
        for row in rows
    ]


async def forget(tx: Tx, ids: Iterable[int]) -> None:
    """They were told, or there is nothing to wait for."""
    await tx.session.execute(delete(OutcomeRow).where(col(OutcomeRow.id).in_(list(ids))))
