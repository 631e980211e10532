"""Reminders: reminds people of what waits for them, then escalates to further approvers."""

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


async def remind(tx: Tx, settings: Settings, number: int) -> None:
    """Remind people of task `number`, or escalate it; the message goes to every place that shows it."""
    task = await tasks.load(tx, number, lock=True)
    requirements = task.current.requirements
    if task.state is not State.STAGED or requirements is None or task.expires_at is None:
        return
    staged_ms = to_ms(task.expires_at) - requirements.expires_s * 1000
    escalate_ms = staged_ms + requirements.escalate_s * 1000 if requirements.escalate_s and not task.escalated else None
    escalates = escalate_ms is not None and escalate_ms <= tx.now_ms
    changes = {
        "escalated": task.escalated or escalates,
        "nudge_ms": _next(requirements, tx.now_ms, None if escalates else escalate_ms),
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
    text = await _reminder(tx, settings, after, escalates=escalates)
    for card in await cards.of_task(tx, number):
        await notes.add(tx, card.place, text, reply_to=card.message_id, number=number)


def _next(requirements: ApprovalRequirements, now_ms: int, escalate_ms: int | None) -> int | None:
    """When the next reminder or the escalation is due, in UTC milliseconds; None if neither is."""
    remind_ms = now_ms + requirements.remind_s * 1000 if requirements.remind_s else None
    return min((ms for ms in (remind_ms, escalate_ms) if ms is not None), default=None)


async def _reminder(tx: Tx, settings: Settings, task: Task, *, escalates: bool) -> str:
    needs = await needs_of(tx, settings, task)
    approvers = ", ".join(needs.missing) if needs else ""
    waits = f"#{task.number} waits for {approvers or 'someone who may approve it'}"
    until = f" It expires on {task.expires_at:%Y-%m-%d %H:%M} UTC." if task.expires_at else ""
    escalation = (
        f" No one answered, so {', '.join(task.current.requirements.escalate_to)} may approve it too."
        if escalates and task.current.requirements
        else ""
    )
    return f"Reminder: {waits}.{escalation}{until}"
