"""Cards: where each task is shown, which of them must be drawn again, and what their buttons mean."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from core.model.place import Place
from core.store import messages
from core.store.message_tables import ButtonRow, CardRow
from core.store.unit_of_work import Tx

HOLD_MS = 60_000
"""How long one process may take to draw a card before another tries."""


@dataclass(frozen=True, slots=True)
class DeliveredCard:
    """A card of task `number` in `place`.

    `revision` is the one it shows (0: not posted yet), `delivered` the digest whose whole diff was shown or attached
    there; `version` counts what happened that it must show. `former` is the message that showed it before it was asked
    for anew and still has to say so.
    """

    id: int
    number: int
    place: Place
    reply_to: str | None
    message_id: str | None
    revision: int
    delivered: str | None
    attempt: int
    version: int
    former: str | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """What a button means: `kind` is an action, `value` the digest or the option that it stands for."""

    id: str
    card_id: int
    number: int
    revision: int
    kind: str
    value: str


async def bind(tx: Tx, number: int, place: Place, reply_to: str | None) -> None:
    """Show a task in one more place from now on; where it is shown already, nothing changes but that it is drawn."""
    thread = place.thread or ""
    where = (
        CardRow.number == number,
        CardRow.surface == place.surface,
        CardRow.channel == place.channel,
        CardRow.thread == thread,
    )
    row = (await tx.session.exec(select(CardRow).where(*where))).first()
    if row is None:
        row = CardRow(
            number=number,
            surface=place.surface,
            channel=place.channel,
            thread=thread,
            private=place.private,
            created_ms=tx.now_ms,
        )
    row.reply_to = reply_to or row.reply_to
    row.due_ms = tx.now_ms
    row.version += 1
    tx.session.add(row)
    await tx.session.flush()


async def redraw(tx: Tx, number: int) -> None:
    """Have every card of a task drawn again: part of every step it takes. One that must wait still waits."""
    await tx.session.execute(update(CardRow).where(col(CardRow.number) == number).values(**_anew(tx.now_ms)))


def _anew(now_ms: int) -> dict[str, Any]:
    """What makes a card due; `version` tells whoever is drawing it meanwhile that it has become old."""
    return {"due_ms": func.coalesce(CardRow.due_ms, now_ms), "version": col(CardRow.version) + 1}


async def any_due(tx: Tx, surface: str) -> bool:
    """Whether a card of `surface` may be drawn now; one look at an index."""
    rows = await tx.session.exec(select(CardRow.id).where(*_next(surface, tx.now_ms)).limit(1))
    return rows.first() is not None


async def begin(tx: Tx, surface: str, limit: int) -> list[DeliveredCard]:
    """Take for `HOLD_MS` the cards of `surface` that may be drawn now, the longest due first.

    Of the cards without a message only the oldest of each channel is taken, so that they are posted in order.
    """
    due = (
        select(CardRow.id).where(*_next(surface, tx.now_ms)).order_by(col(CardRow.due_ms), col(CardRow.id)).limit(limit)
    )
    taken = await tx.session.execute(
        update(CardRow)
        .where(col(CardRow.id).in_(due.with_for_update(skip_locked=True)), col(CardRow.held_ms) <= tx.now_ms)
        .values(held_ms=tx.now_ms + HOLD_MS)
        .returning(CardRow)
        .execution_options(populate_existing=True)
    )
    return [_posted(row) for row in taken.scalars()]


def _next(surface: str, now_ms: int) -> tuple[ColumnElement[bool], ...]:
    """The conditions on a card that is due; an older card that was not posted yet holds back the first post of it."""
    older = aliased(CardRow)
    held_back = exists().where(
        col(older.surface) == CardRow.surface,
        col(older.channel) == CardRow.channel,
        col(older.message_id).is_(None),
        col(older.due_ms).is_not(None),
        col(older.in_order),
        col(older.id) < col(CardRow.id),
    )
    return (
        col(CardRow.surface) == surface,
        col(CardRow.due_ms) <= now_ms,
        col(CardRow.held_ms) <= now_ms,
        or_(col(CardRow.message_id).is_not(None), ~held_back),
    )


async def posted(tx: Tx, card: DeliveredCard, message_id: str, revision: int) -> None:
    """Remember which message shows the card, as soon as the platform said so; it stays bound to the task for ever."""
    await tx.session.execute(
        update(CardRow).where(col(CardRow.id) == card.id).values(message_id=message_id, revision=revision)
    )
    await messages.remember(tx, card.number, card.place, [message_id])


async def quieted(tx: Tx, card: DeliveredCard) -> None:
    """The message that showed the card before says that it is shown elsewhere."""
    await tx.session.execute(
        update(CardRow).where(col(CardRow.id) == card.id, col(CardRow.former) == card.former).values(former=None)
    )


async def delivered(tx: Tx, card: DeliveredCard, digest: str) -> None:
    """Remember that the whole diff of `digest` was shown or attached where the card is."""
    await tx.session.execute(update(CardRow).where(col(CardRow.id) == card.id).values(delivered=digest))


async def drawn(tx: Tx, card: DeliveredCard) -> None:
    """The card shows what was so; it is due at once if something happened while it was drawn."""
    mine = col(CardRow.id) == card.id
    shown = {"held_ms": 0, "attempt": 0, "problem": None, "in_order": True, "due_ms": tx.now_ms}
    await tx.session.execute(update(CardRow).where(mine).values(**shown))
    await tx.session.execute(update(CardRow).where(mine, col(CardRow.version) == card.version).values(due_ms=None))


async def put_off(tx: Tx, card: DeliveredCard, due_ms: int | None, problem: str, *, in_order: bool = True) -> None:
    """Try the card again at `due_ms`, or never (None): nobody can be reached there.

    Later cards of its channel wait for its first post, unless `in_order` is false.
    """
    await tx.session.execute(
        update(CardRow)
        .where(col(CardRow.id) == card.id)
        .values(held_ms=0, due_ms=due_ms, attempt=col(CardRow.attempt) + 1, problem=problem[:500], in_order=in_order)
    )


async def touch(tx: Tx, card_id: int, *, anew: bool = False) -> None:
    """Have one card drawn again; `anew` as a new message, for whoever cannot find the old one."""
    changes = {**_anew(tx.now_ms), "due_ms": tx.now_ms}
    if anew:
        former = func.coalesce(col(CardRow.message_id), col(CardRow.former))
        changes |= {"former": former, "message_id": None, "delivered": None}
    await tx.session.execute(update(CardRow).where(col(CardRow.id) == card_id).values(**changes))


async def of_task(tx: Tx, number: int) -> list[DeliveredCard]:
    """Every card of a task."""
    rows = await tx.session.exec(select(CardRow).where(CardRow.number == number).order_by(col(CardRow.id)))
    return [_posted(row) for row in rows]


async def get(tx: Tx, card_id: int) -> DeliveredCard | None:
    """One card."""
    row = await tx.session.get(CardRow, card_id)
    return _posted(row) if row else None


async def button(tx: Tx, id_: str) -> Button | None:
    """What a button means, or None for an id that we never gave."""
    row = await tx.session.get(ButtonRow, id_)
    return Button(row.id, row.card_id, row.number, row.revision, row.kind, row.value) if row else None


async def buttons(
    tx: Tx, card: DeliveredCard, revision: int, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The ids of a card's buttons, by (kind, value); the same ones each time the same revision is drawn."""
    ids = await known_buttons(tx, card, revision)
    for kind, value in wanted:
        if (kind, value) not in ids:
            id_ = secrets.token_urlsafe(16)  # 22 characters: not to be guessed, and within Telegram's 64 bytes
            row = ButtonRow(id=id_, card_id=card.id, number=card.number, revision=revision, kind=kind, value=value)
            tx.session.add(row)
            ids[kind, value] = id_
    await tx.session.flush()
    return ids


