"""The inventory on the command line: endpoints, nodes and drain."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import CliContext, as_option, json_option, operator, print_json, run

if TYPE_CHECKING:
    from bot.wiring.app import App


@click.command()
@json_option
@click.pass_obj
def endpoints(context: CliContext, as_json: bool) -> int:
    """Show the model servers: state, GPUs, what is loaded and until when. Without a worker they are asked now."""

    async def work() -> int:
        from datetime import UTC, datetime

        async with context.open() as app:
            await _look_unless_watched(app)
            now = datetime.now(UTC)
            rows = [status.to_json(now) for status in await app.inventory.endpoints()]
        if as_json:
            print_json({"endpoints": rows})
        elif rows:
            _print(rows, now)
        else:
            click.echo("No endpoints. Add them to `models:` of countersign.yaml.")
        return 0

    return run(work())


@click.command()
@json_option
@click.pass_obj
def nodes(context: CliContext, as_json: bool) -> int:
    """Show the hosts that run workers: what each offers, its workers, and its GPUs as one of those measured them."""

    async def work() -> int:
        from datetime import UTC, datetime

        from bot.cards.inventory import node_lines

        async with context.open() as app:
            rows = [status.to_json() for status in await app.inventory.nodes()]
        if as_json:
            print_json({"nodes": rows})
        elif rows:
            now = datetime.now(UTC)
            _write([(row["name"], node_lines(row, now)) for row in rows])
        else:
            click.echo("No nodes. A node is a host that runs `countersign serve` or `countersign worker`.")
        return 0

    return run(work())


@click.command()
@click.argument("name")
@click.option("--reason", default="", metavar="TEXT", help="Why; the lists of endpoints show it.")
@as_option
@json_option
@click.pass_obj
def drain(context: CliContext, name: str, reason: str, person: str | None, as_json: bool) -> int:
    """Give the endpoint NAME no new work; what runs there finishes. For maintainers with --as."""

    async def work() -> int:
        async with context.open() as app:
            drained = await app.inventory.drain(operator(app, person), name, reason.strip())
        if as_json:
            print_json({"endpoint": name, "drained": drained.to_json()})
        else:
            click.echo(f"{name} gets no new work. Let it work again with `countersign resume {name}`.")
        return 0

    return run(work())


async def _look_unless_watched(app: App) -> None:
    """Ask the endpoints now, unless a worker does so every few seconds."""
    if app.config.endpoint_kinds and not await app.inventory.is_watched():
        from bot.wiring.inventory import look_now

        await look_now(app)


def _print(rows: Sequence[dict[str, Any]], now: Any) -> None:
    from bot.cards.inventory import endpoint_heading, endpoint_lines

    _write([(endpoint_heading(row), endpoint_lines(row, now)) for row in rows])


def _write(sections: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Draw a heading and indented lines for each section."""
    from bot.surfaces.terminal import detect_profile
    from bot.surfaces.terminal.profile import ACCENT, write_items

    look = detect_profile(sys.stdout)
    items = []
    for heading, lines in sections:
        name, _, rest = heading.partition(":")
        items.append(look.text((name, f"bold {ACCENT}"), f":{rest}" if rest else ""))
        items += [look.text(f"  {line}") for line in lines]
    write_items(sys.stdout, look, items)


COMMANDS = (endpoints, nodes, drain)
