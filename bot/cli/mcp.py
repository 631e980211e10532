"""The command mcp: the tools for a client on this machine."""

from __future__ import annotations

import click

from bot.cli.context import CliContext, as_option, run, speaker


@click.command()
@as_option
@click.pass_obj
def mcp(context: CliContext, person: str | None) -> int:
    """Serve the tools ask, watch, list, show, diff, reply and cancel by MCP on standard input and output."""

    async def work() -> int:
        from bot.mcp.stdio import serve_stdio
        from bot.mcp.tools import Caller
        from core.model.api_token import TokenScope
        from core.model.turn import MCP, Actor

        async with context.open() as app:
            name = speaker(app, person).person
            scopes = frozenset({TokenScope.READ, TokenScope.REQUEST})
            await serve_stdio(app, Caller(f"stdio:{name}", Actor(name, MCP), scopes))
        return 0

    return run(work())


COMMANDS = (mcp,)
