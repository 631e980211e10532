"""The commands accounts add, set-password, list and remove; passwords come from a prompt or standard input only."""

from __future__ import annotations

import sys

import click

from bot.cli.context import CliContext, json_option, operator, print_json, run
from core.model.errors import UsageError


@click.group()
def accounts() -> None:
    """Let people sign in to the pages with a password."""


@accounts.command()
@click.argument("person")
@json_option
@click.pass_obj
def add(context: CliContext, person: str, as_json: bool) -> int:
    """Add an account for PERSON; the password is asked for, or read from standard input."""
    password = read_password()

    async def work() -> int:
        async with context.open() as app:
            await app.accounts.add(person, password, operator(app, None))
        print_json({"added": person}) if as_json else click.echo(f"{person} may sign in with this password.")
        return 0

    return run(work())


@accounts.command("set-password")
@click.argument("person")
@json_option
@click.pass_obj
def set_password(context: CliContext, person: str, as_json: bool) -> int:
    """Set PERSON's password, which ends their sessions."""
    password = read_password()

    async def work() -> int:
        async with context.open() as app:
            await app.accounts.set_password(person, password, operator(app, None))
        print_json({"changed": person}) if as_json else click.echo(
            f"The password of {person} is set; their sessions have ended."
        )
        return 0

    return run(work())


@accounts.command("list")
@json_option
@click.pass_obj
def list_accounts(context: CliContext, as_json: bool) -> int:
    """List the accounts."""

    async def work() -> int:
        async with context.open() as app:
            rows = await app.accounts.listed()
        if as_json:
            print_json([row.to_json() for row in rows])
            return 0
        for row in rows:
            used = f"used {row.used_at:%Y-%m-%d %H:%M} UTC" if row.used_at else "never used"
            click.echo(f"{row.person}  {used}  password of {row.changed_at:%Y-%m-%d}")
        if not rows:
            click.echo("No one has an account. Add one with `countersign accounts add PERSON`.")
        return 0

    return run(work())


@accounts.command()
@click.argument("person")
@json_option
@click.pass_obj
def remove(context: CliContext, person: str, as_json: bool) -> int:
    """Remove PERSON's account, which ends their sessions; links and passkeys work on."""

    async def work() -> int:
        async with context.open() as app:
            await app.accounts.remove(person, operator(app, None))
        print_json({"removed": person}) if as_json else click.echo(f"{person} can no longer sign in with a password.")
        return 0

    return run(work())


def read_password() -> str:
    """The password that is typed twice at the terminal, or the first line of standard input."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    line = sys.stdin.readline(1000).rstrip("\r\n")
    if not line:
        raise UsageError("no_password", "there is no password on standard input", "Pipe one line into the command.")
    return line


COMMANDS = (accounts,)
