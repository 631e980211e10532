"""The command stats: what was done in a time, how long it waited and ran, what models cost, and how GPUs were used."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import CliContext, json_option, parse_time, print_json, run

if TYPE_CHECKING:
    from core.model.objective import ObjectiveResult

_PHASES = {
    "queued": "waited for a worker",
    "model_wait": "waited for a model",
    "model_use": "used a model",
    "work": "other work",
}


@click.command()
@click.option("--since", metavar="T", default="24h", help="Counts what happened since then (default 24h).")
@click.option(
    "--by",
    type=click.Choice(["lane", "model", "person"]),
    default="lane",
    help="Group waits and runs by lane, model or person (default lane).",
)
@click.option(
    "--gate",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Check the objectives of a file; exits 1 if one is missed.",
)
@json_option
@click.pass_obj
def stats(context: CliContext, since: str, by: str, gate: Path | None, as_json: bool) -> int:
    """Count tasks, jobs and events; show waits, runs, loads of models and GPU use; sum up what models cost."""
    begin = parse_time(since, past=True)
    if gate is not None:
        return run(_gate(context, gate, as_json=as_json))

    async def work() -> int:
        from core.services.queue_statistics import Grouping

        async with context.open() as app:
            counts = await app.home_checks.counts(begin)
            spending = [total.to_json() for total in await app.spending.since(begin)]
            figures = await app.queue_statistics.figures(begin, Grouping(by))
            period = await app.period_statistics.since(begin)
        document = {**counts.to_json(), "spending": spending, **figures.to_json(), **period.to_json()}
        print_json(document) if as_json else _print(document)
        return 0

    return run(work())


async def _gate(context: CliContext, file: Path, *, as_json: bool) -> int:
    """Check the objectives of a file: 0 if all are met, 1 with a sentence for each that is missed."""
    from bot.alerts.alert_text import missed_sentence
    from bot.alerts.objectives_file import load_objectives

    objectives = load_objectives(file).objectives
    async with context.open() as app:
        results = await app.objective_evaluation.evaluate(objectives)
    missed = [result for result in results if not result.is_met]
    if as_json:
        print_json({"met": not missed, "objectives": [result.to_json() for result in results]})
    else:
        _print_objectives(results)
    for result in missed:
        click.echo(f"countersign: {missed_sentence(result)}", err=True)
    return 1 if missed else 0


def _print_objectives(results: Sequence[ObjectiveResult]) -> None:
    from bot.surfaces.terminal.statistics import print_objectives

    if results:
        print_objectives(sys.stdout, results)
    else:
        click.echo("The file has no objectives.")


def _print(document: Mapping[str, Any]) -> None:
    from bot.surfaces import terminal
    from bot.surfaces.terminal.statistics import print_endpoint_figures, print_times, print_waits

    since = f"{datetime.fromisoformat(document['since']):%Y-%m-%d %H:%M} UTC"
    terminal.print_counts(sys.stdout, "Tasks", document["tasks"] or {"none": 0})
    terminal.print_counts(sys.stdout, "Jobs", document["jobs"] or {"none": 0})
    if document["queue"]["groups"]:
        print_waits(sys.stdout, f"Waits and runs by {document['queue']['by']} since {since}", document["queue"])
    if document["phases"]:
        rows = [{"name": _PHASES[name], **times} for name, times in document["phases"].items()]
        print_times(sys.stdout, "Phases of jobs", "", rows)
    if document["approvals"]:
        rows = [{"name": row["person"], "count": row["verdicts"], **row} for row in document["approvals"]]
        print_times(sys.stdout, "From the staged diff to a verdict", "verdicts", rows)
    if document["critical_steps"]:
        rows = [{"name": row["step"], "count": row["runs"], **row} for row in document["critical_steps"]]
        print_times(sys.stdout, "Steps that decided how long workflows took", "runs", rows)
    if document["errors"]:
        terminal.print_counts(sys.stdout, "Failed tasks by cause", document["errors"])
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
