"""The commands passkeys list and revoke; passkeys are registered in a browser."""

from __future__ import annotations

import click

from bot.cli.context import CliContext, json_option, operator, print_json, run


@click.group()
def passkeys() -> None:
    """List the passkeys of people, and remove them."""


@passkeys.command("list")
@json_option
@click.pass_obj
def list_passkeys(context: CliContext, as_json: bool) -> int:
    """List every passkey, oldest first."""

    async def work() -> int:
        async with context.open() as app:
            rows = await app.passkeys.listed(operator(app, None))
        if as_json:
            print_json([row.to_json() for row in rows])
            return 0
        from bot.cards.safe import one_line

        for row in rows:
            used = f"used {row.used_at:%Y-%m-%d %H:%M} UTC" if row.used_at else "never used"
            click.echo(f"{row.id}  {row.person}  {used}  {row.fingerprint}  {one_line(row.name, 60)}")
        if not rows:
            click.echo("No one has a passkey. People add them in a browser: your name, then Passkeys.")
        return 0

    return run(work())


@passkeys.command()
@click.argument("passkey")
@json_option
@click.pass_obj
def revoke(context: CliContext, passkey: str, as_json: bool) -> int:
    """Remove a PASSKEY, for example of a lost device."""

    async def work() -> int:
        async with context.open() as app:
            await app.passkeys.revoke(passkey, operator(app, None))
        print_json({"revoked": passkey}) if as_json else click.echo(f"{passkey} is removed.")
        return 0

    return run(work())


COMMANDS = (passkeys,)
