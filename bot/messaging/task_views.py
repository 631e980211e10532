"""Showing: what people ask to see: a card, a diff, why, how far, and the queue. Words are computed by the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from bot.cards.build import MAX_QUOTE, build_card
from bot.cards.model import Card
from bot.cards.safe import one_line, visible
from bot.cards.wording import capitalize, render_advice
from bot.messaging.card_delivery import CardDelivery
from bot.surfaces.port import Attachment, Response
from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.errors import NotFoundError
from core.model.job import Job
from core.model.lifecycle import State
from core.model.place import Place
from core.model.staged_diff import short_digest
from core.model.turn import Turn
from core.services.task_document import TaskDocument, read_document
from core.settings import SettingsSource
from core.store import cards, events, messages, queue_queries, switches, tasks
from core.store.database import Database, Session, to_ms

MOST_ROWS: Final = 15
MOST_CARDS: Final = 50
MOST_DETAILS: Final = 20
"""Findings of one check that are told."""
MOST_WORDS: Final = 3000
"""Characters of a reason that is told in full; a card shows its beginning."""
REFLOWING: Final = frozenset({"github"})
"""Where words are set as paragraphs: there a diff keeps its spaces only in a block of its own."""
PATCH: Final = "text/x-diff"
MOST_DIFF: Final = 3000
"""Characters of one file's diff that are said in words; more is attached."""


@dataclass(slots=True)
class TaskViews:
    """Looks things up for people."""

    database: Database
    settings: SettingsSource
    couriers: Mapping[str, CardDelivery]

    async def card(self, number: int, place: Place, reply_to: str | None) -> None:
        """Have the task's card posted in `place`, as a new message where there is one already."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await tasks.load(session, number)
            await cards.bind(session, number, place, reply_to, now_ms)
            for card in await cards.of_task(session, number):
                if card.place == place:
                    await cards.touch(session, card.id, now_ms, anew=True)

        await self.database.write(work)

    async def diff(self, number: int, path: str | None, place: Place, reply_to: str | None) -> Response:
        """The whole diff as files, or one file's in words."""
        courier = self.couriers[place.surface]
        document = await self._document(number)
        diff = await courier.diff_of(document)
        if diff is None:
            mend = advise("See it with ", Suggestion(CommandName.SHOW, number), ".")
            raise NotFoundError("no_diff", f"#{number} has staged nothing", mend)
        if path is not None:
            part = _part(diff, path)
            if part is None:
                names = ", ".join(file["path"] for file in _files(document)[:MOST_ROWS])
                raise NotFoundError("no_such_file", f"#{number} does not change {path!r}", f"It changes {names}.")
            if len(part) <= MOST_DIFF and place.surface not in REFLOWING:
                return Response(_exact(part))
            one = Attachment(
                f"{number}.{document.task.revision}-part.patch", part.encode("utf-8", "surrogateescape"), PATCH
            )
            words = f"The diff of {one_line(path, 200)} in #{number}"
            await courier.surface.attach(place, [one], words, reply_to)
            return Response()
        staged = document.task.staged
        words = f"The whole diff of #{number}" + (f" ({short_digest(staged.digest)})" if staged else "")
        ids = await courier.surface.attach(place, await courier.attachments(document, diff), words, reply_to) or ()
        await self._delivered(document, place, ids)
        return Response()

    async def _delivered(self, document: TaskDocument, place: Place, ids: Sequence[str]) -> None:
        """Once the whole diff lies in a place, the card there may be approved from."""
        staged = document.task.staged

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await messages.remember(session, document.task.number, place, ids, now_ms)
            for card in await cards.of_task(session, document.task.number):
                if staged is not None and card.place.address == place.address:
                    await cards.delivered(session, card, staged.digest)
                    await cards.touch(session, card.id, now_ms)

        await self.database.write(work)

    async def why(self, number: int, surface: str) -> Response:
        """The lane, the rule, what the guard found, and who is still needed: a sentence a line, each in full."""
        document = await self._document(number)
        task, card = document.task, self._card(document)
        lines = [f"#{number} is {task.state.value}."]
        if task.current.lane:
            reason = one_line(task.current.reason, MOST_WORDS)
            lines.append(f"Lane {task.current.lane} by rule {task.current.rule}: {reason}")
        elif task.current.reason:
            lines.append(one_line(task.current.reason, MOST_WORDS))
        if card.staged:
            lines += [
                f"{check.name}: {detail}" for check in card.staged.checks for detail in check.details[:MOST_DETAILS]
            ]
        lines += [need.sentence for need in card.needs]
        error = task.error
        if error is not None and card.problem is not None:
            if one_line(error.message) != one_line(task.current.reason):
                lines.append(one_line(error.message, MOST_WORDS))
            if not _suggests(error.mend, CommandName.WHY):
                lines.append(render_advice(error.mend, surface))
        lines += [f"{turn.person} asked in full: “{text}”" for turn, text in _long_turns(document)]
        return Response("\n".join(_sentence(line) for line in lines if line))

    async def progress(self, number: int | None, since: str | None, person: str) -> Response:
        """How far one task is, or all that this person is concerned with."""
        if number is None:
            return await self._mine(person)
        document = await self._document(number)
        card = self._card(document)
        begin = _since(since)
        trail = await self.database.read(
            lambda session: events.since(session, number=number, since_ms=to_ms(begin) if begin else None)
        )
        lines = [" · ".join((f"{card.label} {card.title}", *card.byline))]
        lines += [f"{e.at:%H:%M} {e.kind.removeprefix('task.')}{f' by {e.person}' if e.person else ''}" for e in trail]
        return Response("\n".join(lines if len(lines) <= MOST_ROWS + 1 else [lines[0], "…", *lines[-MOST_ROWS:]]))

    async def _mine(self, person: str) -> Response:
        recent = await self.database.read(lambda session: tasks.summaries(session, state=None, limit=200, before=None))
        mine = [t for t in recent if t.requester == person][:MOST_ROWS]
        if not mine:
            return Response("You asked for nothing lately.")
        return Response("\n".join(f"#{t.number} {t.state.value} · {one_line(t.title, 80)}" for t in mine))

    async def queue(self) -> Response:
        """What runs and what comes next."""

        async def look(session: Session) -> tuple[list[Job], object]:
            return await queue_queries.waiting_line(session, MOST_ROWS), await switches.paused(session)

        found, paused = await self.database.read(look)
        lines = [f"#{job.number} {job.kind.value}: {job.state.value}" for job in found if job.kind.value != "follow"]
        if isinstance(paused, dict):
            reason = one_line(str(paused.get("reason") or ""))
            lines.insert(0, f"The queue is held: {reason}" if reason else "The queue is held.")
        return Response("\n".join(lines) or "The queue is empty.")

    async def waiting_for(self, person: str) -> list[Card]:
        """The cards that wait for this person's verdict or answer, the oldest first."""
        found = []
        for state in (State.STAGED, State.ASKING):
            look = partial(tasks.summaries, state=state, limit=MOST_CARDS, before=None)
            rows = await self.database.read(look)
            for row in reversed(rows):
                document = await self._document(row.number)
                needs = document.needs
                theirs = needs is not None and person in needs.of and person not in needs.have
                if theirs or (state is State.ASKING and document.task.requester == person):
                    found.append(self._card(document))
        return found

    async def _document(self, number: int) -> TaskDocument:
        return await read_document(self.database, self.settings(), number)

    def _card(self, document: TaskDocument) -> Card:
        return build_card(document.to_json(), now=datetime.now(UTC))


