"""Talk: what a message means here and now: who says it, about which task, and which command it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bot.cards.wording import anywhere, worded
from bot.commands import Command, Link, Misread, parse
from bot.conversation.clicks import Clicks
from bot.conversation.doings import Doings, Speaker
from bot.conversation.quoting import with_quoted
from bot.directory import CODE, Directory
from bot.limits import Limits
from bot.surfaces.port import Answer, Clicked, Heard, Place, Surface
from core.advice import BLANK, CommandName, Suggestion, advise
from core.store import cards, events
from core.store.cards import Posted
from core.store.database import Database, Session

TASK_THREADS: Final = frozenset({"slack", "github"})
"""Where a thread is about one thing: below a message, on a pull request. A topic of Telegram holds many tasks."""

_UNKNOWN: Final = advise(
    "Countersign does not know you. First write ", Suggestion(CommandName.LINK, args=(BLANK,)), " with your name."
)

STRANGER_S: Final = 3600.0
"""How often one stranger is told that nobody knows them."""

Rooms = Callable[[Place], tuple[str, ...] | None]
"""The repositories that a place is for; None where it is for all of them."""


@dataclass(slots=True)
class Talk:
    """Hears what the surfaces heard. It knows no platform: a surface says only who wrote what, where."""

    database: Database
    directory: Directory
    surfaces: Mapping[str, Surface]
    doings: Doings
    clicks: Clicks
    limits: Limits
    rooms: Rooms
    seen: Callable[[Heard], None] = lambda _said: None

    async def hear(self, said: Heard | Clicked) -> Answer:
        """Do what it asks; the answer is for who said it."""
        card = await self._card(said) if isinstance(said, Heard) else None
        if isinstance(said, Heard) and not said.addressed and card is None:
            return Answer()  # people talking to each other
        person = await self.directory.person(said.place.surface, said.identity)
        wait_s = self.limits.wait_s(person or f"{said.place.surface} {said.identity}")
        if person is None and wait_s:
            return Answer()
        obstacle = await self.surfaces[said.place.surface].admits(said)
        if obstacle is not None:
            return Answer(obstacle, refused=True)
        if person is None:
            return await self._stranger(said)
        if wait_s:
            return Answer(f"That is a lot at once. Please say it again in {max(1, round(wait_s))} s.", refused=True)
        speaker = Speaker(person, said.place, said.identity, said.message_id, said.dedup, self.rooms(said.place))
        if isinstance(said, Clicked):
            return await self.clicks.click(speaker, said)
        self.seen(said)
        whole = await self.surfaces[said.place.surface].in_full(said)
        return await self._heard(speaker, whole, card) if whole is not None else Answer()

    async def _heard(self, speaker: Speaker, said: Heard, card: Posted | None) -> Answer:
        if card is None:
            speaker, said = await with_quoted(self.directory, speaker, said)
        command = parse(said.text, bound=card is not None)
        if isinstance(command, Misread):
            return Answer(command.said_on(speaker.place.surface), refused=True)
        if isinstance(command, Link):
            return await self._link(speaker, command)
        return await self.doings.do(speaker, command, card.number if card else None, said.context)

    async def _card(self, said: Heard) -> Posted | None:
        """The card that a message is about: the one it answers, else the one whose thread it is in."""

        async def look(session: Session) -> Posted | None:
            if said.reply_to is not None:
                found = await cards.by_message(session, said.place.surface, said.place.channel, said.reply_to)
                if found is not None:
                    return found
            speaks = said.addressed or bool(said.context)  # what is about a file and line is for whoever changed it
            if not speaks or said.place.surface not in TASK_THREADS:
                return None
            here = await cards.in_thread(session, said.place)
            return here[0] if here else None

        return await self.database.read(look)

    async def _stranger(self, said: Heard | Clicked) -> Answer:
        """Somebody we do not know: they may say who they are, and nothing else."""
        if isinstance(said, Clicked):
            await self._record_stranger(said)
            return Answer(worded(_UNKNOWN, said.place.surface), refused=True)
        if not said.addressed:
            return Answer()
        command: Command | Misread = parse(said.text, bound=False)
        if isinstance(command, Link) and command.what and not CODE.fullmatch(command.what):
            return await self.directory.claim(said.place.surface, said.identity, command.what)
        await self._record_stranger(said)
        if not self.limits.first(f"{said.place.surface} {said.identity}", STRANGER_S):
            return Answer(refused=True)  # told already: strangers must not take the pace of a chat from its people
        told = advise(
            f"I do not know you yet ({said.place.surface} {said.identity}). Write ",
            Suggestion(CommandName.LINK, args=(BLANK,)),
            " with your name as countersign.yaml has it, or ask its owner to add this id.",
        )
        return Answer(worded(told, said.place.surface), refused=True)

    async def _record_stranger(self, said: Heard | Clicked) -> None:
        """One row of the audit trail; strangers share one allowance, so that they cannot fill it."""
        if self.limits.wait_s(f"stranger on {said.place.surface}"):
            return

        async def work(session: Session) -> None:
            await events.append(
                session,
                number=events.SYSTEM,
                kind="stranger.refused",
                at_ms=await self.database.now_ms(session),
                surface=said.place.surface,
                body={"identity": said.identity, "channel": said.place.channel},
            )

        await self.database.write(work)

    async def _link(self, speaker: Speaker, command: Link) -> Answer:
        if command.what and CODE.fullmatch(command.what):
            return await self.directory.confirm(speaker.person, speaker.place.surface, command.what)
        there = anywhere(Suggestion(CommandName.LINK, args=(speaker.person,)))
        told = advise(
            f"You are {speaker.person} here. To be known elsewhere too, write there {there}; "
            "you get a code, and write here ",
            Suggestion(CommandName.LINK, args=("CODE",)),
            ".",
        )
        return Answer(worded(told, speaker.place.surface), personal=True)
