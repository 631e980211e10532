"""Outcome notes: messages to those who typed a command and wait for its outcome where no card shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from core.model.errors import Problem
from core.model.job import JobKind
from core.model.lifecycle import Fact
from core.store import notes, outcomes, queue_queries
from core.store.unit_of_work import Tx

_ENDS: Final[dict[str, dict[Fact, str]]] = {
    "merge": {
        Fact.MERGED: "is merged",
        Fact.CLOSED: "was closed, and is not merged",
        Fact.FAILED: "is not merged",
        Fact.REPLIED: "is not merged: it has a new revision",
    },
    "approve": {
        Fact.PUBLISHED: "is published",
        Fact.MERGED: "is merged",
        Fact.CLOSED: "was closed",
        Fact.FAILED: "is not published",
        Fact.VOIDED: "is not published",
        Fact.REJECTED: "is not published: it was rejected",
        Fact.REPLIED: "is not published: it has a new revision",
        Fact.CANCELLED: "is not published: it was cancelled",
        Fact.EXPIRED: "is not published: it expired",
    },
    "undo": {
        Fact.CLOSED: "is undone: its pull request is closed",
        Fact.MERGED: "was merged meanwhile",
        Fact.FAILED: "is not undone",
    },
}
_JOBS: Final = {"merge": JobKind.MERGE, "approve": JobKind.PUBLISH, "undo": JobKind.CLOSE}
"""The job of each command: while it is unfinished, the failure of another job is not the outcome."""


async def add_outcome_notes(tx: Tx, number: int, fact: Fact, saved: Mapping[str, Any]) -> None:
    """Add a note for everyone who waits for an outcome of task `number` that `fact` is; part of every step."""
    waiting = [outcome for outcome in await outcomes.of_task(tx, number) if fact in _ENDS.get(outcome.action, {})]
    if not waiting:
        return
    active = {job.kind for job in await queue_queries.active_of(tx, number)} if fact is Fact.FAILED else set()
    ended = [outcome for outcome in waiting if _JOBS[outcome.action] not in active]
    for outcome in ended:
        place = outcome.origin.place
        assert place is not None
        text = _text(number, _ENDS[outcome.action][fact], fact, saved)
        await notes.add(tx, place, text, reply_to=outcome.origin.reply_to, number=number)
    await outcomes.remove(tx, [outcome.id for outcome in ended])


def _text(number: int, what: str, fact: Fact, saved: Mapping[str, Any]) -> str:
    error = saved.get("error")
    if fact in (Fact.FAILED, Fact.VOIDED) and error:
        return f"#{number} {what}: {Problem.from_json(error).plain()}"
    opened = saved.get("pull_request") or {}
    where = f": {opened['url']}" if fact is Fact.PUBLISHED and opened.get("url") else "."
    return f"#{number} {what}{where}"
