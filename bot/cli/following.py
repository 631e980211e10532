"""After a command has changed a task: works the queue if ``--wait`` is given, then prints the task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bot.cards.safe import visible
from bot.cards.times import duration
from bot.cli.context import print_json
from bot.cli.interruption import on_interrupt
from core.model.errors import Kind, Problem

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.services.task_document import TaskDocument

PATIENCE = 3
"""Failed attempts after which `--wait` stops waiting for an unavailable service; the queue goes on retrying."""

wait_option = click.option("--wait", is_flag=True, help="Work the queue here until the task rests.")


async def follow(app: App, number: int, *, wait: bool, as_json: bool) -> int:
    """Print a task, with `wait` once it rests; returns the exit status for its state."""
    if wait:
        await _work_until_rest(app, number, quiet=as_json)
    document = await app.documents.document(number)
    if document.queue is None:
        on_interrupt(f"#{number} is {document.task.state.value}; see it with `countersign show {number}`")
    await print_card(app, document, as_json=as_json)
    if document.queue is not None:
        if not wait or document.queue.problem is None:
            return 0
        next_try = document.queue.next_try_at
        left_s = (next_try - datetime.now(UTC)).total_seconds() if next_try else 0
        when = f" in {duration(left_s)}" if left_s > 0 else ""
        mend = f"Nothing is lost; a running worker tries again{when}."
        problem = Problem(Kind.UNAVAILABLE, "still_waiting", document.queue.problem, mend)
    elif document.task.error is not None:
        problem = document.task.error
    else:
        return 0
    click.echo(f"countersign: {visible(problem.sentence())}", err=True)
    return problem.kind.exit_code


async def _work_until_rest(app: App, number: int, *, quiet: bool) -> None:
    from bot.cli.output import progress
    from bot.wiring.worker import build_worker

    with progress(number, quiet=quiet) as task_progress:

        async def rests() -> bool:
            activity = await app.queries.activity(number)
            if task_progress is not None:
                task_progress.update(activity.state.value)
            return activity.rests(PATIENCE)

        await build_worker(app).run(until=rests)


async def print_card(app: App, document: TaskDocument, *, as_json: bool) -> None:
    """Print a task's card, or its document."""
    from bot.cli.output import print_card

    if as_json:
        print_json(document.to_json())
    else:
        await print_card(app, document)
