"""Commands that decide about a task: approve, reject, cancel, merge, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.context import NUMBER, CliContext, as_option, json_option, operator, print_problem, run, speaker
from bot.cli.following import follow, print_card, wait_option
from bot.cli.interruption import GOES_ON, on_interrupt, uninterrupted

if TYPE_CHECKING:
    from core.services.approvals import VerdictOutcome


@click.command()
@click.argument("number", type=NUMBER)
@click.argument("digest")
@as_option
@wait_option
@json_option
@click.pass_obj
def approve(context: CliContext, number: int, digest: str, person: str | None, wait: bool, as_json: bool) -> int:
    """Countersign a staged diff by its digest (at least its first 20 hex digits)."""
    on_interrupt(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            approval = app.approvals.approve(number, digest, speaker(app, person))
            sentence = f"your approval of #{number} is saved and {GOES_ON}"
            outcome = await uninterrupted(approval, lambda outcome: _if_counted(outcome, sentence))
            if outcome.problem is not None:
                return print_problem(outcome.problem, as_json=as_json)
            return await follow(app, number, wait=wait, as_json=as_json)

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--reason", default="", metavar="TEXT", help="Why; the requester sees it.")
@as_option
@json_option
@click.pass_obj
def reject(context: CliContext, number: int, reason: str, person: str | None, as_json: bool) -> int:
    """Reject a staged diff, or the larger budget that a task asks for."""
    on_interrupt(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            rejection = app.approvals.reject(number, reason.strip(), speaker(app, person))
            outcome = await uninterrupted(rejection, lambda outcome: _if_counted(outcome, f"#{number} is rejected"))
            if outcome.problem is not None:
                return print_problem(outcome.problem, as_json=as_json)
            await print_card(app, await app.documents.document(number), as_json=as_json)
            return 0

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@json_option
@click.pass_obj
def cancel(context: CliContext, number: int, person: str | None, as_json: bool) -> int:
    """Stop a task that is not published yet."""
    on_interrupt(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            await uninterrupted(app.requests.cancel(number, operator(app, person)), lambda _: f"#{number} is cancelled")
            await print_card(app, await app.documents.document(number), as_json=as_json)
            return 0

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@click.option("--no-wait", is_flag=True, help="Leave the merging to a running worker.")
@json_option
@click.pass_obj
def merge(context: CliContext, number: int, person: str | None, no_wait: bool, as_json: bool) -> int:
    """Merge a published task's pull request, as its forge would."""
    on_interrupt(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            merging = app.requests.merge(number, operator(app, person))
            await uninterrupted(merging, lambda _: f"the merge of #{number} is queued and {GOES_ON}")
            return await follow(app, number, wait=not no_wait, as_json=as_json)

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@wait_option
@json_option
@click.pass_obj
def undo(context: CliContext, number: int, person: str | None, wait: bool, as_json: bool) -> int:
    """Undo a task: close its pull request, or revert a merged one by a new task that needs approval."""
    on_interrupt(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            undoing = app.requests.undo(number, operator(app, person))
            next_number = await uninterrupted(undoing, lambda next_: f"{_undone_by(number, next_)} and {GOES_ON}")
            return await follow(app, next_number, wait=wait, as_json=as_json)

    return run(work())


COMMANDS = (approve, reject, cancel, merge, undo)


def _if_counted(outcome: VerdictOutcome, sentence: str) -> str | None:
    """The sentence; None if the verdict was refused and changed nothing."""
    return sentence if outcome.problem is None else None


def _undone_by(number: int, next_number: int) -> str:
    return f"closing #{number} is queued" if next_number == number else f"#{next_number} reverts #{number}"
