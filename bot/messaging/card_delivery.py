"""The courier: brings cards and words to one surface, each at least once and in order, however that surface is doing.

What is owed are rows (`core.store.cards`, `core.store.notes`), so nothing is lost when this process or the platform
goes away. A message has no idempotency key at any platform: a crash between a post and its record may show a card
twice, and both lead to the same one decision (F6).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from bot.cards.build import build_card
from bot.cards.diff import DiffView, read_diff
from bot.cards.model import Card
from bot.cards.parts import Action, ActionKind, TicketLink
from bot.cards.shown_diff import ShownDiffs
from bot.surfaces.port import Attachment, Buttons, Extras, RenderedCard, Surface
from core.log import log
from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.lifecycle import State
from core.model.staged_diff import short_digest
from core.rules.notify_approvers import notify_approvers
from core.services.task_document import TaskDocument, read_document
from core.settings import SettingsSource
from core.store import cards, messages, notes, tasks
from core.store.cards import DeliveredCard
from core.store.database import Database, Session
from core.store.notes import Note

BATCH: Final = 20
REST_S: Final = 0.3
"""How long a step after a step may share one drawing: several facts in that time are one edit."""
MOST_TRIES: Final = 30
"""How often words that a platform refuses are tried again: about a day."""
MOST_PAGE_BYTES: Final = 1_000_000
"""A longer diff is attached as a patch alone: its page would be many times as long, and nobody reads it on a phone."""
_STALE_KINDS: Final = (ActionKind.APPROVE, ActionKind.REJECT)


@dataclass(slots=True)
class CardDelivery:
    """Draws and posts what is due on `surface`, until cancelled."""

    surface: Surface
    database: Database
    settings: SettingsSource
    diffs: ShownDiffs
    tickets: Callable[[str], tuple[TicketLink, ...]] = lambda _text: ()
    poll_s: float = 1.0
    one_card: bool = False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something may be due now."""
        self._wake.set()

    async def run(self) -> None:
        """Bring what is due; what fails is tried again later, and what cannot be brought says why."""
        while True:
            try:
                busy = await self.round()
            except TransientError as error:
                log.warning("courier_waits", surface=self.surface.name, problem=error.problem.message)
                busy = False
            if not busy:
                await self._sleep()

    async def round(self) -> bool:
        """Bring one batch; whether there was anything."""
        drawn = await self._draw_due()  # first: where a chat's pace is short, a card counts for more than words
        said = await self._say_due()
        return drawn or said

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self.poll_s):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    # -- words ------------------------------------------------------------------------------------------------

    async def _say_due(self) -> bool:
        name = self.surface.name

        async def work(session: Session) -> list[Note]:
            now_ms = await self.database.now_ms(session)
            return await notes.begin(session, name, now_ms, BATCH)

        if not await self._any(lambda session, now_ms: notes.any_due(session, name, now_ms)):
            return False
        # one of each channel, so they may go out side by side
        await _all(self._say(note) for note in await self.database.write(work))
        return True

    async def _say(self, note: Note) -> None:
        """Send one note; what fails is put off, or given up where nobody can be reached."""
        try:
            said = (note.place, note.text, note.reply_to, note.only_to)
            more = (Extras(note.choices, note.mentions),) if note.choices or note.mentions else ()
            ids = await self.surface.send_text(*said, *more) or ()  # a plugin's surface may name none
        except TransientError as error:
            wait_s = error.retry_after_s or _backoff_s(note.attempt)
            log.warning("note_put_off", surface=self.surface.name, note=note.id, wait_s=round(wait_s, 1))
            await self._put_off_note(note, wait_s)
        except PermanentError as error:
            log.warning("note_undeliverable", surface=self.surface.name, note=note.id, problem=error.problem.message)
            if error.problem.code != "place_gone" and note.attempt < MOST_TRIES:
                await self._put_off_note(note, _patience_s(note.attempt), in_order=False)
            else:
                await self.database.write(lambda session: notes.finish(session, note, notes.FAILED))
        else:
            await self._said(note, ids)

    async def _said(self, note: Note, ids: Sequence[str]) -> None:
        """Remember that a note was sent, and that its messages are about its task."""

        async def work(session: Session) -> None:
            await notes.finish(session, note, notes.SENT)
            if note.number is not None:
                now_ms = await self.database.now_ms(session)
                await messages.remember(session, note.number, note.place, ids, now_ms)

        await self.database.write(work)

    async def _put_off_note(self, note: Note, wait_s: float, *, in_order: bool = True) -> None:
        async def work(session: Session) -> None:
            due_ms = await self.database.now_ms(session) + round(wait_s * 1000)
            await notes.put_off(session, note, due_ms, in_order=in_order)

        await self.database.write(work)

    # -- cards ------------------------------------------------------------------------------------------------

    async def _draw_due(self) -> bool:
        name = self.surface.name

        async def work(session: Session) -> tuple[list[DeliveredCard], list[DeliveredCard]]:
            now_ms = await self.database.now_ms(session)
            begun = await cards.begin(session, name, now_ms, BATCH)
            waiting = await tasks.in_state(session, {card.number for card in begun}, State.STAGED, State.ASKING)
            return [c for c in begun if c.number in waiting], [c for c in begun if c.number not in waiting]

        if not await self._any(lambda session, now_ms: cards.any_due(session, name, now_ms)):
            return False
        asked, others = await self.database.write(work)
        for begun in (asked, others):  # what waits for people comes before the progress of other work
            await _all(self._draw(card) for card in begun)
        return bool(asked or others)

    async def _draw(self, card: DeliveredCard) -> None:
        """Bring one card to what is so now."""
        try:
            await self._bring(card)
        except TransientError as error:
            await self._put_off(card, error.retry_after_s or _backoff_s(card.attempt), error)
        except PermanentError as error:
            # a revoked token or a platform's new rule may be mended, so only a place that is gone is given up
            gone = error.problem.code == "place_gone"
            await self._put_off(card, None if gone else _patience_s(card.attempt), error, in_order=False)
        except CountersignError as error:
            await self._put_off(card, _backoff_s(card.attempt), error)

    async def _bring(self, card: DeliveredCard) -> None:
        document = await read_document(self.database, self.settings(), card.number)
        revision = document.task.revision
        if card.message_id is not None and card.revision < revision and not self.one_card:
            await self._supersede(card, document)
            card = _anew(card)
        diff = await self._diff(document)
        drawn, delivered = await self._drawn(card, document, diff)
        owed = drawn.hides_lines and not delivered and document.task.state is State.STAGED
        if owed and diff is not None and await self._deliver(card, document, diff):
            drawn, delivered = await self._drawn(card, document, diff, delivered=True)
        if card.former is not None and not self.one_card:
            await self._quieten(card, document)
        if card.message_id is None:
            message = await self.surface.post(card.place, drawn, card.reply_to)
        else:
            message = await self.surface.edit(card.place, card.message_id, drawn)
        staged = document.task.staged if document.task.state is State.STAGED else None

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await cards.posted(session, card, message, revision, now_ms)
            await cards.quieted(session, card)
            if staged is not None and not drawn.hides_lines:
                await cards.delivered(session, card, staged.digest)
            if staged is not None and (delivered or not drawn.hides_lines) and document.needs is not None:
                people = self.settings().people
                await notify_approvers(session, document.task, document.needs, people, card.place, message, now_ms)
            await cards.drawn(session, card, now_ms)

        await self.database.write(work)

    async def _quieten(self, card: DeliveredCard, document: TaskDocument) -> None:
        """Let the message that showed the card before say that it is shown anew; it has no buttons."""
        assert card.former is not None
        moved = replace(self._card_of(document), superseded_note="shown again below", actions=(), staged=None, needs=())
        await self.surface.edit(card.place, card.former, self.surface.render(moved, None, Buttons(), delivered=False))

    async def _supersede(self, card: DeliveredCard, document: TaskDocument) -> None:
        """Let the card of an older revision say which one took its place; it has no buttons that decide."""
        assert card.message_id is not None
        old = self._card_of(document, card.revision)
        drawn = self.surface.render(old, None, await self._buttons(card, old, card.revision, ""), delivered=False)
        await self.surface.edit(card.place, card.message_id, drawn)

    async def _drawn(
        self, card: DeliveredCard, document: TaskDocument, diff: bytes | None, *, delivered: bool = False
    ) -> tuple[RenderedCard, bool]:
        """The card as it is now, and whether its whole diff lies beside it."""
        staged = document.task.staged
        shown = self._card_of(document)
        digest = staged.digest if staged else ""
        delivered = delivered or (bool(digest) and card.delivered == digest)
        buttons = await self._buttons(card, shown, document.task.revision, digest)
        view = _view(shown, diff)
        return self.surface.render(shown, view, buttons, delivered=delivered), delivered

    def _card_of(self, document: TaskDocument, revision: int | None = None) -> Card:
        """The card, with the tickets that the request names."""
        card = build_card(document.to_json(), now=self.clock(), revision=revision)
        said = "\n".join(turn.text for turn in document.turns)
        return replace(card, tickets=() if card.superseded_note else self.tickets(said))

    async def _buttons(self, card: DeliveredCard, shown: Card, revision: int, digest: str) -> Buttons:
        wanted = {action: (action.kind.value, _value(action, digest)) for action in shown.actions}

        async def work(session: Session) -> dict[tuple[str, str], str]:
            return await cards.buttons(session, card, revision, wanted.values())

        ids = await self.database.read(lambda session: cards.known_buttons(session, card, revision))
        if not ids.keys() >= set(wanted.values()):
            ids = await self.database.write(work)
        return Buttons({action: ids[key] for action, key in wanted.items()})

    async def _deliver(self, card: DeliveredCard, document: TaskDocument, diff: bytes) -> bool:
        """Attach the whole diff, as a patch and as a page, and remember that it is there (security.md 42).

        False where this surface can never take it; the card then has no Approve, and may be approved elsewhere.
        """
        staged = document.task.staged
        assert staged is not None
        files = await self.attachments(document, diff)
        try:
            ids = await self.surface.attach(card.place, files, _caption(document), card.message_id) or ()
        except PermanentError as error:
            if error.problem.code == "place_gone":
                raise
            log.warning("diff_undeliverable", surface=self.surface.name, problem=error.problem.message)
            return False

        async def work(session: Session) -> None:
            await cards.delivered(session, card, staged.digest)
            await messages.remember(session, card.number, card.place, ids, await self.database.now_ms(session))

        await self.database.write(work)
        return True

    async def attachments(self, document: TaskDocument, diff: bytes) -> list[Attachment]:
        """The whole diff of what is staged, for programs and, unless it is too long to be read there, as a page."""
        name = f"{document.task.number}.{document.task.revision}"
        patch = Attachment(f"{name}.patch", diff, "text/x-diff")
        if len(diff) > MOST_PAGE_BYTES:
            return [patch]
        from bot.cards.page import diff_page

        card = self._card_of(document)
        page = await asyncio.to_thread(diff_page, card, diff)  # seconds of work for a large diff
        return [patch, Attachment(f"{name}.html", page, "text/html")]

    async def diff_of(self, document: TaskDocument) -> bytes | None:
        """The bytes of the staged diff."""
        return await self._diff(document)

    async def _diff(self, document: TaskDocument) -> bytes | None:
        return await self.diffs.of(document.task)

    async def _put_off(
        self, card: DeliveredCard, wait_s: float | None, error: CountersignError, *, in_order: bool = True
    ) -> None:
        log.warning("card_put_off", surface=self.surface.name, task=card.number, problem=error.problem.message)

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            due_ms = None if wait_s is None else now_ms + round(wait_s * 1000)
            await cards.put_off(session, card, due_ms, error.problem.message, in_order=in_order)

        await self.database.write(work)

    async def _any(self, ask: Callable[[Session, int], Any]) -> bool:
        async def look(session: Session) -> bool:
            return bool(await ask(session, await self.database.now_ms(session)))

        return await self.database.read(look)


