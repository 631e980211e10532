"""Nudging: reminding people of what waits for them, then asking the next ones; a timeout is not a denial."""

from __future__ import annotations

from core.model.decision import ApprovalRequirements
from core.model.lifecycle import Fact, State
from core.model.task import Task
from core.rules.quorum import needs_of
from core.settings import Settings
from core.store import cards, notes, tasks
from core.store.database import to_ms
from core.store.transition import take_step
from core.store.unit_of_work import Tx


async def nudge(tx: Tx, settings: Settings, number: int) -> None:
    """Remind of task `number`, or escalate it; the words go wherever it is shown, in the same transaction."""
    task = await tasks.load(tx, number, lock=True)
    terms = task.current.terms
    if task.state is not State.STAGED or terms is None or task.expires_at is None:
        return
    staged_ms = to_ms(task.expires_at) - terms.expires_s * 1000
    escalate_ms = staged_ms + terms.escalate_s * 1000 if terms.escalate_s and not task.escalated else None
    escalates = escalate_ms is not None and escalate_ms <= tx.now_ms
    changes = {
        "escalated": task.escalated or escalates,
        "nudge_ms": _next(terms, tx.now_ms, None if escalates else escalate_ms),
    }
    fact = Fact.ESCALATED if escalates else Fact.REMINDED
    await take_step(
        tx,
        task,
        fact,
        changes=changes,
        body={"digest": task.staged.digest if task.staged else None},
    )
    after = await tasks.load(tx, number)
    words = await _words(tx, settings, after, escalates=escalates)
    for card in await cards.of_task(tx, number):
        await notes.add(tx, card.place, words, reply_to=card.message_id, number=number)


def _next(terms: ApprovalRequirements, now_ms: int, escalate_ms: int | None) -> int | None:
    """When people are nudged next."""
    remind_ms = now_ms + terms.remind_s * 1000 if terms.remind_s else None
    return min((ms for ms in (remind_ms, escalate_ms) if ms is not None), default=None)


async def _words(tx: Tx, settings: Settings, task: Task, *, escalates: bool) -> str:
    needs = await needs_of(tx, settings, task)
    who = ", ".join(needs.missing) if needs else ""
    asked = f"#{task.number} waits for {who or 'somebody who may approve it'}"
    until = f" It expires on {task.expires_at:%Y-%m-%d %H:%M} UTC." if task.expires_at else ""
    extra = (
        f" Nobody answered, so {', '.join(task.current.terms.escalate_to)} may approve it too."
        if escalates and task.current.terms
        else ""
    )
    return f"Reminder: {asked}.{extra}{until}"
