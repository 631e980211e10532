"""Task choice: finds the task for a command without a number, or asks which of several open tasks is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import bot.commands as c
from bot.cards.problem_text import command_line
from bot.cards.safe import one_line
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

TaskCommand = (
    c.Reply | c.Retry | c.Pick | c.Approve | c.Reject | c.Cancel | c.Extend | c.Merge | c.Undo | c.Show | c.Diff | c.Why
)
"""Commands about one task."""

_FACTS: Final[dict[type, tuple[Fact, ...]]] = {
    c.Reply: (Fact.REPLIED,),
    c.Retry: (Fact.REPLIED,),
    c.Pick: (Fact.COUNTED,),
    c.Approve: (Fact.COUNTED,),
    c.Reject: (Fact.REJECTED,),
    c.Cancel: (Fact.CANCELLED,),
    c.Extend: (Fact.EXTENDED,),
    c.Merge: (Fact.MERGE_ASKED,),
    c.Undo: (Fact.CLOSE_ASKED, Fact.UNDO_ASKED),
}
"""The facts that a command causes; a task can be meant if its state has a transition for one of them."""


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """Finds the task that a command means; asks if several are possible, and never guesses."""

    conversations: Conversations

    async def choose(self, command: TaskCommand, speaker: CommandActor) -> int | Response:
        """The number of the only task here that `command` can mean, or a question that lists the candidates."""
        tasks = await self.conversations.tasks_in(speaker.place, speaker.actor, MOST_READ)
        candidates = _candidates(command, tasks)
        if not candidates:
            raise UsageError("which", "it is not clear which task you mean", "Give its number, or reply to its card.")
        return candidates[0].number if len(candidates) == 1 else _question(command, candidates, speaker.place.surface)


def _candidates(command: TaskCommand, tasks: Sequence[Task]) -> list[Task]:
    """The open tasks (for an undo, also those that can be undone); else those the command applies to; else all."""
    fitting = [task for task in tasks if _applies(command, task.state)]
    is_open = [task for task in tasks if task.state not in ENDS or (isinstance(command, c.Undo) and task in fitting)]
    return is_open or fitting or list(tasks)


def _applies(command: TaskCommand, state: State) -> bool:
    facts = _FACTS.get(type(command))
    return facts is None or any((state, fact) in TRANSITIONS for fact in facts)


def _question(command: TaskCommand, candidates: Sequence[Task], surface: str) -> Response:
    """The question which task is meant: one line a task, and a button with the command for each."""
    listed = candidates[:MOST_OFFERED]
    choices = tuple((_label(task), c.format_command(replace(command, number=task.number))) for task in listed)
    more = [f"… and {len(candidates) - len(listed)} more"] if len(candidates) > len(listed) else []
    name = CommandName(type(command).__name__.lower())
    example = command_line(Suggestion(name, listed[0].number), surface)
    lines = [
        "Several tasks are open here. Which one do you mean?",
        *(f"{_label(task)} ({task.state.value})" for task in listed),
        *more,
        f"Nothing was done. Repeat it with the number, such as {example}.",
    ]
    return Response("\n".join(lines), refused=True, choices=choices)


def _label(task: Task) -> str:
    return one_line(f"#{task.number} {task.title}", _LABEL)