async def _all(deliveries: Iterable[Awaitable[None]]) -> None:
    """Await every delivery, also when one fails; then raise the first failure that is not a `TransientError`."""
    for result in await asyncio.gather(*deliveries, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, TransientError):
            raise result


def _view(card: Card, diff: bytes | None) -> DiffView | None:
    """The whole diff in the order of the card's files; how much of it fits is the surface's to say."""
    if diff is None or card.staged is None:
        return None
    return read_diff(diff, first=[row.path for row in card.staged.files], max_lines=None, max_columns=None)


def _value(action: Action, digest: str) -> str:
    """What a button stands for beside its kind: the digest to decide on, or the answer."""
    if action.kind in _STALE_KINDS:
        return digest
    return action.label if action.kind is ActionKind.ANSWER else ""


def _anew(card: DeliveredCard) -> DeliveredCard:
    """The card as one that is to be posted anew, in answer to the message that shows its older revision."""
    return replace(card, message_id=None, reply_to=card.message_id or card.reply_to)


def _caption(document: TaskDocument) -> str:
    staged = document.task.staged
    return f"The whole diff of #{document.task.number}.{document.task.revision}" + (
        f" ({short_digest(staged.digest)})" if staged else ""
    )


def _patience_s(attempt: int) -> float:
    """How long to wait for somebody to mend what a platform refuses: a minute, growing to an hour."""
    return min(3600.0, 60.0 * 2.0 ** min(attempt, 6))


def _backoff_s(attempt: int) -> float:
    return min(300.0, 1.5 ** min(attempt, 20)) * (0.75 + random.random() / 2)  # noqa: S311 - jitter
