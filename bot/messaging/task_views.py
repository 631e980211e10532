"""Task views in conversations: a card, a diff, an explanation, a task's progress, and the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.cards.queue import queue_text
from bot.cards.safe import one_line, visible
from bot.messaging.card_builder import PATCH, CardBuilder, caption
from bot.messaging.command_actor import CommandActor
from bot.messaging.explanation import explain
from bot.surfaces.port import Attachment, Response, Surface
from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import NotFoundError
from core.model.task_filter import TaskFilter
from core.services.conversations import Conversations
from core.services.queries import Queries
from core.services.staged_diffs import StagedDiffs
from core.services.task_document import TaskDocument, TaskDocuments
from core.services.task_search import TaskSearch

MAX_ROWS: Final = 15
MAX_DIFF_CHARACTERS: Final = 3000
"""A file's diff with more characters is sent as an attachment, not as text."""
REFLOWING: Final = frozenset({"github"})
"""Surfaces that reflow text, where a diff keeps its spaces only in a file."""
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class TaskViews:
    """Shows tasks in conversations; a task outside the scope of a conversation is not found there."""

    documents: TaskDocuments
    queries: Queries
    task_search: TaskSearch
    conversations: Conversations
    diffs: StagedDiffs
    builder: CardBuilder
    surfaces: Mapping[str, Surface]

    async def show_card(self, number: int, speaker: CommandActor, reply_to: str | None) -> Response:
        """Post the task's card where `speaker` is, as a new message even if the card is already there."""
        await self.conversations.show_card(number, speaker.place, reply_to, speaker.actor)
        return Response()

    async def show_diff(self, number: int, path: str | None, speaker: CommandActor) -> Response:
        """The whole diff as files, or the diff of one file as text."""
        document = await self.documents.document(number, speaker.actor)
        diff = await self.diffs.of(document.task)
        if diff is None:
            mend = advise("See its state with ", Suggestion(CommandName.SHOW, number), ".")
            raise NotFoundError("no_diff", f"#{number} has nothing staged", mend)
        if path is not None:
            return await self._show_file(document, diff, path, speaker)
        files = await self.builder.attachments(document, diff)
        message_ids = await self._attach(speaker, files, caption(document, f"#{number}"))
        staged = document.task.staged
        digest = staged.digest if staged else None
        await self.conversations.whole_diff_delivered(number, speaker.place, message_ids, digest)
        return Response()

    async def _show_file(self, document: TaskDocument, diff: bytes, path: str, speaker: CommandActor) -> Response:
        task = document.task
        part = _diff_of_file(diff, path)
        if part is None:
            names = ", ".join(str(file["path"]) for file in (task.staged.files if task.staged else ())[:MAX_ROWS])
            raise NotFoundError("no_such_file", f"#{task.number} does not change {path!r}", f"It changes {names}.")
        if len(part) <= MAX_DIFF_CHARACTERS and speaker.place.surface not in REFLOWING:
            return Response(_printable(part))
        content = part.encode("utf-8", "surrogateescape")
        file = Attachment(f"{task.number}.{task.revision}-part.patch", content, PATCH)
        await self._attach(speaker, [file], f"The diff of {one_line(path, 200)} in #{task.number}")
        return Response()

    async def _attach(self, speaker: CommandActor, files: Sequence[Attachment], text: str) -> Sequence[str]:
        surface = self.surfaces[speaker.place.surface]
        return await surface.attach(speaker.place, files, text, speaker.message_id) or ()

    async def explain(self, number: int, speaker: CommandActor) -> Response:
        """Explain why a task is in its state."""
        return Response(explain(await self.documents.document(number, speaker.actor), speaker.place.surface))

    async def progress(self, number: int | None, since: str | None, speaker: CommandActor) -> Response:
        """The progress of one task, or the speaker's own tasks."""
        if number is None:
            return await self._own_tasks(speaker)
        card = self.builder.card(await self.documents.document(number, speaker.actor))
        events = (await self.queries.visible_events(speaker.actor, number=number, since=_since(since))).events
        lines = [
            f"{event.at:%H:%M} {event.kind.removeprefix('task.')}" + (f" by {event.person}" if event.person else "")
            for event in events
        ]
        if len(lines) > MAX_ROWS:
            lines = ["…", *lines[-MAX_ROWS:]]
        return Response("\n".join([" · ".join((f"{card.label} {card.title}", *card.byline)), *lines]))

    async def _own_tasks(self, speaker: CommandActor) -> Response:
        own = (await self.task_search.page(TaskFilter(person=speaker.person), MAX_ROWS, speaker.actor)).tasks
        if not own:
            return Response("You have no recent requests.")
        return Response("\n".join(f"#{task.number} {task.state.value} · {one_line(task.title, 80)}" for task in own))

    async def queue(self, speaker: CommandActor) -> Response:
        """What is running and what comes next."""
        return Response(queue_text((await self.queries.queue(speaker.actor)).to_json()))


def _diff_of_file(diff: bytes, path: str) -> str | None:
    """One file's part of a diff, for display."""
    for part in diff.decode("utf-8", "surrogateescape").split("\ndiff --git "):
        if part.partition("\n")[0].endswith(f" b/{path}"):
            return part
    return None


def _printable(part: str) -> str:
    """A part of a diff for a chat, with characters that cannot be printed spelled out; only line feeds end a line."""
    return "\n".join(visible(line.expandtabs(4)) for line in part.rstrip("\n").split("\n"))


def _since(text: str | None) -> datetime | None:
    """The time that ``2h`` or the like means; None if it cannot be parsed."""
    if text is None or not text[:-1].isdecimal() or text[-1:] not in _SECONDS:
        return None
    return datetime.now(UTC) - timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])
