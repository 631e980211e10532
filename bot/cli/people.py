"""The commands link and unlink, which tie a person's accounts to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bot.cli.context import CliContext, as_option, json_option, print_json, run, speaker
from core.model.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from bot.surfaces.port import Response


@click.command()
@click.argument("code")
@click.option("--yes", is_flag=True, help="Link the account without being asked whether it is yours.")
@as_option
@json_option
@click.pass_obj
def link(context: CliContext, code: str, yes: bool, person: str | None, as_json: bool) -> int:
    """Confirm a code from /link on another surface: the account that got it acts as you from now on."""

    async def work() -> int:
        from bot.messaging.identities import CONFIRM, IdentityDirectory

        async with context.open() as app:
            actor = speaker(app, person)
            directory = IdentityDirectory(app.identities)
            answer = await directory.confirm(actor.person or "", actor.surface, code, confirmed=yes)
            if answer.form == CONFIRM:
                _agree(answer)
                answer = await directory.confirm(actor.person or "", actor.surface, code, confirmed=True)
            return _say(answer, as_json=as_json)

    return run(work())


@click.command()
@click.argument("surface")
@click.argument("identity")
@as_option
@json_option
@click.pass_obj
def unlink(context: CliContext, surface: str, identity: str, person: str | None, as_json: bool) -> int:
    """Unlink an account of yours."""

    async def work() -> int:
        from bot.messaging.identities import IdentityDirectory

        async with context.open() as app:
            actor = speaker(app, person)
            answer = await IdentityDirectory(app.identities).unlink(actor.person or "", surface, identity)
            return _say(answer, as_json=as_json)

    return run(work())


COMMANDS = (link, unlink)


def _agree(answer: Response) -> None:
    """Ask whether the account is theirs; raises `UsageError` if stdin is not a terminal or the answer is no."""
    if not sys.stdin.isatty():
        raise UsageError("not_confirmed", answer.text.rstrip("."), "If that is your account, add --yes.")
    if not click.confirm(f"{answer.text} Is that your account?", default=False, err=True):
        raise UsageError("not_confirmed", "nothing was linked", "The code expires by itself.")


def _say(answer: Response, *, as_json: bool) -> int:
    """Print the response; raises `RefusedError` if it refuses."""
    if answer.refused:
        raise RefusedError("not_linked", answer.text.rstrip("."))
    if as_json:
        print_json({"said": answer.text})
    else:
        click.echo(answer.text)
    return 0
