"""The command audit export: what auditors ask for, as JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import CliContext, json_option, parse_time, print_json, run

if TYPE_CHECKING:
    from bot.verification.audit_export import AuditedChange, AuditedTime
    from bot.wiring.app import App


@click.group()
def audit() -> None:
    """Export what happened, for those who audit this home."""


@audit.command()
@click.option("--since", metavar="T", default="90d", help="From when on (default 90d).")
@click.option("--until", metavar="T", help="Until when (default: now).")
@click.option(
    "--profile",
    type=click.Choice(["events", "soc2"]),
    default="events",
    help="All events (the default), or every change of the branches with who asked, wrote, approved and merged.",
)
@click.option("--repo", metavar="NAME", help="Only this repository (soc2).")
@click.option("--repo-path", type=click.Path(path_type=Path), metavar="CLONE", help="Read this clone (soc2, --repo).")
@click.option("--csv", "as_csv", is_flag=True, help="Print the changes as CSV (soc2).")
@click.option("--check", is_flag=True, help="Exit with 1 if there is a gap.")
@json_option
@click.pass_obj
def export(context: CliContext, /, since: str, until: str | None, profile: str, as_csv: bool, **options: Any) -> int:
    """Export the audit trail: checked, with every gap named."""
    from bot.verification.audit_export import AuditedTime, events_document, trails

    _check_options(profile, as_csv, options)
    now = datetime.now(UTC)
    time = AuditedTime(parse_time(since, past=True) or now, parse_time(until, past=True) or now)

    async def work() -> int:
        async with context.open() as app:
            chains = await trails(app, time)
            if profile == "soc2":
                document = await _soc2(app, time, chains, options)
            else:
                document = events_document(time, chains)
        _print(document, as_json=options["as_json"], as_csv=as_csv)
        return 1 if options["check"] and document["gaps"] else 0

    return run(work())


def _check_options(profile: str, as_csv: bool, options: Mapping[str, Any]) -> None:
    from core.model.errors import UsageError

    if profile != "soc2" and (as_csv or options["repo"] or options["repo_path"]):
        raise UsageError("not_soc2", "--csv, --repo and --repo-path belong to --profile soc2", "Add --profile soc2.")
    if options["repo_path"] and not options["repo"]:
        raise UsageError("which_repository", "--repo-path needs --repo", "Name the repository of that clone.")
    if as_csv and options["as_json"]:
        raise UsageError("two_formats", "--csv and --json exclude each other", "Choose one.")


async def _soc2(app: App, time: AuditedTime, chains: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    from bot.verification.audit_export import population, soc2_document
    from core.model.errors import NotFoundError

    known = sorted(app.settings().repositories)
    if options["repo"] and options["repo"] not in known:
        raise NotFoundError("no_repository", f"there is no repository {options['repo']}", f"Known: {', '.join(known)}.")
    clone = options["repo_path"].expanduser().absolute() if options["repo_path"] else None
    changes: list[AuditedChange] = []
    for name in [options["repo"]] if options["repo"] else known:
        changes += await population(app, name, time, clone)
    return soc2_document(time, changes, chains)


def _print(document: Mapping[str, Any], *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(document)
    elif as_csv:
        click.echo(_csv(document["changes"]), nl=False)
    else:
        _print_summary(document)
    if as_csv:
        for gap in document["gaps"]:
            click.echo(f"gap: {gap}", err=True)


def _csv(rows: list[dict[str, Any]]) -> str:
    """The changes as CSV; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _cell(value: object) -> object:
    text = "; ".join(map(str, value)) if isinstance(value, list) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _print_summary(document: Mapping[str, Any]) -> None:
    from bot.cards.safe import one_line

    click.echo(f"From {document['since'][:16]} until {document['until'][:16]} UTC")
    chains = document["chains"]
    click.echo(f"{len(chains)} chains of events, {sum(1 for chain in chains if chain['fault'])} broken")
    if "changes" in document:
        noun = "change" if document["population"] == 1 else "changes"
        click.echo(f"{document['population']} {noun} on the branches, {document['countersigned']} countersigned")
        for row in document["changes"]:
            task = f"#{row['task']}" if row["task"] else "no task"
            approved = ", ".join(row["approved_by"] or []) or "no one"
            click.echo(f"  {row['commit'][:12]}  {task:8}  approved by {approved}: {one_line(row['subject'], 60)}")
    else:
        click.echo(f"{len(document['events'])} events; print them with --json")
    for gap in document["gaps"]:
        click.echo(f"gap: {one_line(gap, 200)}")
    if not document["gaps"]:
        click.echo("No gaps.")


COMMANDS = (audit,)
