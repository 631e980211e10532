"""Explains a task's state: its lane and rule, what the guard reported, and which approvals are missing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from bot.cards.build import MAX_QUOTE, build_card
from bot.cards.eta import eta_sentences
from bot.cards.problem_text import capitalize, render_advice
from bot.cards.safe import one_line
from core.model.advice import Advice, CommandName, Suggestion
from core.services.task_document import TaskDocument

MAX_CHARACTERS: Final = 3000
"""Maximum characters of a reason; a card shows only its beginning."""
MAX_DETAILS: Final = 20
"""Maximum findings shown for one check."""


def explain(document: TaskDocument, surface: str) -> str:
    """Explain a task's state in full, one sentence per line, with commands in the form that `surface` uses."""
    task, card = document.task, build_card(document.to_json(), now=datetime.now(UTC))
    reason = one_line(task.current.reason, MAX_CHARACTERS)
    lines = [f"#{task.number} is {task.state.value}."]
    if document.queue is not None:
        lines += [document.queue.why, *eta_sentences(document.queue.to_json())]
    if task.current.lane:
        lines.append(f"Lane {task.current.lane} by rule {task.current.rule}: {reason}")
    elif reason:
        lines.append(reason)
    if card.staged:
        lines += [f"{check.name}: {detail}" for check in card.staged.checks for detail in check.details[:MAX_DETAILS]]
    lines += [need.sentence for need in card.needs]
    if task.question is not None and task.question.budget is not None:
        lines.append(one_line(task.question.text, MAX_CHARACTERS))
        lines.append(f"{', '.join(document.extenders) or 'Only the operator'} may extend it")
        lines.append(render_advice(task.error.mend, surface) if task.error is not None else "")
    if task.error is not None and card.problem is not None:
        if one_line(task.error.message) != one_line(task.current.reason):
            lines.append(one_line(task.error.message, MAX_CHARACTERS))
        if not _suggests(task.error.mend, CommandName.WHY):
            lines.append(render_advice(task.error.mend, surface))
    lines += _long_request(document)
    return "\n".join(_sentence(line) for line in lines if line)


def _long_request(document: TaskDocument) -> list[str]:
    """The newest turn in full if it is too long for a card."""
    turns = [(turn.person, one_line(turn.text, MAX_CHARACTERS)) for turn in document.turns[-1:]]
    return [f"{person} asked in full: “{text}”" for person, text in turns if len(text) > MAX_QUOTE]


def _suggests(mend: str | Advice, command: CommandName) -> bool:
    parts = mend.parts if isinstance(mend, Advice) else ()
    return any(isinstance(part, Suggestion) and part.command is command for part in parts)


def _sentence(text: str) -> str:
    """`text` as a sentence: with a capital letter and a full stop."""
    end = "" if text.endswith((".", "?", "!", "…", "”")) else "."
    return f"{capitalize(text)}{end}"
