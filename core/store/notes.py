"""Notes: messages that are still to be sent to a place; a row each. Within a channel they are sent in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, delete, exists, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from core.model.place import Place
from core.store.message_tables import NoteRow
from core.store.unit_of_work import Tx

DUE: Final = "due"
SENT: Final = "sent"
FAILED: Final = "failed"

HOLD_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Note:
    """Words for a place; `only_to` is the identity of the one person they are for.

    `number` is the task that they are about, `choices` are buttons below them as (label, id), and `mentions` those in
    the words whom the platform must notify, as (name, identity).
    """

    id: int
    place: Place
    text: str
    reply_to: str | None
    only_to: str | None
    attempt: int
    number: int | None = None
    choices: tuple[tuple[str, str], ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()


async def add(
    tx: Tx,
    place: Place,
    text: str,
    *,
    reply_to: str | None = None,
    only_to: str | None = None,
    number: int | None = None,
    choices: Sequence[Sequence[str]] = (),
    mentions: Sequence[Sequence[str]] = (),
) -> None:
    """Owe these words to that place; see `Note` for what they may carry."""
    tx.session.add(
        NoteRow(
            surface=place.surface,
            place=place.to_json(),
            channel=place.channel,
            text=text,
            reply_to=reply_to,
            only_to=only_to,
            number=number,
            choices=[list(one) for one in choices] or None,
            mentions=[list(one) for one in mentions] or None,
            state=DUE,
            due_ms=tx.now_ms,
            created_ms=tx.now_ms,
        )
    )
    await tx.session.flush()


async def begin(tx: Tx, surface: str, limit: int) -> list[Note]:
    """Take for `HOLD_MS` the notes of `surface` that may be sent now: the oldest one of each channel, if it is due."""
    due = select(NoteRow.id).where(*_next(surface, tx.now_ms)).order_by(col(NoteRow.id)).limit(limit)
    taken = await tx.session.execute(
        update(NoteRow)
        .where(col(NoteRow.id).in_(due.with_for_update(skip_locked=True)), col(NoteRow.held_ms) <= tx.now_ms)
        .values(held_ms=tx.now_ms + HOLD_MS)
        .returning(NoteRow)
        .execution_options(populate_existing=True)
    )
    return sorted((_note(row) for row in taken.scalars()), key=lambda note: note.id)


def _next(surface: str, now_ms: int) -> tuple[ColumnElement[bool], ...]:
    """The conditions on a note that is due and that no older note of its channel holds back."""
    older = aliased(NoteRow)
    held_back = exists().where(
        col(older.surface) == NoteRow.surface,
        col(older.channel) == NoteRow.channel,
        col(older.state) == DUE,
        col(older.in_order),
        col(older.id) < col(NoteRow.id),
    )
    return (
        col(NoteRow.state) == DUE,
        col(NoteRow.surface) == surface,
        col(NoteRow.due_ms) <= now_ms,
        col(NoteRow.held_ms) <= now_ms,
        ~held_back,
    )


async def any_due(tx: Tx, surface: str) -> bool:
    """Whether a note of `surface` may be sent now; one look at an index."""
    rows = await tx.session.exec(select(NoteRow.id).where(*_next(surface, tx.now_ms)).limit(1))
    return rows.first() is not None


async def finish(tx: Tx, note: Note, state: str) -> None:
    """It was said, or never can be."""
    await tx.session.execute(update(NoteRow).where(col(NoteRow.id) == note.id).values(state=state, held_ms=0))


async def put_off(tx: Tx, note: Note, due_ms: int, *, in_order: bool = True) -> None:
    """Send it at `due_ms`. Later notes of its channel wait for it, unless `in_order` is false."""
    await tx.session.execute(
        update(NoteRow)
        .where(col(NoteRow.id) == note.id)
        .values(held_ms=0, due_ms=due_ms, attempt=col(NoteRow.attempt) + 1, in_order=in_order)
    )


async def revive(tx: Tx, surface: str) -> None:
    """A surface is back: what could not be sent meanwhile is due at once."""
    await tx.session.execute(
        update(NoteRow)
        .where(col(NoteRow.surface) == surface, col(NoteRow.state) == DUE, col(NoteRow.attempt) > 0)
        .where(col(NoteRow.due_ms) > tx.now_ms)
        .values(due_ms=tx.now_ms)
    )


async def move(tx: Tx, surface: str, channel: str, to: str) -> None:
    """A channel has another id: what is still to be sent there goes to the new one."""
    rows = await tx.session.exec(
        select(NoteRow).where(NoteRow.surface == surface, NoteRow.channel == channel, NoteRow.state == DUE)
    )
    for row in rows:
        row.channel = to
        row.place = {**row.place, "channel": to}
        tx.session.add(row)
    await tx.session.flush()


async def prune(tx: Tx, before_ms: int) -> None:
    """Forget what was said before then."""
    await tx.session.execute(delete(NoteRow).where(col(NoteRow.state) != DUE, col(NoteRow.created_ms) < before_ms))


def _note(row: NoteRow) -> Note:
    return Note(
        id=row.id or 0,
        place=Place.from_json(row.place),
        text=row.text,
        reply_to=row.reply_to,
        only_to=row.only_to,
        attempt=row.attempt,
        number=row.number,
        choices=tuple((label, id_) for label, id_ in row.choices or ()),
        mentions=tuple((name, identity) for name, identity in row.mentions or ()),
    )
