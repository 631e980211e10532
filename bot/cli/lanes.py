"""The commands lane new, check, export, import, list, search and plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cards.safe import visible, visible_lines
from bot.cli.context import CliContext, json_option, print_json
from bot.cli.lane_plan import plan
from bot.configuration.lane_files import (
    check_sentences,
    effects_of,
    file_bytes,
    lane_bytes,
    lane_difference,
    lane_text,
    plugin_checks,
    read_lane,
    write_lane,
)

if TYPE_CHECKING:
    from bot.configuration.home import Home
    from core.model.lane import Lane


@click.group()
def lane() -> None:
    """Write, check, share and plan lanes."""


@lane.command()
@click.argument("name")
@click.option("--template", "template_name", default="blank", metavar="T", help="Start from T; see `lane search`.")
@json_option
@click.pass_obj
def new(context: CliContext, name: str, template_name: str, as_json: bool) -> int:
    """Create the lane NAME in the home from a template."""
    from lanes.templates import read_template, rename_lane

    home = context.home()
    home.check()
    text = rename_lane(read_template(template_name), name)
    created = read_lane(home, text.encode(), f"{name}.yaml").lane  # checked before the file is written
    path, rule = write_lane(home, name, text, f"{name}.yaml", replace=False)
    if as_json:
        print_json({"lane": name, "file": str(path), "template": template_name, "missing_rule": rule})
        return 0
    click.echo(f"Wrote {path}: {created.describe}.")
    _print_missing_rule(name, rule)
    return 0


@lane.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def check(context: CliContext, file: Path | None, as_json: bool) -> int:
    """Check FILE, or every lane of the home, and show the first mistake with file, line and key."""
    home = context.home()
    lanes = [read_lane(home, file_bytes(file), str(file)).lane] if file is not None else _checked_home(home)
    rows = [
        {"name": each.name, "file": each.source, "version": each.version, "steps": len(each.steps)} for each in lanes
    ]
    if as_json:
        print_json({"lanes": rows})
        return 0
    for row in rows:
        steps = f", {row['steps']} step{'s' if row['steps'] != 1 else ''}" if row["steps"] else ""
        click.echo(f"{visible(str(row['file']))}: the lane {row['name']} is valid (version {row['version']}{steps}).")
    return 0


@lane.command()
@click.argument("name")
@json_option
@click.pass_obj
def export(context: CliContext, name: str, as_json: bool) -> int:
    """Print a lane of the home, or a template, as one file with its digest."""
    from lanes.templates import export_lane

    home = context.home()
    carried = read_lane(home, *lane_bytes(home, name))
    text = export_lane(carried.text)
    if as_json:
        print_json({"lane": name, "version": carried.lane.version, "digest": carried.digest, "text": text})
    else:
        click.echo(text, nl=False)
    return 0


@lane.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--replace", is_flag=True, help="Replace a lane of this name.")
@json_option
@click.pass_obj
def import_(context: CliContext, file: Path, replace: bool, as_json: bool) -> int:
    """Add a lane from FILE (- for standard input), and show what it may write and what it runs."""
    from core.strict_yaml.document import MAX_BYTES

    home = context.home()
    home.check()
    source = "standard input" if str(file) == "-" else str(file)
    carried = read_lane(home, sys.stdin.buffer.read(MAX_BYTES + 1) if str(file) == "-" else file_bytes(file), source)
    difference = lane_difference(home, carried.lane.name, carried.text)
    click.echo(visible_lines(difference), nl=False, err=True)  # on stderr: also before what it differs from is kept
    path, rule = write_lane(home, carried.lane.name, carried.text, source, replace=replace)
    effects = effects_of(carried.lane)
    if as_json:
        signed = {"digest": carried.digest, "digest_was_named": carried.signed}
        print_json({"lane": carried.lane.name, "file": str(path), **signed, **effects, "missing_rule": rule})
        return 0
    comparison = "as its first line says" if carried.signed else "which the file did not name"
    click.echo(f"Imported {carried.lane.name} into {path}, digest {carried.digest[:12]}, {comparison}.")
    click.echo(f"  may write: {visible(', '.join(effects['writes']))}")
    for line in effects["runs"]:
        click.echo("  runs: " + visible_lines(line).replace("\n", "\n        "))
    if effects["hosts"]:
        click.echo(f"  may reach: {visible(', '.join(effects['hosts']))}")
    _print_missing_rule(carried.lane.name, rule)
    return 0


@lane.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> int:
    """List the lanes of the home, and who may use each."""
    from bot.configuration.live_settings import load_settings
    from core.rules.planning import people_allowed_in

    settings = load_settings(context.home())
    rows = [
        {**_row(each), "people": people_allowed_in(settings, each.name)} for _, each in sorted(settings.lanes.items())
    ]
    if as_json:
        print_json(rows)
        return 0
    for row in rows:
        people = ", ".join(row["people"]) or "no one: no rule allows it"
        click.echo(
            f"{row['name']} (version {row['version']}, {row['executor']}): {visible(row['describe'])}; for {people}"
        )
    return 0


@lane.command()
@click.argument("word", default="")
@json_option
@click.pass_obj
def search(context: CliContext, word: str, as_json: bool) -> int:
    """List the lanes of the home and the built-in templates that contain WORD; all of them without WORD."""
    from lanes.registry import load_lanes
    from lanes.templates import import_lane, list_templates

    candidates = [("template", import_lane(text.encode(), name).lane) for name, text in list_templates().items()]
    folder = context.home().lanes
    if folder.is_dir():
        candidates += [("home", each) for _, each in sorted(load_lanes(folder, plugin_checks(context.home())).items())]
    rows = [{"where": where, **_row(each)} for where, each in candidates if word.casefold() in lane_text(each)]
    if as_json:
        print_json(rows)
        return 0
    for row in rows:
        click.echo(f"{row['name']} ({row['where']}): {visible(row['describe'])}")
    if not rows:
        click.echo("No lane contains that word; `countersign lane search` lists all.")
    return 0


lane.add_command(plan)
COMMANDS = (lane,)


def _checked_home(home: Home) -> list[Lane]:
    from bot.configuration.live_settings import load_settings

    home.check()
    settings = load_settings(home)
    for each in settings.lanes.values():
        check_sentences(each)
    return [each for _, each in sorted(settings.lanes.items())]


def _print_missing_rule(name: str, rule: str | None) -> None:
    if rule is None:
        return
    click.echo(
        f"No rule allows the lane {name} yet, so it cannot be used. Add one to policy.yaml, below `rules:`:\n{rule}"
    )


def _row(of: Lane) -> dict[str, Any]:
    parameters = [each.name for each in of.parameters]
    return {
        "name": of.name,
        "version": of.version,
        "executor": of.executor,
        "describe": of.describe,
        "parameters": parameters,
    }
