"""Cards: where each task is shown, which of them must be drawn again, and what their buttons mean."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import and_, case, func, null, update
from sqlmodel import col, select

from core.model.card import Button, DeliveredCard
from core.model.place import Place
from core.store import messages
from core.store.message_tables import ButtonRow, CardRow
from core.store.outbox import Outbox
from core.store.unit_of_work import Tx

OUTBOX: Final[Outbox[CardRow]] = Outbox(
    CardRow,
    is_owed=lambda card: col(card.due_ms).is_not(None),
    is_ordered=lambda card: and_(col(card.message_id).is_(None), col(card.in_order)),
    channel=("surface", "channel"),
)
"""Cards that must be drawn; the first messages of cards are posted in the order of their tasks in each channel."""


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
    await tx.session.execute(update(CardRow).where(col(CardRow.number) == number).values(**_due(tx.now_ms)))


def _due(now_ms: int) -> dict[str, Any]:
    """What makes a card due; `version` tells whoever is drawing it meanwhile that the drawing is outdated."""
    return {"due_ms": func.coalesce(CardRow.due_ms, now_ms), "version": col(CardRow.version) + 1}


async def any_due(tx: Tx, surface: str) -> bool:
    """Whether a card of `surface` may be drawn now."""
    return await OUTBOX.any_due(tx, col(CardRow.surface) == surface)


async def begin(tx: Tx, surface: str, limit: int) -> list[DeliveredCard]:
    """Lease the cards of `surface` that may be drawn now.

    Of the cards without a message only the oldest of each channel is leased, so that they are posted in order.
    """
    return [_card(row) for row in await OUTBOX.begin(tx, limit, col(CardRow.surface) == surface)]


async def hold(tx: Tx, card: DeliveredCard) -> bool:
    """Renew the lease of a card; False when another process draws it."""
    return await OUTBOX.hold(tx, card)


async def release(tx: Tx, card: DeliveredCard) -> bool:
    """End the lease of a card whose work was given up; False if the lease is lost."""
    return await OUTBOX.release(tx, card)


async def posted(tx: Tx, card: DeliveredCard, message_id: str, revision: int) -> None:
    """Record which message shows the card, as soon as the platform named it; it stays bound to the task for ever."""
    await tx.session.execute(
        update(CardRow).where(col(CardRow.id) == card.id).values(message_id=message_id, revision=revision)
    )
    await messages.bind(tx, card.number, card.place, [message_id])


async def clear_former(tx: Tx, card: DeliveredCard) -> None:
    """The message that showed the card before says now that it is shown elsewhere."""
    await tx.session.execute(
        update(CardRow).where(col(CardRow.id) == card.id, col(CardRow.former) == card.former).values(former=None)
    )


async def delivered(tx: Tx, card: DeliveredCard, digest: str) -> None:
    """Remember that the whole diff of `digest` was shown or attached where the card is."""
    await tx.session.execute(update(CardRow).where(col(CardRow.id) == card.id).values(delivered=digest))


async def finish(tx: Tx, card: DeliveredCard) -> bool:
    """The card is up to date, or due at once if something happened while it was drawn; False if the lease is lost."""
    unchanged = col(CardRow.version) == card.version
    due_ms = case((unchanged, null()), else_=tx.now_ms)
    return await OUTBOX.finish(tx, card, due_ms=due_ms, attempt=0, problem=None, in_order=True)


async def put_off(tx: Tx, card: DeliveredCard, due_ms: int | None, problem: str, *, in_order: bool = True) -> bool:
    """Try the card again at `due_ms`, or never (None): nobody can be reached there. False if the lease is lost.

    Later cards of its channel wait for its first post, unless `in_order` is false.
    """
    return await OUTBOX.put_off(tx, card, due_ms, problem=problem[:500], in_order=in_order)


async def touch(tx: Tx, card_id: int, *, anew: bool = False) -> None:
    """Have one card drawn again; `anew` as a new message, for whoever cannot find the old one."""
    changes = {**_due(tx.now_ms), "due_ms": tx.now_ms}
    if anew:
        former = func.coalesce(col(CardRow.message_id), col(CardRow.former))
        changes |= {"former": former, "message_id": None, "delivered": None}
    await tx.session.execute(update(CardRow).where(col(CardRow.id) == card_id).values(**changes))


async def of_task(tx: Tx, number: int) -> list[DeliveredCard]:
    """Every card of a task."""
    rows = await tx.session.exec(select(CardRow).where(CardRow.number == number).order_by(col(CardRow.id)))
    return [_card(row) for row in rows]


async def get(tx: Tx, card_id: int) -> DeliveredCard | None:
    """One card."""
    row = await tx.session.get(CardRow, card_id)
    return _card(row) if row else None


async def button(tx: Tx, id_: str) -> Button | None:
    """What a button means, or None for an id that we never gave."""
    row = await tx.session.get(ButtonRow, id_)
    return Button(row.id, row.card_id, row.number, row.revision, row.kind, row.value) if row else None


async def add_button(tx: Tx, button: Button) -> None:
    """Record what a button of a card stands for; raises `ConflictError` where the card has such a button already."""
    tx.session.add(
        ButtonRow(
            id=button.id,
            card_id=button.card_id,
            number=button.number,
            revision=button.revision,
            kind=button.kind,
            value=button.value,
        )
    )
    await tx.session.flush()


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
    """A surface is back: cards that were put off meanwhile are due at once."""
    await OUTBOX.revive(tx, col(CardRow.surface) == surface)


def _card(row: CardRow) -> DeliveredCard:
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
        fence=row.fence,
    )
