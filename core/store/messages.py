"""Countersign's own messages: which task each is about, and the buttons below questions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from sqlalchemy import update
from sqlmodel import col, select

from core.model.card import Choice
from core.model.place import Place
from core.store.message_tables import CardRow, ChoiceRow, TaskMessageRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into


async def bind(tx: Tx, number: int, place: Place, message_ids: Iterable[str]) -> None:
    """Bind messages in `place` to task `number`; a message that is bound already keeps its task."""
    rows = [
        {
            "surface": place.surface,
            "channel": place.channel,
            "message_id": message_id,
            "number": number,
            "at_ms": tx.now_ms,
        }
        for message_id in dict.fromkeys(message_ids)
    ]
    if rows:
        keys = ["surface", "channel", "message_id"]
        await tx.session.execute(
            insert_into(tx, TaskMessageRow).values(rows).on_conflict_do_nothing(index_elements=keys)
        )


async def task_of(tx: Tx, surface: str, channel: str, message_id: str) -> int | None:
    """The task that a message is about, or None."""
    row = await tx.session.get(TaskMessageRow, (surface, channel, message_id))
    return row.number if row else None


async def shown_in(tx: Tx, place: Place, *, whole_channel: bool) -> list[int]:
    """The tasks with a card in a place, the newest first; with `whole_channel` also those in its threads."""
    query = select(CardRow.number).where(CardRow.surface == place.surface, CardRow.channel == place.channel)
    if not whole_channel:
        query = query.where(CardRow.thread == (place.thread or ""))
    return [int(number) for number in await tx.session.exec(query.distinct().order_by(col(CardRow.number).desc()))]


async def offer(tx: Tx, place: Place, identity: str, dedup: str, lines: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Create a button for each (label, command line), for `identity` alone; returns [label, id] in the same order."""
    buttons = []
    for label, line in lines:
        id_ = secrets.token_urlsafe(16)  # 22 characters, which cannot be guessed and fit Telegram's 64 bytes
        tx.session.add(
            ChoiceRow(
                id=id_,
                surface=place.surface,
                channel=place.channel,
                identity=identity,
                line=line,
                dedup=dedup,
                created_ms=tx.now_ms,
            )
        )
        buttons.append([label, id_])
    await tx.session.flush()
    return buttons


async def choice(tx: Tx, id_: str) -> Choice | None:
    """What a button below a question stands for, or None for an unknown id."""
    row = await tx.session.get(ChoiceRow, id_)
    return Choice(row.id, row.surface, row.channel, row.identity, row.line, row.dedup) if row else None


async def move_channel(tx: Tx, surface: str, channel: str, to: str) -> None:
    """Move the messages and choices of a channel that got another id."""
    for table in (TaskMessageRow, ChoiceRow):
        await tx.session.execute(
            update(table).where(col(table.surface) == surface, col(table.channel) == channel).values(channel=to)
        )
