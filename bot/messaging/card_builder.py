"""Builds what surfaces show of a task: its card, and its whole diff as files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bot.cards.build import build_card
from bot.cards.diff import DiffView, read_diff
from bot.cards.model import Card
from bot.cards.parts import TicketLink
from bot.surfaces.port import Attachment
from core.model.staged_diff import short_digest
from core.services.task_document import TaskDocument

PATCH: Final = "text/x-diff"
MAX_PAGE_BYTES: Final = 1_000_000
"""A longer diff is attached only as a patch: its page would be many times as long and unreadable on a phone."""


@dataclass(frozen=True, slots=True)
class CardBuilder:
    """Builds cards and diff files from task documents; `find_tickets` links the tickets that a text names."""

    find_tickets: Callable[[str], tuple[TicketLink, ...]] = lambda _text: ()
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def card(self, document: TaskDocument, revision: int | None = None) -> Card:
        """The card of a task, or of an older `revision` of it."""
        card = build_card(document.to_json(), now=self.clock(), revision=revision)
        text = "\n".join(turn.text for turn in document.turns)
        return replace(card, tickets=() if card.superseded_note else self.find_tickets(text))

    async def attachments(self, document: TaskDocument, diff: bytes) -> list[Attachment]:
        """The whole staged diff as a patch and, unless it is longer than `MAX_PAGE_BYTES`, as an HTML page."""
        name = f"{document.task.number}.{document.task.revision}"
        patch = Attachment(f"{name}.patch", diff, PATCH)
        if len(diff) > MAX_PAGE_BYTES:
            return [patch]
        from bot.cards.page import diff_page

        page = await asyncio.to_thread(diff_page, self.card(document), diff)  # seconds of work for a large diff
        return [patch, Attachment(f"{name}.html", page, "text/html")]


def view_of(card: Card, diff: bytes | None) -> DiffView | None:
    """The whole diff in the order of the card's files; the surface decides how much of it fits."""
    if diff is None or card.staged is None:
        return None
    return read_diff(diff, first=[row.path for row in card.staged.files], max_lines=None, max_columns=None)


def caption(document: TaskDocument, name: str) -> str:
    """The text sent with the files of a whole diff; `name` is the task's or the revision's."""
    staged = document.task.staged
    return f"The whole diff of {name}" + (f" ({short_digest(staged.digest)})" if staged else "")
