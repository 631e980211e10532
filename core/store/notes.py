"""Notes: plain messages that are owed to a place, a row each. Within a channel they are sent in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete
from sqlmodel import col, select

from core.model.note import Note
from core.model.place import Place
from core.store.message_tables import NoteRow
from core.store.outbox import Outbox
from core.store.unit_of_work import Tx

DUE: Final = "due"
SENT: Final = "sent"
FAILED: Final = "failed"

OUTBOX: Final[Outbox[NoteRow]] = Outbox(
    NoteRow,
    is_owed=lambda note: col(note.state) == DUE,
    is_ordered=lambda note: col(note.in_order).is_(True),
    channel=("surface", "channel"),
)
"""Notes that must be sent, in their order within each channel."""


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
    """Owe a message to a place; see `Note` for what it may carry."""
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


async def any_due(tx: Tx, surface: str) -> bool:
    """Whether a note of `surface` may be sent now."""
    return await OUTBOX.any_due(tx, col(NoteRow.surface) == surface)


async def begin(tx: Tx, surface: str, limit: int) -> list[Note]:
    """Lease the notes of `surface` that may be sent now: the oldest one of each channel, if it is due."""
    return [_note(row) for row in await OUTBOX.begin(tx, limit, col(NoteRow.surface) == surface)]


async def hold(tx: Tx, note: Note) -> bool:
    """Renew the lease of a note; False when another process sends it."""
    return await OUTBOX.hold(tx, note)


async def release(tx: Tx, note: Note) -> bool:
    """End the lease of a note whose work was given up; False if the lease is lost."""
    return await OUTBOX.release(tx, note)


async def finish(tx: Tx, note: Note, state: str) -> bool:
    """It was sent (`SENT`), or never can be (`FAILED`); False if the lease is lost."""
    return await OUTBOX.finish(tx, note, state=state)


async def put_off(tx: Tx, note: Note, due_ms: int, *, in_order: bool = True) -> bool:
    """Send it at `due_ms`; False if the lease is lost. Later notes of its channel wait, unless `in_order` is false."""
    return await OUTBOX.put_off(tx, note, due_ms, in_order=in_order)


async def revive(tx: Tx, surface: str) -> None:
    """A surface is back: notes that were put off meanwhile are due at once."""
    await OUTBOX.revive(tx, col(NoteRow.surface) == surface)


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
    """Delete what was sent or given up and is older than `before_ms`."""
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
        fence=row.fence,
    )
