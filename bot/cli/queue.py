"""The command queue: what runs, what waits and for how long, why a task waits, and a live view."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import NUMBER, CliContext, json_option, print_json, run
from core.model.errors import UsageError

if TYPE_CHECKING:
    from bot.wiring.app import App


@click.command()
@click.option(
    "--why", "number", type=NUMBER, default=None, metavar="N", help="Say what task N waits for, and how long."
)
@click.option("--watch", "watches", is_flag=True, help="Show it with the model servers, and redraw it until Ctrl-C.")
@json_option
@click.pass_obj
def queue(context: CliContext, number: int | None, watches: bool, as_json: bool) -> int:
    """Show what is queued and what is running: model, place, when it is expected to begin, and why it waits."""
    if watches and (as_json or number is not None):
        raise UsageError("watch_alone", "--watch shows the whole queue as text", "Leave out --json and --why.")

    async def work() -> int:
        async with context.open() as app:
            if watches:
                await _watch(app)
                return 0
            if number is not None:
                await _explain(app, number, as_json=as_json)
                return 0
            document = (await app.queries.queue()).to_json()
            if as_json:
                print_json(document)
            else:
                _print(document)
            return 0

    return run(work())


async def _watch(app: App) -> None:
    """Watch until Ctrl-C, which ends it as asked."""
    import asyncio

    from bot.cli.queue_watch import watch

    with contextlib.suppress(asyncio.CancelledError):
        await watch(app)


async def _explain(app: App, number: int, *, as_json: bool) -> None:
    """Say what a task waits for and how long; raises `NotFoundError` for one that does not exist."""
    place = (await app.documents.document(number)).queue
    print_reason(number, place.to_json() if place is not None else None, as_json=as_json)


def print_reason(number: int, queue_object: Mapping[str, Any] | None, *, as_json: bool) -> None:
    """Print what a task waits for and how long, from the ``queue`` object of its document."""
    from bot.cards.eta import eta_sentences

    why = queue_object["why"] if queue_object is not None else "It is not in the queue."
    if as_json:
        print_json({"task": number, "why": why, "queue": queue_object})
        return
    click.echo("\n".join([why or "It runs.", *(eta_sentences(queue_object) if queue_object else [])]))


def _print(document: dict[str, Any]) -> None:
    from bot.cli.output import print_queue

    print_queue(document)


COMMANDS = (queue,)
