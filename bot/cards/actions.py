"""The actions that a card offers in each state of its task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bot.cards.parts import WORKING, Action, ActionKind, revision_label
from core.model.advice import BLANK, CommandName, Suggestion
from core.model.lifecycle import State
from core.model.staged_diff import short_digest


def actions_of_older_revision(document: Mapping[str, Any]) -> tuple[Action, ...]:
    """The only action of an older revision's card: show the current card."""
    number = int(document["number"])
    label = f"Show {revision_label(number, int(document['revision']))}"
    return (Action(ActionKind.SHOW, label, Suggestion(CommandName.SHOW, number)),)


def actions_for(document: Mapping[str, Any], state: State) -> Iterable[Action]:
    """The actions that are possible now, the most likely one first; permissions are checked when one is used."""
    number, staged = int(document["number"]), document["staged"]

    def action(kind: ActionKind, label: str, *args: str) -> Action:
        command = CommandName.REPLY if kind is ActionKind.ANSWER else CommandName(kind.value)
        return Action(kind, label, Suggestion(command, number, args))

    reply = action(ActionKind.REPLY, "Reply", BLANK)
    if state is State.ASKING:
        question = document.get("question") or {}
        if budget := question.get("budget"):  # the value makes buttons of earlier questions ineffective
            yield replace(action(ActionKind.EXTEND, "Give it as much again"), value=str(budget["n"]))
        yield from (action(ActionKind.ANSWER, option, option) for option in question.get("options", ()))
        yield reply
    if state is State.STAGED and staged:
        short = short_digest(staged["digest"])
        yield action(ActionKind.APPROVE, f"Approve {short[:4]}", short)
        yield action(ActionKind.REJECT, "Reject", BLANK)
        yield reply
    if state is State.PUBLISHED:
        yield action(ActionKind.MERGE, "Merge")
        yield reply
    if state in (State.PUBLISHED, State.MERGED):
        yield action(ActionKind.UNDO, "Undo")
    if state in (State.REFUSED, State.REJECTED, State.EXPIRED, State.FAILED):
        yield reply
    if staged:
        yield action(ActionKind.DIFF, "Full diff")
    if state is State.STAGED and staged:
        yield action(ActionKind.WHY, "Why")
        if len(staged["files"]) > 1:
            yield action(ActionKind.PICK, "Pick parts", "1,3-5")
    if state in (State.ASKING, *WORKING):
        yield action(ActionKind.CANCEL, "Cancel")
