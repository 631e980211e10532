"""Which task a command means that names none: the one it answers, else the only open one here, else it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import bot.commands as c
from bot.cards.safe import one_line
from bot.cards.wording import command_line
from bot.messaging.command_actor import CommandActor
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion
from core.model.errors import UsageError
from core.model.lifecycle import ENDS, TRANSITIONS, Fact, State
from core.model.task import Task
from core.services.conversations import Conversations

MOST_OFFERED: Final = 5
MOST_READ: Final = 200
_LABEL: Final = 60

TaskCommand = c.Reply | c.Retry | c.Pick | c.Approve | c.Reject | c.Cancel | c.Merge | c.Undo | c.Show | c.Diff | c.Why
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
"""What a command makes happen; a task can be meant if one of these facts can happen to it."""


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """Finds the task that a command means; where several are open it is asked, never guessed."""

    conversations: Conversations

    async def choose(self, command: TaskCommand, speaker: CommandActor) -> int | Response:
        """The number of the only task here that `command` can mean, or the question which one it is."""
        shown = await self.conversations.tasks_in(speaker.place, speaker.actor, MOST_READ)
        candidates = _candidates(command, shown)
        if not candidates:
            raise UsageError("which", "it is not clear which task you mean", "Name its number, or answer its card.")
        return candidates[0].number if len(candidates) == 1 else _question(command, candidates, speaker.place.surface)


def _candidates(command: TaskCommand, shown: Sequence[Task]) -> list[Task]:
    """The open ones and, for an undo, those that can be undone; without any, those it can be done to, else all."""
    fitting = [task for task in shown if _applies(command, task.state)]
    is_open = [task for task in shown if task.state not in ENDS or (isinstance(command, c.Undo) and task in fitting)]
    return is_open or fitting or list(shown)


def _applies(command: TaskCommand, state: State) -> bool:
    facts = _FACTS.get(type(command))
    return facts is None or any((state, fact) in TRANSITIONS for fact in facts)


def _question(command: TaskCommand, candidates: Sequence[Task], surface: str) -> Response:
    """Which one? A line a task, and a button with the command for each."""
    offered = candidates[:MOST_OFFERED]
    choices = tuple((_label(task), c.format_command(replace(command, number=task.number))) for task in offered)
    more = [f"… and {len(candidates) - len(offered)} more"] if len(candidates) > len(offered) else []
    name = CommandName(type(command).__name__.lower())
    example = command_line(Suggestion(name, offered[0].number), surface)
    lines = [
        "Several tasks are open here. Which one do you mean?",
        *(f"{_label(task)} ({task.state.value})" for task in offered),
        *more,
        f"Nothing was done. Repeat it with the number, such as {example}.",
    ]
    return Response("\n".join(lines), refused=True, choices=choices)


def _label(task: Task) -> str:
    return one_line(f"#{task.number} {task.title}", _LABEL)
