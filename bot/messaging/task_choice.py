"""Which task is meant by words that name none: the one they answer, else the only open one here, else it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import bot.commands as c
from bot.cards.safe import one_line
from bot.cards.wording import command_line
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion
from core.model.errors import UsageError
from core.model.lifecycle import ENDS, TRANSITIONS, Fact, State
from core.model.place import Place
from core.model.task import Task
from core.store import messages, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx

TASK_THREADS: Final = frozenset({"slack", "github"})
"""Where a thread is about one thing: below a message, on a pull request. A topic of Telegram holds many tasks."""
MOST_OFFERED: Final = 5
MOST_LOOKED_AT: Final = 200
_LABEL: Final = 60

Numbered = c.Reply | c.Retry | c.Pick | c.Approve | c.Reject | c.Cancel | c.Merge | c.Undo | c.Show | c.Diff | c.Why
"""Commands about one task."""

_FACTS: Final[dict[type, tuple[Fact, ...]]] = {
    c.Reply: (Fact.REPLIED,),
    c.Retry: (Fact.REPLIED,),
    c.Pick: (Fact.COUNTED,),
    c.Approve: (Fact.COUNTED,),
    c.Reject: (Fact.REJECTED,),
    c.Cancel: (Fact.CANCELLED,),
    c.Merge: (Fact.MERGE_ASKED,),
    c.Undo: (Fact.CLOSE_ASKED, Fact.UNDO_ASKED),
}


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """Finds the task that is meant where a command names none; several open ones are asked about, never guessed."""

    database: Database

    async def here(self, place: Place) -> list[int]:
        """The tasks shown in a place, the newest first: in a channel that keeps threads, those of all its threads."""
        whole = place.thread is None and place.surface in TASK_THREADS
        look = partial(messages.shown_in, place=place, whole_channel=whole)
        return (await self.database.read(look))[:MOST_LOOKED_AT]

    async def meant(self, command: Numbered, place: Place, room: tuple[str, ...] | None) -> int | Response:
        """The number of the only task here that `command` can mean, or the question which one it is."""
        numbers = await self.here(place)

        async def look(tx: Tx) -> list[Task]:
            return [await tasks.load(tx, number) for number in numbers]

        shown = [task for task in await self.database.read(look) if room is None or task.repo in (None, *room)]
        meant = _meant(command, shown)
        if not meant:
            raise UsageError("which", "it is not clear which task you mean", "Name its number, or answer its card.")
        return meant[0].number if len(meant) == 1 else _question(command, meant, place.surface)


def _meant(command: Numbered, shown: Sequence[Task]) -> list[Task]:
    """The open ones and, for an undo, those that can be undone; without any, those it can be done to, else all."""
    fits = [task for task in shown if _can(command, task.state)]
    is_open = [task for task in shown if task.state not in ENDS or (isinstance(command, c.Undo) and task in fits)]
    return is_open or fits or list(shown)


def _can(command: Numbered, state: State) -> bool:
    facts = _FACTS.get(type(command))
    return facts is None or any((state, fact) in TRANSITIONS for fact in facts)


def _question(command: Numbered, meant: Sequence[Task], surface: str) -> Response:
    """Which one? A line a task, and a button with the command for each."""
    offered = meant[:MOST_OFFERED]
    choices = tuple((_label(task), c.format_command(replace(command, number=task.number))) for task in offered)
    more = [f"… and {len(meant) - len(offered)} more"] if len(meant) > len(offered) else []
    name = CommandName(type(command).__name__.lower())
    example = command_line(Suggestion(name, offered[0].number), surface)
    lines = [
        "Several tasks are open here. Which one do you mean?",
        *(f"{_label(task)} ({task.state.value})" for task in offered),
        *more,
        f"Nothing was done. Say it with the number, such as {example}.",
    ]
    return Response("\n".join(lines), refused=True, choices=choices)


def _label(task: Task) -> str:
    return one_line(f"#{task.number} {task.title}", _LABEL)
