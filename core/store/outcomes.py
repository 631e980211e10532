"""Outcomes: who asked for something by typing, where no card shows what becomes of it, and is told there, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import col, select

from core.model.place import Place
from core.model.turn import MessageOrigin
from core.store.database import Session
from core.store.message_tables import OutcomeRow


@dataclass(frozen=True, slots=True)
class AwaitedOutcome:
    """Somebody who waits to hear what became of what they `asked` for."""

    id: int
    asked: str
    heard: MessageOrigin


async def wait(session: Session, number: int, asked: str, heard: MessageOrigin, now_ms: int) -> None:
    """Have whoever spoke at `heard` told what becomes of it; the same message waits once."""
    assert heard.place is not None
    known = await of_task(session, number)
    if any((one.asked, one.heard) == (asked, heard) for one in known):
        return
    session.add(
        OutcomeRow(
            number=number,
            asked=asked,
            place=heard.place.to_json(),
            reply_to=heard.reply_to,
            only_to=heard.only_to,
            created_ms=now_ms,
        )
    )
    await session.flush()


async def of_task(session: Session, number: int) -> list[AwaitedOutcome]:
    """Everybody who waits to hear of a task."""
    rows = await session.exec(select(OutcomeRow).where(OutcomeRow.number == number).order_by(col(OutcomeRow.id)))
    return [
        AwaitedOutcome(row.id or 0, row.asked, MessageOrigin(Place.from_json(row.place), row.reply_to, row.only_to))
        for row in rows
    ]


async def forget(session: Session, ids: Iterable[int]) -> None:
    """They were told, or there is nothing to wait for."""
    await session.execute(delete(OutcomeRow).where(col(OutcomeRow.id).in_(list(ids))))
