"""The commands tokens create, list and revoke: who may use the API, for what and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bot.cards.safe import one_line
from bot.cli.context import SURFACE, CliContext, json_option, parse_time, print_json, run
from core.model.turn import Actor

if TYPE_CHECKING:
    from core.model.api_token import ApiToken

SCOPES = ("read", "request", "approve", "operate")
NEVER = "never"


@click.group()
def tokens() -> None:
    """Create, list and revoke the tokens of the API."""


@tokens.command()
@click.argument("name")
@click.option("--as", "person", metavar="PERSON", help="Whose token it is (default: the operator's own).")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What it may do; may be repeated (default read).",
)
@click.option("--repo", "repos", multiple=True, metavar="NAME", help="Only this repository; may be repeated.")
@click.option("--expires", default="90d", metavar="T", help="When it ends: 90d, a time, or never (default 90d).")
@json_option
@click.pass_obj
def create(
    context: CliContext,
    name: str,
    person: str | None,
    scopes: tuple[str, ...],
    repos: tuple[str, ...],
    expires: str,
    as_json: bool,
) -> int:
    """Create a token called NAME. It is shown once; only its hash is stored."""
    from core.services.api_tokens import WantedToken

    expires_at = None if expires == NEVER else parse_time(expires)

    async def work() -> int:
        async with context.open() as app:
            wanted = WantedToken(
                name=name,
                person=person,
                scopes=scopes or ("read",),
                repositories=repos or None,
                expires_at=expires_at,
            )
            created = await app.api_tokens.create(wanted, _operator())
        if as_json:
            print_json({**created.token.to_json(), "token": str(created.written)})
            return 0
        click.echo(str(created.written))
        click.echo(f"This token is shown once. {_line(created.token)}", err=True)
        return 0

    return run(work())


@tokens.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> int:
    """List all tokens, the newest first; none of it lets anyone use them."""

    async def work() -> int:
        async with context.open() as app:
            listed = await app.api_tokens.list()
        if as_json:
            print_json({"tokens": [token.to_json() for token in listed]})
            return 0
        for token in listed:
            click.echo(_line(token))
        if not listed:
            click.echo("No tokens. Create one with `countersign tokens create NAME --as PERSON --scope read`.")
        return 0

    return run(work())


@tokens.command()
@click.argument("token_id", metavar="ID")
@json_option
@click.pass_obj
def revoke(context: CliContext, token_id: str, as_json: bool) -> int:
    """Revoke the token with this ID, at once and for good."""

    async def work() -> int:
        async with context.open() as app:
            revoked = await app.api_tokens.revoke(token_id, _operator())
        print_json(revoked.to_json()) if as_json else click.echo(f"Revoked: {_line(revoked)}")
        return 0

    return run(work())


COMMANDS = (tokens,)


def _operator() -> Actor:
    return Actor(None, SURFACE, is_operator=True)


def _line(token: ApiToken) -> str:
    """A token in one line."""
    document = token.to_json()
    where = ", ".join(document["repositories"]) if document["repositories"] is not None else "every repository"
    now = datetime.now(UTC)
    if token.revoked_at is not None:
        state = f"revoked {token.revoked_at:%Y-%m-%d}"
    elif token.expires_at is None:
        state = "does not expire"
    else:
        state = f"{'expired' if token.expires_at <= now else 'expires'} {token.expires_at:%Y-%m-%d}"
    used = f"last used {token.last_used_at:%Y-%m-%d %H:%M} UTC" if token.last_used_at else "never used"
    owner, scopes = token.person or "the operator", " ".join(document["scopes"])
    return f"{token.id}  {one_line(token.name, 40)}  of {owner}: {scopes} on {where}; {state}, {used}"
