"""What happens to a task that waits for another which failed: its failure rule (`--if-failed`), else it fails too."""

from __future__ import annotations

from typing import Final

from core.model.errors import Kind, Problem
from core.model.lifecycle import Fact
from core.model.task import FailureRule, Task
from core.model.turn import Question
from core.rules.basis import DEPENDENCY
from core.store import cards, events, jobs, tasks
from core.store.transition import take_step
from core.store.unit_of_work import Tx

RUN_ANYWAY: Final = "Run it anyway"
"""The answer that runs a task although the one that it waited for failed."""
ASKING_EXPIRES_S: Final = 14 * 24 * 3600


async def settle_lost(tx: Tx, number: int, after: int, state: str) -> None:
    """Apply the failure rule of task `number`, which waits for the task `after`, which is `state` now.

    Raises `ConflictError` if the task does not wait any more.
    """
    task = await tasks.load(tx, number, lock=True)
    if task.if_failed is FailureRule.RUN:
        await _run(tx, task, after, state)
        return
    message = f"#{number} waited for #{after}, which is {state}"
    problem = Problem(Kind.FAILED, DEPENDENCY, message, "Reply to it to run it anyway.")
    changes = {"error": problem.to_json(), "expires_ms": None}
    await jobs.cancel_jobs(tx, number)
    if task.if_failed is FailureRule.CANCEL:
        await take_step(tx, task, Fact.CANCELLED, body={"error": problem.to_json()}, changes=changes)
    elif task.if_failed is FailureRule.ASK:
        question = Question(DEPENDENCY, f"#{after}, for which this waits, is {state}. Run it anyway?", (RUN_ANYWAY,))
        asked = {"question": question.to_json(), "expires_ms": tx.now_ms + ASKING_EXPIRES_S * 1000}
        await take_step(tx, task, Fact.PAUSED, body={"question": question.to_json()}, changes={**changes, **asked})
    else:
        await take_step(tx, task, Fact.FAILED, changes=changes)


async def _run(tx: Tx, task: Task, after: int, state: str) -> None:
    """Make the waiting job ready; the task stays as it is, and its events say why it runs."""
    if not await jobs.release_from(tx, task.number, after):
        return
    await events.append(tx, number=task.number, kind="dependency.failed", body={"after": after, "state": state})
    await cards.redraw(tx, task.number)
