"""The commands authenticators list and remove; people set up their apps in a browser."""

from __future__ import annotations

import click

from bot.cli.context import CliContext, json_option, operator, print_json, run


@click.group()
def authenticators() -> None:
    """List who has an authenticator app, and remove one that is lost."""


@authenticators.command("list")
@json_option
@click.pass_obj
def list_authenticators(context: CliContext, as_json: bool) -> int:
    """List everyone who has an app, by name."""

    async def work() -> int:
        async with context.open() as app:
            rows = await app.authenticators.listed()
        if as_json:
            print_json([row.to_json() for row in rows])
            return 0
        for row in rows:
            used = f"used {row.used_at:%Y-%m-%d %H:%M} UTC" if row.used_at else "never used"
            codes = f"{row.codes_left} recovery code{'' if row.codes_left == 1 else 's'} left"
            click.echo(f"{row.person}  {used}  {codes}")
        if not rows:
            click.echo("No one has an authenticator app. People add theirs in a browser: their name, then the app.")
        return 0

    return run(work())


@authenticators.command()
@click.argument("person")
@json_option
@click.pass_obj
def remove(context: CliContext, person: str, as_json: bool) -> int:
    """Remove PERSON's app and recovery codes, for example because the device is lost."""

    async def work() -> int:
        async with context.open() as app:
            await app.authenticators.remove(person, operator(app, None))
        print_json({"removed": person}) if as_json else click.echo(f"{person} has no authenticator app any more.")
        return 0

    return run(work())


COMMANDS = (authenticators,)
