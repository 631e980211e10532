"""The card outbox: cards that must be drawn again, leased to the process that delivers them to a surface."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from core.model.card import DeliveredCard
from core.model.lifecycle import State
from core.rules.notify_approvers import notify_approvers
from core.services.lease_renewal import kept_leased
from core.services.task_document import TaskDocument
from core.settings import SettingsSource
from core.store import cards, messages, tasks
from core.store.database import Database
from core.store.outbox import LEASE_MS
from core.store.unit_of_work import Tx, reads, writes


@dataclass(frozen=True, slots=True)
class LeasedCards:
    """Cards that one process may draw now: those that wait for people come before the progress of other work."""

    awaiting_people: tuple[DeliveredCard, ...] = ()
    others: tuple[DeliveredCard, ...] = ()


@dataclass(frozen=True, slots=True)
class CardOutbox:
    """Leases due cards, and records what became of them."""

    database: Database
    settings: SettingsSource

    async def begin(self, surface: str, limit: int) -> LeasedCards:
        """Lease the cards of `surface` that may be drawn now, at most `limit`."""
        return await self._begin(surface, limit) if await self._any_due(surface) else LeasedCards()

    @reads
    async def _any_due(self, tx: Tx, surface: str) -> bool:
        return await cards.any_due(tx, surface)

    @writes
    async def _begin(self, tx: Tx, surface: str, limit: int) -> LeasedCards:
        leased = await cards.begin(tx, surface, limit)
        awaiting = await tasks.in_state(tx, {card.number for card in leased}, State.STAGED, State.ASKING)
        return LeasedCards(
            tuple(card for card in leased if card.number in awaiting),
            tuple(card for card in leased if card.number not in awaiting),
        )

    def held(self, leased: Sequence[DeliveredCard]) -> AbstractAsyncContextManager[None]:
        """Keep the leases of cards while they are drawn: the block that this opens."""
        return kept_leased(lambda: self._renew(leased), lambda: self._release(leased), LEASE_MS)

    @writes
    async def _renew(self, tx: Tx, leased: Sequence[DeliveredCard]) -> None:
        for card in leased:
            await cards.hold(tx, card)

    @writes
    async def _release(self, tx: Tx, leased: Sequence[DeliveredCard]) -> None:
        for card in leased:
            await cards.release(tx, card)

    @writes
    async def whole_diff_delivered(self, tx: Tx, card: DeliveredCard, digest: str, message_ids: Sequence[str]) -> None:
        """Record that the whole diff of `digest` is attached where the card is; those messages are about its task."""
        await cards.delivered(tx, card, digest)
        await messages.bind(tx, card.number, card.place, message_ids)

    @writes
    async def shown(
        self, tx: Tx, card: DeliveredCard, document: TaskDocument, message_id: str, *, hides_diff: bool, delivered: bool
    ) -> None:
        """Record that message `message_id` shows the card of `document`, and notify whoever may approve it.

        `hides_diff` says that a line of the diff is not on the card, `delivered` that the whole diff lies beside it.
        """
        await cards.posted(tx, card, message_id, document.task.revision)
        await cards.clear_former(tx, card)
        staged = document.task.staged if document.task.state is State.STAGED else None
        if staged is not None and not hides_diff:
            await cards.delivered(tx, card, staged.digest)
        if staged is not None and (delivered or not hides_diff) and document.needs is not None:
            people = self.settings().people
            await notify_approvers(tx, document.task, document.needs, people, card.place, message_id)
        await cards.finish(tx, card)

    @writes
    async def put_off(
        self, tx: Tx, card: DeliveredCard, wait_s: float | None, problem: str, *, in_order: bool = True
    ) -> None:
        """Draw a card again in `wait_s` seconds, or never (None): nobody can be reached there.

        Later cards of its channel wait for its first message, unless `in_order` is false.
        """
        due_ms = None if wait_s is None else tx.now_ms + round(wait_s * 1000)
        await cards.put_off(tx, card, due_ms, problem, in_order=in_order)
