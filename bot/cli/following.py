"""What a command does after it changed a task: with ``--wait`` it works the queue, and it prints what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bot.cards.safe import visible
from bot.cards.times import duration
from bot.cli.context import say_json
from bot.cli.interruption import now
from core.model.errors import Kind, Problem
from core.model.job import JobState
from core.model.lifecycle import RESTING, State

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.services.task_document import TaskDocument

PATIENCE = 3
"""How many tries `--wait` stays for when something outside is unavailable; the queue goes on by itself."""

wait_option = click.option("--wait", is_flag=True, help="Work the queue here until the task rests.")


async def follow(app: App, number: int, *, wait: bool, as_json: bool) -> int:
    """With `wait` work the queue until the task rests; print it; the exit status it deserves."""
    if wait:
        await _work_until_rest(app, number, quiet=as_json)
    document = await app.document(number)
    if document.queue is None:
        now(f"#{number} is {document.task.state.value}; see it with `countersign show {number}`")
    await print_card(app, document, as_json=as_json)
    if document.queue is not None:
        if not wait or document.queue.problem is None:
            return 0
        again = document.queue.next_try_at
        left_s = (again - datetime.now(UTC)).total_seconds() if again else 0
        when = f" in {duration(left_s)}" if left_s > 0 else ""
        mend = f"It is kept, and tried again{when} while a worker runs."
        problem = Problem(Kind.UNAVAILABLE, "still_waiting", document.queue.problem, mend)
    elif document.task.error is not None:
        problem = document.task.error
    else:
        return 0
    click.echo(f"countersign: {visible(problem.sentence())}", err=True)
    return problem.kind.exit_code


async def _work_until_rest(app: App, number: int, *, quiet: bool) -> None:
    from bot.cli.output import progress
    from core.store import queue_queries, tasks
    from core.store.unit_of_work import Tx

    async def look(tx: Tx) -> tuple[State, bool]:
        task = await tasks.load(tx, number)
        active = await queue_queries.active_of(tx, number)
        tried_enough = any(job.state is JobState.READY and job.attempt > PATIENCE for job in active)
        return task.state, tried_enough or (task.state in RESTING and not active)

    with progress(number, quiet=quiet) as told:

        async def rests() -> bool:
            state, rested = await app.database.read(look)
            if told is not None:
                told.update(state.value)
            return rested

        await app.worker().run(until=rests)


async def print_card(app: App, document: TaskDocument, *, as_json: bool) -> None:
    """Print a task as its card, or as its document."""
    from bot.cli.output import show_card

    if as_json:
        say_json(document.to_json())
    else:
        await show_card(app, document)