async def known_buttons(tx: Tx, card: DeliveredCard, revision: int) -> dict[tuple[str, str], str]:
    """The ids that a card's buttons have already, by (kind, value)."""
    rows = await tx.session.exec(select(ButtonRow).where(ButtonRow.card_id == card.id, ButtonRow.revision == revision))
    return {(row.kind, row.value): row.id for row in rows}


async def move(tx: Tx, surface: str, channel: str, to: str) -> None:
    """A channel has another id: its cards are there now."""
    await tx.session.execute(
        update(CardRow).where(col(CardRow.surface) == surface, col(CardRow.channel) == channel).values(channel=to)
    )


async def revive(tx: Tx, surface: str) -> None:
    """A surface is back: what could not be drawn meanwhile is due at once."""
    await tx.session.execute(
        update(CardRow)
        .where(col(CardRow.surface) == surface, col(CardRow.due_ms) > tx.now_ms, col(CardRow.attempt) > 0)
        .values(due_ms=tx.now_ms)
    )


def _posted(row: CardRow) -> DeliveredCard:
    assert row.id is not None
    return DeliveredCard(
        id=row.id,
        number=row.number,
        place=Place(row.surface, row.channel, row.thread or None, row.private),
        reply_to=row.reply_to,
        message_id=row.message_id,
        revision=row.revision,
        delivered=row.delivered,
        attempt=row.attempt,
        version=row.version,
        former=row.former,
    )
