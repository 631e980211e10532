"""Card delivery: renders cards that changed, posts or edits them on one surface, and retries after a failure.

No platform has idempotency keys for messages: a crash between a post and its record may show a card twice. Both copies
lead to the same decision (F6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.cards.parts import Action, ActionKind
from bot.messaging.card_builder import CardBuilder, caption, view_of
from bot.messaging.retry import backoff_s, gather_all, refused_wait_s
from bot.surfaces.port import Buttons, RenderedCard, Surface
from core.log import log
from core.model.card import DeliveredCard
from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.lifecycle import State
from core.services.card_buttons import ButtonKey, CardButtons, new_button_id
from core.services.card_outbox import CardOutbox
from core.services.staged_diffs import StagedDiffs
from core.services.task_document import TaskDocument, TaskDocuments

BATCH: Final = 20


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A card to render; `new_buttons` are not recorded yet, `delivered` says that its whole diff was sent."""

    card: Card
    view: DiffView | None
    buttons: Buttons
    new_buttons: Mapping[ButtonKey, str]
    delivered: bool

    def render(self, surface: Surface) -> RenderedCard:
        """The card in the form of `surface`."""
        return surface.render(self.card, self.view, self.buttons, delivered=self.delivered)


@dataclass(frozen=True, slots=True)
class CardDelivery:
    """Delivers due cards on `surface`. With `one_card`, each task has one card, which is edited and never reposted."""

    surface: Surface
    outbox: CardOutbox
    buttons: CardButtons
    documents: TaskDocuments
    diffs: StagedDiffs
    builder: CardBuilder
    one_card: bool = False

    async def round(self) -> bool:
        """Deliver one batch; returns whether any card was due."""
        leased = await self.outbox.begin(self.surface.name, BATCH)
        cards = (*leased.awaiting_people, *leased.others)
        if cards:
            async with self.outbox.held(cards):
                for batch in (leased.awaiting_people, leased.others):
                    await gather_all(self._deliver(card) for card in batch)
        return bool(cards)

    async def _deliver(self, card: DeliveredCard) -> None:
        """Bring one card up to date; a failed one is retried later, or given up if its place no longer exists."""
        try:
            await self._update(card)
        except TransientError as error:
            await self._put_off(card, error.retry_after_s or backoff_s(card.attempt), error)
        except PermanentError as error:
            # a revoked token or a new platform rule can be fixed, so only a place that is gone is given up
            is_gone = error.problem.code == "place_gone"
            await self._put_off(card, None if is_gone else refused_wait_s(card.attempt), error, in_order=False)
        except CountersignError as error:
            await self._put_off(card, backoff_s(card.attempt), error)

    async def _update(self, card: DeliveredCard) -> None:
        document = await self.documents.document(card.number)
        revision = document.task.revision
        if card.message_id is not None and card.revision < revision and not self.one_card:
            await self._supersede(card, document)
            card = replace(card, message_id=None, reply_to=card.message_id)
        diff = await self.diffs.of(document.task)
        drawing = await self._drawing(card, document, diff)
        rendered = drawing.render(self.surface)
        is_cut = rendered.hides_lines and not drawing.delivered and document.task.state is State.STAGED
        if is_cut and diff is not None and await self._attach_diff(card, document, diff):
            drawing = replace(drawing, delivered=True)
            rendered = drawing.render(self.surface)
        if card.former is not None and not self.one_card:
            await self._mark_as_moved(card.former, card, document)
        await self._record_buttons(card, revision, drawing, hides_diff=rendered.hides_lines)
        if card.message_id is None:
            message_id = await self.surface.post(card.place, rendered, card.reply_to)
        else:
            message_id = await self.surface.edit(card.place, card.message_id, rendered)
        await self.outbox.shown(
            card, document, message_id, hides_diff=rendered.hides_lines, delivered=drawing.delivered
        )

    async def _drawing(self, card: DeliveredCard, document: TaskDocument, diff: bytes | None) -> _Drawing:
        """The card as it is now; its diff is `delivered` if all of it was shown or attached before."""
        current_card, staged = self.builder.card(document), document.task.staged
        digest = staged.digest if staged else ""
        delivered = bool(digest) and card.delivered == digest
        buttons, new_buttons = await self._buttons(card, document.task.revision, _button_keys(current_card, digest))
        return _Drawing(current_card, view_of(current_card, diff), buttons, new_buttons, delivered)

    async def _buttons(
        self, card: DeliveredCard, revision: int, keys: Mapping[Action, ButtonKey]
    ) -> tuple[Buttons, Mapping[ButtonKey, str]]:
        """An id for each action's button, the same for every render of a revision, and the ids not yet recorded."""
        recorded = await self.buttons.recorded(card, revision)
        new_buttons = {key: new_button_id() for key in keys.values() if key not in recorded}
        ids = {**recorded, **new_buttons}
        return Buttons({action: ids[key] for action, key in keys.items()}), new_buttons

    async def _record_buttons(self, card: DeliveredCard, revision: int, drawing: _Drawing, *, hides_diff: bool) -> None:
        """Record what a card's buttons stand for, before they can be pressed."""
        if drawing.new_buttons:
            await self.buttons.record(card, revision, drawing.new_buttons, hides_diff=hides_diff)

    async def _mark_as_moved(self, message_id: str, card: DeliveredCard, document: TaskDocument) -> None:
        """Edit the card's previous message to say that the card is shown again below; it keeps no buttons."""
        current_card = self.builder.card(document)
        moved = replace(current_card, superseded_note="shown again below", actions=(), staged=None, needs=())
        await self.surface.edit(card.place, message_id, self.surface.render(moved, None, Buttons(), delivered=False))

    async def _supersede(self, card: DeliveredCard, document: TaskDocument) -> None:
        """Edit the card of an older revision to name the revision that replaced it; it keeps no deciding buttons."""
        assert card.message_id is not None
        old_card = self.builder.card(document, card.revision)
        buttons, new_buttons = await self._buttons(card, card.revision, _button_keys(old_card, ""))
        drawing = _Drawing(old_card, None, buttons, new_buttons, delivered=False)
        await self._record_buttons(card, card.revision, drawing, hides_diff=True)
        await self.surface.edit(card.place, card.message_id, drawing.render(self.surface))

    async def _attach_diff(self, card: DeliveredCard, document: TaskDocument, diff: bytes) -> bool:
        """Attach the whole diff as a patch and a page, and record that it was delivered (security.md 42).

        Returns False if this surface can never accept it; the card then has no Approve and is approved elsewhere.
        """
        staged = document.task.staged
        assert staged is not None
        files = await self.builder.attachments(document, diff)
        text = caption(document, f"#{document.task.number}.{document.task.revision}")
        try:
            message_ids = await self.surface.attach(card.place, files, text, card.message_id) or ()
        except PermanentError as error:
            if error.problem.code == "place_gone":
                raise
            log.warning("diff_undeliverable", surface=self.surface.name, problem=error.problem.message)
            return False
        await self.outbox.whole_diff_delivered(card, staged.digest, message_ids)
        return True

    async def _put_off(
        self, card: DeliveredCard, wait_s: float | None, error: CountersignError, *, in_order: bool = True
    ) -> None:
        log.warning("card_put_off", surface=self.surface.name, task=card.number, problem=error.problem.message)
        await self.outbox.put_off(card, wait_s, error.problem.message, in_order=in_order)


def _button_keys(card: Card, digest: str) -> dict[Action, ButtonKey]:
    """Each action's key: its kind, and the digest to decide on or the answer."""
    return {action: (action.kind.value, _button_value(action, digest)) for action in card.actions}


def _button_value(action: Action, digest: str) -> str:
    if action.kind in (ActionKind.APPROVE, ActionKind.REJECT):
        return digest
    return action.label if action.kind is ActionKind.ANSWER else action.value
