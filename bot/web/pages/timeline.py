"""The timeline of a task: what people wrote and decided, and what Countersign did, in order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bot.cards.safe import one_line, visible_lines
from core.model.event import Event
from core.model.lifecycle import Fact
from core.model.part_selection import PickedPart
from core.model.staged_diff import short_digest
from core.model.turn import Turn
from core.services.task_document import TaskDocument

MAX_ENTRIES: Final = 300
_PHRASES: Final = {
    "task.planned": "planned the work",
    "task.unclear": "asked for an answer",
    "task.denied": "refused it by policy",
    "task.started": "began the work",
    "task.rescheduled": "returned it to the queue",
    "task.staged": "staged a diff",
    "task.blocked": "blocked the change",
    "task.failed": "failed",
    "task.continued": "went on with the next steps",
    "task.voided": "found that an approval no longer holds",
    "task.reminded": "reminded the approvers",
    "task.escalated": "asked further approvers",
    "task.published": "opened the pull request",
    "task.merge_asked": "was asked to merge",
    "task.merged": "recorded the merge",
    "task.close_asked": "was asked to close the pull request",
    "task.closed": "closed it",
    "task.undo_asked": "was asked to undo it",
    "task.cancelled": "cancelled it",
    "task.expired": "let it expire",
    "approval.refused": "was refused an approval",
    "rejection.refused": "was refused a rejection",
}
"""Events that are shown, in words; turns and verdicts have entries of their own."""

_REPLIED: Final = f"task.{Fact.REPLIED.value}"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened: who, on which surface, what, and a text in the words of a person or of a program."""

    at: datetime
    who: str
    surface: str
    what: str
    text: str = ""
    is_quote: bool = False


def timeline_of(document: TaskDocument, events: Iterable[Event]) -> list[TimelineEntry]:
    """The newest `MAX_ENTRIES` entries, the oldest first."""
    events = list(events)
    picks = {n: part for event in events if event.kind == _REPLIED for n, part in _picked(event)}
    turns = [
        TimelineEntry(t.at, t.person, t.surface, _wrote(t, picks.get(t.revision)), visible_lines(t.text), is_quote=True)
        for t in document.turns
    ]
    verdicts = [
        TimelineEntry(
            a.at,
            a.person,
            a.surface,
            f"{'approved' if a.verdict.value == 'approve' else 'rejected'} {short_digest(a.digest)}",
            visible_lines(a.reason),
            is_quote=True,
        )
        for a in document.approvals
    ]
    steps = [_entry(event) for event in events if event.kind in _PHRASES]
    return sorted([*turns, *verdicts, *steps], key=lambda entry: entry.at)[-MAX_ENTRIES:]


def _wrote(turn: Turn, part: PickedPart | None) -> str:
    if turn.n == 1:
        return "asked"
    wrote = f"kept {part.kept} of {part.total} parts of revision {part.revision}" if part else "replied"
    return f"{wrote}, which began revision {turn.revision}"


def _picked(event: Event) -> Iterator[tuple[int, PickedPart]]:
    """The revision that an event began, with the parts that it keeps; nothing for a reply in words."""
    body: Mapping[str, Any] = json.loads(event.body)
    if "picked" in body:
        yield body["revision"], PickedPart.from_json(body["picked"])


def _entry(event: Event) -> TimelineEntry:
    body: Mapping[str, Any] = json.loads(event.body)
    return TimelineEntry(
        event.at, event.person or "Countersign", event.surface or "", _PHRASES[event.kind], _detail(body)
    )


def _detail(body: Mapping[str, Any]) -> str:
    """What an event says beside its kind; of a decision also its rule and its lane."""
    if isinstance(rule := body.get("rule"), str):
        lane = f", lane {body['lane']}" if isinstance(body.get("lane"), str) else ""
        return one_line(f"rule {rule}{lane}: {body.get('reason') or ''}", 300)
    for key in ("message", "reason", "problem", "question"):
        value = body.get(key)
        if isinstance(value, str) and value:
            return one_line(value, 300)
        if isinstance(value, Mapping) and isinstance(value.get("message"), str):
            return one_line(value["message"], 300)
    if isinstance(digest := body.get("digest"), str):
        return short_digest(digest)
    return ""
