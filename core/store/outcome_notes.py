"""What became of it: facts that end what somebody asked for by typing, as words for the place where they typed it."""

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
"""The jobs that do what was asked: while one of them lives, another job's failure is not the outcome."""


async def tell_outcome(tx: Tx, number: int, fact: Fact, saved: Mapping[str, Any]) -> None:
    """Tell everybody who waits to hear of task `number` if `fact` is what they wait for; part of every step."""
    waiting = [one for one in await outcomes.of_task(tx, number) if fact in _ENDS.get(one.asked, {})]
    if not waiting:
        return
    alive = {job.kind for job in await queue_queries.active_of(tx, number)} if fact is Fact.FAILED else set()
    over = [one for one in waiting if _JOBS[one.asked] not in alive]
    for one in over:
        assert one.origin.place is not None
        words = _words(number, _ENDS[one.asked][fact], fact, saved)
        await notes.add(tx, one.origin.place, words, reply_to=one.origin.reply_to, number=number)
    await outcomes.forget(tx, [one.id for one in over])


def _words(number: int, what: str, fact: Fact, saved: Mapping[str, Any]) -> str:
    error = saved.get("error")
    if fact in (Fact.FAILED, Fact.VOIDED) and error:
        return f"#{number} {what}: {Problem.from_json(error).plain()}"
    opened = saved.get("pull_request") or {}
    where = f": {opened['url']}" if fact is Fact.PUBLISHED and opened.get("url") else "."
    return f"#{number} {what}{where}"
