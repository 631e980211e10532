"""Notes: what is still to be said to somebody somewhere; a row each, until it was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, update
from sqlmodel import col, select

from core.place import Place
from core.store.database import Session
from core.store.talk_tables import NoteRow

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


async def add(  # noqa: PLR0913 (a note has all of these)
    session: Session,
    place: Place,
    text: str,
    now_ms: int,
    *,
    reply_to: str | None = None,
    only_to: str | None = None,
    number: int | None = None,
    choices: Sequence[Sequence[str]] = (),
    mentions: Sequence[Sequence[str]] = (),
) -> None:
    """Owe these words to that place; see `Note` for what they may carry."""
    session.add(
        NoteRow(
            surface=place.surface,
            place=place.to_json(),
            text=text,
            reply_to=reply_to,
            only_to=only_to,
            number=number,
            choices=[list(one) for one in choices] or None,
            mentions=[list(one) for one in mentions] or None,
            state=DUE,
            due_ms=now_ms,
            created_ms=now_ms,
        )
    )
    await session.flush()


async def begin(session: Session, surface: str, now_ms: int, limit: int) -> list[Note]:
    """Take the oldest notes of `surface` that are due, for `HOLD_MS` to ourselves."""
    due = (
        select(NoteRow.id)
        .where(NoteRow.state == DUE, NoteRow.surface == surface, NoteRow.due_ms <= now_ms, NoteRow.held_ms <= now_ms)
        .order_by(col(NoteRow.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = await session.execute(
        update(NoteRow)
        .where(col(NoteRow.id).in_(due), col(NoteRow.held_ms) <= now_ms)
        .values(held_ms=now_ms + HOLD_MS)
        .returning(NoteRow)
        .execution_options(populate_existing=True)
    )
    return sorted((_note(row) for row in taken.scalars()), key=lambda note: note.id)


async def any_due(session: Session, surface: str, now_ms: int) -> bool:
    """Whether something is to be said on `surface`; one look at an index."""
    rows = await session.exec(
        select(NoteRow.id)
        .where(NoteRow.state == DUE, NoteRow.surface == surface, NoteRow.due_ms <= now_ms, NoteRow.held_ms <= now_ms)
        .limit(1)
    )
    return rows.first() is not None


async def finish(session: Session, note: Note, state: str) -> None:
    """It was said, or never can be."""
    await session.execute(update(NoteRow).where(col(NoteRow.id) == note.id).values(state=state, held_ms=0))


async def put_off(session: Session, note: Note, due_ms: int) -> None:
    """Say it at `due_ms`."""
    await session.execute(
        update(NoteRow)
        .where(col(NoteRow.id) == note.id)
        .values(held_ms=0, due_ms=due_ms, attempt=col(NoteRow.attempt) + 1)
    )


async def prune(session: Session, before_ms: int) -> None:
    """Forget what was said before then."""
    await session.execute(delete(NoteRow).where(col(NoteRow.state) != DUE, col(NoteRow.created_ms) < before_ms))


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
