"""Commands about one task: replies, verdicts, merging, undoing, and viewing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

import bot.commands as c
from bot.cards.problem_text import problem_sentence
from bot.cards.safe import visible
from bot.interpret.courtesy import is_courtesy
from bot.interpret.grammar import NotUnderstood, parse
from bot.messaging.command_actor import CommandActor
from bot.messaging.task_choice import TaskCommand
from bot.messaging.task_views import TaskViews
from bot.surfaces.port import Response
from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.budget import NOTHING, Spending
from core.model.errors import UsageError
from core.model.part_choice import PartChoice
from core.model.place import Place
from core.model.staged_diff import TYPED_DIGITS, short_digest
from core.services.approvals import Approvals
from core.services.budgets import Budgets
from core.services.partial_changes import PartialChanges
from core.services.requests import Requests

MOST_PARTS: Final = 60
"""Maximum hunks listed; the others can be picked by their numbers in the diff."""


@dataclass(frozen=True, slots=True)
class TaskCommands:
    """Carries out commands about one task through `core.services`, which check permissions."""

    requests: Requests
    approvals: Approvals
    views: TaskViews
    parts: PartialChanges
    budgets: Budgets

    async def carry_out(self, speaker: CommandActor, command: TaskCommand, number: int, context: str) -> Response:
        """Carry out `command` on task `number`; `context` is what a reply is about, such as a file and line."""
        match command:
            case c.Reply(text=text):
                response = await self._reply(speaker, number, with_context(context, text))
            case c.Retry():
                response = await self._reply(speaker, number, "retry")
            case c.Pick(selection=hunks):
                response = await self._pick(speaker, number, hunks)
            case c.Approve(digest=digest):
                response = await self._approve_typed(speaker, number, digest)
            case c.Reject(reason=reason):
                response = await self._reject_typed(speaker, number, reason)
            case c.Cancel():
                await self.requests.cancel(number, speaker.actor)
                response = Response(f"#{number} is cancelled.")
            case c.Extend():
                response = await self.extend(speaker, number, _amounts(command))
            case c.Merge():
                await self.requests.merge(number, speaker.actor, speaker.origin)
                response = Response(f"#{number} is being merged.")
            case c.Undo():
                response = await self._undo(speaker, number)
            case c.Show() | c.Diff() | c.Why():
                response = await self._view(speaker, command, number)
            case _:
                assert_never(command)
        return response

    async def _view(self, speaker: CommandActor, command: c.Show | c.Diff | c.Why, number: int) -> Response:
        match command:
            case c.Show():
                return await self.views.show_card(number, speaker, reply_to=speaker.message_id)
            case c.Diff(path=path):
                return await self.views.show_diff(number, path, speaker)
            case c.Why():
                return await self.views.explain(number, speaker)
            case _:
                assert_never(command)

    async def approve(self, speaker: CommandActor, number: int, digest: str, typed_in: Place | None = None) -> Response:
        """Approve a digest: that of a button, or one that was typed in the place `typed_in`."""
        outcome = await self.approvals.approve(number, digest, speaker.actor, typed_in, speaker.origin)
        if outcome.problem is not None:
            return Response(problem_sentence(outcome.problem, speaker.place.surface), refused=True)
        return Response(f"You countersigned {short_digest(digest)} of #{number}.")

    async def reject(self, speaker: CommandActor, number: int, reason: str, digest: str | None) -> Response:
        """Reject the staged diff with a reason; with a `digest`, only if that is still the staged one."""
        outcome = await self.approvals.reject(number, reason, speaker.actor, digest)
        if outcome.problem is not None:
            return Response(problem_sentence(outcome.problem, speaker.place.surface), refused=True)
        return Response(f"You rejected #{number}.")

    async def extend(
        self, speaker: CommandActor, number: int, by: Spending = NOTHING, question: int | None = None
    ) -> Response:
        """Extend the budget of a task; a button names the `question` that it answers."""
        await self.budgets.extend(number, speaker.actor, by, question)
        return Response(f"#{number} has more budget and goes on.")

    async def _reply(self, speaker: CommandActor, number: int, text: str) -> Response:
        await self.requests.reply(number, text, speaker.actor, dedup=speaker.dedup, origin=speaker.origin)
        return Response()  # the card shows the outcome

    async def _pick(self, speaker: CommandActor, number: int, hunks: str) -> Response:
        """Keep only the named hunks of the staged diff; if none is named, list them."""
        if not hunks:
            staged = await self.parts.parts_of(number, speaker.actor)
            return Response("\n".join(visible(part.label) for part in staged.parts[:MOST_PARTS]))
        choice, actor = PartChoice(hunks), speaker.actor
        await self.parts.pick(number, choice, actor, dedup=speaker.dedup, origin=speaker.origin)
        return Response()

    async def _approve_typed(self, speaker: CommandActor, number: int, digest: str | None) -> Response:
        if not digest:
            mend = advise(
                "Write ",
                Suggestion(CommandName.APPROVE, number),
                f" and at least {TYPED_DIGITS} hex digits of the digest that the card shows.",
            )
            raise UsageError("no_digest", "an approval must name the digest that it is for", mend)
        return await self.approve(speaker, number, digest, typed_in=speaker.place)

    async def _reject_typed(self, speaker: CommandActor, number: int, reason: str) -> Response:
        if not reason:
            mend = advise("Write ", Suggestion(CommandName.REJECT, number, (BLANK,)), ".")
            raise UsageError("no_reason", "a rejection needs a reason", mend)
        return await self.reject(speaker, number, reason, None)

    async def _undo(self, speaker: CommandActor, number: int) -> Response:
        undo = await self.requests.undo(number, speaker.actor, speaker.origin)
        if undo == number:
            return Response(f"The pull request of #{number} is being closed.")
        return Response(f"#{undo} reverts #{number}; it needs approval like any other task.")


def _amounts(command: c.Extend) -> Spending:
    return Spending(command.steps, command.tokens, command.usd)


def with_context(context: str, text: str) -> str:
    """`text` after its context; a complete sentence of the edit grammar, or a courtesy, is returned alone."""
    if not context or is_courtesy(text) or not isinstance(parse(text), NotUnderstood):
        return text
    return f"{context}: {text}"
