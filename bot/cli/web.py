"""The commands sign-in and sessions: how a browser gets in, and who is in."""

from __future__ import annotations

import click

from bot.cli.context import CliContext, as_option, json_option, operator, print_json, run
from core.model.errors import UsageError


@click.command("sign-in")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of `serve` (default 8700), without a web.url.")
@as_option
@json_option
@click.pass_obj
def sign_in(context: CliContext, port: int | None, person: str | None, as_json: bool) -> int:
    """Print a link that signs a browser in, once, within ten minutes."""
    from bot.web.settings import DEFAULT_PORT, WebSettings

    async def work() -> int:
        from core.services.web_sessions import LINK_LIFETIME_S

        async with context.open() as app:
            actor = operator(app, person)
            token = await app.web_sessions.make_link(actor)
            link = (app.config.web or WebSettings()).link(f"/sign-in/{token}", port or DEFAULT_PORT)
        if as_json:
            print_json({"url": link, "person": actor.person, "expires_s": LINK_LIFETIME_S})
        else:
            click.echo(f"Open this link once, within ten minutes, as {actor.person or 'the operator'}:", err=True)
            click.echo(link)
        return 0

    return run(work())


@click.group()
def sessions() -> None:
    """List the browsers that are signed in, and end their sessions."""


@sessions.command("list")
@json_option
@click.pass_obj
def list_sessions(context: CliContext, as_json: bool) -> int:
    """List every session, the newest first."""

    async def work() -> int:
        async with context.open() as app:
            rows = await app.web_sessions.listed(operator(app, None))
        if as_json:
            print_json([row.to_json() for row in rows])
            return 0
        from bot.cards.safe import one_line

        for row in rows:
            used = f"used {row.seen_at:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{row.id}  {row.shown_name}  {used}  {one_line(row.browser, 60)}")
        if not rows:
            click.echo("No browser is signed in. Sign one in with `countersign sign-in`.")
        return 0

    return run(work())


@sessions.command()
@click.argument("session", required=False)
@click.option("--all-of", metavar="PERSON", help="End every session of this person.")
@json_option
@click.pass_obj
def revoke(context: CliContext, session: str | None, all_of: str | None, as_json: bool) -> int:
    """End a SESSION at once, or all of a person's."""
    if (session is None) == (all_of is None):
        raise UsageError("which", "name a session, or a person with --all-of", "See `countersign sessions list`.")

    async def work() -> int:
        async with context.open() as app:
            actor = operator(app, None)
            count = 1
            if session is not None:
                await app.web_sessions.revoke(session, actor)
            else:
                count = await app.web_sessions.revoke_all(all_of, actor)
        ended = f"{count} session{'' if count == 1 else 's'} ended."
        print_json({"revoked": count}) if as_json else click.echo(ended)
        return 0

    return run(work())


COMMANDS = (sign_in, sessions)
