"""What is decided about a task: approve, reject, cancel, merge, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.context import NUMBER, CliContext, as_option, complain, json_option, operator, run, speaker
from bot.cli.following import follow, print_card, wait_option
from bot.cli.interruption import GOES_ON, committed, now

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
    now(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            decided = app.approvals.approve(number, digest, speaker(app, person))
            kept = f"your approval of #{number} is kept and {GOES_ON}"
            answer = await committed(decided, lambda said: _kept(kept, said))
            if answer.problem is not None:
                return complain(answer.problem, as_json=as_json)
            return await follow(app, number, wait=wait, as_json=as_json)

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--reason", default="", metavar="TEXT", help="Why; the requester sees it.")
@as_option
@json_option
@click.pass_obj
def reject(context: CliContext, number: int, reason: str, person: str | None, as_json: bool) -> int:
    """Say no to a staged diff."""
    now(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            decided = app.approvals.reject(number, reason.strip(), speaker(app, person))
            answer = await committed(decided, lambda said: _kept(f"#{number} is rejected", said))
            if answer.problem is not None:
                return complain(answer.problem, as_json=as_json)
            await print_card(app, await app.queries.show(number), as_json=as_json)
            return 0

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@json_option
@click.pass_obj
def cancel(context: CliContext, number: int, person: str | None, as_json: bool) -> int:
    """Stop a task that is not published yet."""
    now(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            await committed(app.requests.cancel(number, operator(app, person)), lambda _: f"#{number} is cancelled")
            await print_card(app, await app.queries.show(number), as_json=as_json)
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
    now(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            owed = app.requests.merge(number, operator(app, person))
            await committed(owed, lambda _: f"the merge of #{number} is queued and {GOES_ON}")
            return await follow(app, number, wait=not no_wait, as_json=as_json)

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@wait_option
@json_option
@click.pass_obj
def undo(context: CliContext, number: int, person: str | None, wait: bool, as_json: bool) -> int:
    """Take a task back: revert a merged one through the same gate, close a published one."""
    now(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            owed = app.requests.undo(number, operator(app, person))
            next_number = await committed(owed, lambda made: f"{_undoing(number, made)} and {GOES_ON}")
            return await follow(app, next_number, wait=wait, as_json=as_json)

    return run(work())


COMMANDS = (approve, reject, cancel, merge, undo)


def _kept(sentence: str, answer: VerdictOutcome) -> str | None:
    """The sentence, unless the decision was refused and so changed nothing."""
    return sentence if answer.problem is None else None


def _undoing(number: int, made: int) -> str:
    return f"closing #{number} is queued" if made == number else f"#{made} takes #{number} back"
