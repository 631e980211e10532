"""What is decided about a task: approve, reject, cancel, merge, undo."""

from __future__ import annotations

import click

from bot.cli.following import follow, print_card, wait_option
from bot.cli.frame import NUMBER, Door, as_option, complain, json_option, operator, run, speaker


@click.command()
@click.argument("number", type=NUMBER)
@click.argument("digest")
@as_option
@wait_option
@json_option
@click.pass_obj
def approve(door: Door, number: int, digest: str, person: str | None, wait: bool, as_json: bool) -> int:
    """Countersign a staged diff by its digest (at least its first 20 hex digits)."""

    async def work() -> int:
        async with door.open() as app:
            answer = await app.verdicts.approve(number, digest, speaker(app, person))
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
def reject(door: Door, number: int, reason: str, person: str | None, as_json: bool) -> int:
    """Say no to a staged diff."""

    async def work() -> int:
        async with door.open() as app:
            answer = await app.verdicts.reject(number, reason.strip(), speaker(app, person))
            if answer.problem is not None:
                return complain(answer.problem, as_json=as_json)
            await print_card(app, await app.document(number), as_json=as_json)
            return 0

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@json_option
@click.pass_obj
def cancel(door: Door, number: int, person: str | None, as_json: bool) -> int:
    """Stop a task that is not published yet."""

    async def work() -> int:
        async with door.open() as app:
            await app.service.cancel(number, operator(app, person))
            await print_card(app, await app.document(number), as_json=as_json)
            return 0

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@click.option("--no-wait", is_flag=True, help="Leave the merging to a running worker.")
@json_option
@click.pass_obj
def merge(door: Door, number: int, person: str | None, no_wait: bool, as_json: bool) -> int:
    """Merge a published task's pull request, as its forge would."""

    async def work() -> int:
        async with door.open() as app:
            await app.service.merge(number, operator(app, person))
            return await follow(app, number, wait=not no_wait, as_json=as_json)

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@as_option
@wait_option
@json_option
@click.pass_obj
def undo(door: Door, number: int, person: str | None, wait: bool, as_json: bool) -> int:
    """Take a task back: revert a merged one through the same gate, close a published one."""

    async def work() -> int:
        async with door.open() as app:
            next_number = await app.service.undo(number, operator(app, person))
            return await follow(app, next_number, wait=wait, as_json=as_json)

    return run(work())


COMMANDS = (approve, reject, cancel, merge, undo)