def _sentence(text: str) -> str:
    """`text` as a sentence of its own."""
    end = "" if text.endswith((".", "?", "!", "…", "”")) else "."
    return f"{capitalize(text)}{end}"


def _suggests(mend: str | Advice, command: CommandName) -> bool:
    parts = mend.parts if isinstance(mend, Advice) else ()
    return any(isinstance(part, Suggestion) and part.command is command for part in parts)


def _long_turns(document: TaskDocument) -> list[tuple[Turn, str]]:
    """The newest turn with its text, where that is too long to stand on a card."""
    said = [(turn, one_line(turn.text, MOST_WORDS)) for turn in document.turns[-1:]]
    return [(turn, text) for turn, text in said if len(text) > MAX_QUOTE]


def _files(document: TaskDocument) -> list[dict[str, str]]:
    staged = document.task.staged
    return [dict(file) for file in staged.files] if staged else []


def _part(diff: bytes, path: str) -> str | None:
    """One file's part of a diff, for showing."""
    for part in diff.decode("utf-8", "surrogateescape").split("\ndiff --git "):
        if part.partition("\n")[0].endswith(f" b/{path}"):
            return part
    return None


def _exact(part: str) -> str:
    """A part of a diff for a chat: its lines end at line feeds alone, and whatever cannot be printed is spelled out."""
    return "\n".join(visible(line.expandtabs(4)) for line in part.rstrip("\n").split("\n"))


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    units = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
    if text[:-1].isdecimal() and text[-1:] in units:
        return datetime.now(UTC) - timedelta(seconds=int(text[:-1]) * units[text[-1]])
    return None
