"""A surface in memory: people write and click by calling methods, and see what a chat would show them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.surfaces.port import (
    NO_EXTRAS,
    Attachment,
    ButtonPress,
    Buttons,
    Extras,
    Inbox,
    IncomingMessage,
    Place,
    RenderedCard,
    Response,
)
from core.model.errors import CountersignError


@dataclass(slots=True)
class Message:
    """A message as a chat shows it: a card with its buttons by label, or words, or files."""

    id: str
    place: Place
    text: str = ""
    card: Card | None = None
    buttons: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    reply_to: str | None = None
    only_to: str | None = None
    mentions: tuple[tuple[str, str], ...] = ()
    edits: int = 0

    @property
    def shown(self) -> Card:
        """The card that it shows."""
        assert self.card is not None
        return self.card


@dataclass(slots=True)
class MemorySurface:
    """`Surface` without a platform. `room` lines of a diff fit into a card; `faults` are raised by the next calls."""

    name: str = "telegram"
    room: int = 10_000
    messages: dict[str, Message] = field(default_factory=dict)
    faults: list[CountersignError] = field(default_factory=list)
    deaf: list[CountersignError] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    banned: dict[str, str] = field(default_factory=dict)
    inbox: Inbox | None = None
    runs: int = 0
    broken: CountersignError | None = None
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def run(self, inbox: Inbox) -> None:
        self.runs += 1
        if self.broken is not None:
            raise self.broken
        self.inbox = inbox
        await asyncio.Event().wait()

    def routes(self, _ears: Inbox) -> Sequence[Any]:
        return ()

    def render(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        hidden: int | None = None
        if card.staged is not None:
            everything = sum(row.added or 0 for row in card.staged.files) + 1
            hidden = 0 if delivered or (diff is not None and everything <= self.room) else None
        shown = card.limited_to(len(card.staged.files), hidden) if card.staged else card
        ids = {action.label: id_ for action in shown.actions if (id_ := buttons.id_of(action))}
        return RenderedCard((shown, ids), hides_lines=card.awaits_approval and hidden is None)

    async def post(self, place: Place, drawn: RenderedCard, reply_to: str | None) -> str:
        self._fail()
        card, ids = drawn.payload
        id_ = self._add(Message("", place, card=card, buttons=ids, reply_to=reply_to))
        self._lose()
        return id_

    async def edit(self, place: Place, message_id: str, drawn: RenderedCard) -> str:
        self._fail()
        if message_id not in self.messages:
            return await self.post(place, drawn, None)
        message = self.messages[message_id]
        message.card, message.buttons = drawn.payload
        message.edits += 1
        self._lose()
        return message_id

    async def attach(
        self, place: Place, files: Sequence[Attachment], words: str, reply_to: str | None
    ) -> Sequence[str]:
        self._fail()
        id_ = self._add(Message("", place, words, files={f.name: f.content for f in files}, reply_to=reply_to))
        self._lose()
        return [id_]

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        self._fail()
        message = Message("", place, text, reply_to=reply_to, only_to=only_to)
        message.buttons, message.mentions = dict(extras.choices), extras.mentions
        id_ = self._add(message)
        self._lose()
        return [id_]

    async def check_access(self, said: IncomingMessage | ButtonPress) -> str | None:
        return self.banned.get(said.identity)

    async def complete_message(self, said: IncomingMessage) -> IncomingMessage | None:
        return said

    async def acknowledge(self, _place: Place, message_id: str) -> None:
        self.seen.append(message_id)

    async def close(self) -> None:
        self.inbox = None

    async def check(self) -> Sequence[Mapping[str, Any]]:
        return [{"check": self.name, "verdict": "ok", "detail": "in memory", "mend": ""}]

    def _add(self, message: Message) -> str:
        message.id = f"m{next(self._numbers)}"
        self.messages[message.id] = message
        return message.id

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    def _lose(self) -> None:
        if self.deaf:
            raise self.deaf.pop(0)

    # -- what people see and do -------------------------------------------------------------------------------

    @property
    def cards(self) -> list[Message]:
        """The messages that show cards, oldest first."""
        return [m for m in self.messages.values() if m.card is not None]

    @property
    def words(self) -> list[str]:
        """What was said, oldest first."""
        return [m.text for m in self.messages.values() if m.card is None and m.text]

    def writes(
        self, identity: str, text: str, place: Place, *, reply_to: str | None = None, **more: Any
    ) -> IncomingMessage:
        """A message someone writes."""
        id_ = f"p{next(self._numbers)}"
        more.setdefault("dedup", f"m:{id_}")
        return IncomingMessage(
            identity, place, text, id_, addressed=more.pop("addressed", True), reply_to=reply_to, **more
        )

    def clicks(self, identity: str, message: Message, label: str, text: str = "") -> ButtonPress:
        """A press of the button whose label begins so."""
        (id_,) = [id_ for name, id_ in message.buttons.items() if name.startswith(label)]
        return ButtonPress(identity, message.place, id_, message.id, f"c:{next(self._numbers)}", text)


async def said(inbox: Inbox, what: IncomingMessage | ButtonPress) -> Response | None:
    """Hand it over, and wait for what becomes of it."""
    taken = await inbox.accept(what)
    return await inbox.wait_for_response(taken, 10)
