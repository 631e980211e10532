"""The command stats: what was done in a time, how long it waited and ran, what models cost, and how GPUs were used."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from bot.cli.context import CliContext, json_option, parse_time, print_json, run


@click.command()
@click.option("--since", metavar="T", default="24h", help="Counts what happened since then (default 24h).")
@click.option(
    "--by",
    type=click.Choice(["lane", "model", "person"]),
    default="lane",
    help="Group waits and runs by lane, model or person (default lane).",
)
@json_option
@click.pass_obj
def stats(context: CliContext, since: str, by: str, as_json: bool) -> int:
    """Count tasks, jobs and events; show waits, runs, loads of models and GPU use; sum up what models cost."""
    begin = parse_time(since, past=True)

    async def work() -> int:
        from core.services.queue_statistics import Grouping

        async with context.open() as app:
            counts = await app.home_checks.counts(begin)
            spending = [total.to_json() for total in await app.spending.since(begin)]
            figures = await app.queue_statistics.figures(begin, Grouping(by))
        document = {**counts.to_json(), "spending": spending, **figures.to_json()}
        print_json(document) if as_json else _print(document)
        return 0

    return run(work())


def _print(document: Mapping[str, Any]) -> None:
    from bot.surfaces import terminal
    from bot.surfaces.terminal.statistics import print_endpoint_figures, print_waits

    since = f"{datetime.fromisoformat(document['since']):%Y-%m-%d %H:%M} UTC"
    terminal.print_counts(sys.stdout, "Tasks", document["tasks"] or {"none": 0})
    terminal.print_counts(sys.stdout, "Jobs", document["jobs"] or {"none": 0})
    if document["queue"]["groups"]:
        print_waits(sys.stdout, f"Waits and runs by {document['queue']['by']} since {since}", document["queue"])
    if document["endpoints"]:
        print_endpoint_figures(sys.stdout, f"Model servers since {since}", document["endpoints"])
    terminal.print_counts(sys.stdout, f"Events since {since}", document["events"] or {"none": 0})
    if document["deliveries"]:
        lines = {
            hook: f"{row['sent']} sent, {row['due']} due, {row['failed']} given up"
            for hook, row in document["deliveries"].items()
        }
        terminal.print_counts(sys.stdout, "Deliveries", lines)
    if document["spending"]:
        terminal.print_counts(sys.stdout, f"Models since {since}", _spending(document["spending"]))
    terminal.print_counts(
        sys.stdout, "Workers", {w["node"]: f"pid {w['pid']} on {w['host']}" for w in document["workers"]}
    )


def _spending(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The rows of ``spending`` as counts: the cost of each lane for each person on each day."""
    return {
        f"{row['day']} {row['lane'] or 'no lane'}, {row['person']}": (
            f"{row['tokens']:,} tokens in {row['calls']} calls" + (f", ${row['usd']:.2f}" if row["usd"] else "")
        )
        for row in rows
    }


COMMANDS = (stats,)
