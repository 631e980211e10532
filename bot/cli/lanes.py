"""Lanes as files: lane new, check, export, import, list, search and plan."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cards.safe import visible, visible_lines
from bot.cli.frame import Door, json_option, say_json
from core.errors import ConflictError, NotFoundError, UsageError

if TYPE_CHECKING:
    from core.lane import Lane
    from core.settings import Settings
    from lanes.workflow.plan import Plan


@click.group()
def lane() -> None:
    """Write, check, share and plan lanes."""


@lane.command()
@click.argument("name")
@click.option("--template", "chosen", default="blank", metavar="T", help="Begin with this one; see `lane search`.")
@json_option
@click.pass_obj
def new(door: Door, name: str, chosen: str, as_json: bool) -> int:
    """Write a lane file NAME into the home, from a template."""
    from lanes.templates import imported, renamed, template

    home = door.home()
    home.check()
    text = renamed(template(chosen), name)
    path = home.lanes / f"{name}.yaml"
    made = imported(text.encode(), f"{name}.yaml").lane  # before the file is there: a bad name leaves nothing
    _write(path, text, replace=False)
    rule = _missing_rule(door, name)
    if as_json:
        say_json({"lane": name, "file": str(path), "template": chosen, "missing_rule": rule})
        return 0
    click.echo(f"Wrote {path}: {made.describe}.")
    _tell_missing(name, rule)
    return 0


@lane.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def check(door: Door, file: Path | None, as_json: bool) -> int:
    """Read FILE, or every lane of the home, and name the first mistake: file, line and key."""
    found = [_checked_file(file)] if file is not None else _checked_home(door)
    rows = [
        {"name": each.name, "file": each.source, "version": each.version, "steps": len(each.steps)} for each in found
    ]
    if as_json:
        say_json({"lanes": rows})
        return 0
    for row in rows:
        steps = f", {row['steps']} steps" if row["steps"] else ""
        click.echo(f"{visible(str(row['file']))}: the lane {row['name']} is sound (version {row['version']}{steps}).")
    return 0


@lane.command()
@click.argument("name")
@json_option
@click.pass_obj
def export(door: Door, name: str, as_json: bool) -> int:
    """Print a lane of the home, or a template, as one file that says its digest."""
    from lanes.templates import digest_of, exported, imported, template

    path = door.home().lanes / f"{name}.yaml"
    text = path.read_text(encoding="utf-8") if "/" not in name and path.is_file() else template(name)
    carried = imported(text.encode(), f"{name}.yaml")
    if as_json:
        body = exported(text).partition("\n")[2]
        say_json({"lane": name, "version": carried.lane.version, "digest": digest_of(body), "text": exported(text)})
    else:
        click.echo(exported(text), nl=False)
    return 0


@lane.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--replace", is_flag=True, help="Put it in the place of a lane of this name.")
@json_option
@click.pass_obj
def import_(door: Door, file: Path, replace: bool, as_json: bool) -> int:
    """Add a lane from FILE (- for standard input), and show what it may write and what it runs."""
    from lanes.templates import imported

    home = door.home()
    home.check()
    raw = sys.stdin.buffer.read() if str(file) == "-" else _bytes_of(file)
    carried = imported(raw, "standard input" if str(file) == "-" else str(file))
    _check_sentences(carried.lane)
    path = home.lanes / f"{carried.lane.name}.yaml"
    _write(path, carried.text, replace=replace)
    rule = _missing_rule(door, carried.lane.name)
    shown = _shown(carried.lane)
    if as_json:
        signed = {"digest": carried.digest, "digest_was_named": carried.signed}
        say_json({"lane": carried.lane.name, "file": str(path), **signed, **shown, "missing_rule": rule})
        return 0
    named = "as its first line says" if carried.signed else "which its file did not name"
    click.echo(f"Imported {carried.lane.name} into {path}, digest {carried.digest[:12]}, {named}.")
    click.echo(f"  may write: {visible(', '.join(shown['writes']))}")
    for line in shown["runs"]:
        click.echo("  runs: " + visible_lines(line).replace("\n", "\n        "))
    if shown["hosts"]:
        click.echo(f"  may reach: {visible(', '.join(shown['hosts']))}")
    _tell_missing(carried.lane.name, rule)
    return 0


@lane.command("list")
@json_option
@click.pass_obj
def list_(door: Door, as_json: bool) -> int:
    """List the lanes of the home, and who may use each."""
    from bot.config import load_settings

    settings = load_settings(door.home())
    rows = [{**_row(each), "people": _people_of(settings, each.name)} for _, each in sorted(settings.lanes.items())]
    if as_json:
        say_json(rows)
        return 0
    for row in rows:
        who = ", ".join(row["people"]) or "nobody: no rule opens it"
        click.echo(
            f"{row['name']} (version {row['version']}, {row['executor']}): {visible(row['describe'])}; for {who}"
        )
    return 0


@lane.command()
@click.argument("word", default="")
@json_option
@click.pass_obj
def search(door: Door, word: str, as_json: bool) -> int:
    """Find lanes of the home and built-in templates by a WORD of theirs; without one, all of them."""
    from lanes.registry import load_lanes
    from lanes.templates import imported, templates

    found = [("template", imported(text.encode(), name).lane) for name, text in templates().items()]
    folder = door.home().lanes
    if folder.is_dir():
        found += [("home", each) for _, each in sorted(load_lanes(folder).items())]
    rows = [{"where": where, **_row(each)} for where, each in found if word.casefold() in _words(each)]
    if as_json:
        say_json(rows)
        return 0
    for row in rows:
        click.echo(f"{row['name']} ({row['where']}): {visible(row['describe'])}")
    if not rows:
        click.echo("No lane has that word; `countersign lane search` lists all.")
    return 0


@lane.command()
@click.argument("name")
@click.option("--took", multiple=True, metavar="STEP=SECONDS", help="How long a step took; else its limit counts.")
@json_option
@click.pass_obj
def plan(door: Door, name: str, took: tuple[str, ...], as_json: bool) -> int:
    """Show which steps of a lane run side by side, and the critical path."""
    from lanes.workflow.plan import durations_of, plan_of

    found = _lane_called(door, name)
    if not found.steps:
        raise UsageError("no_steps", f"the lane {name} has one step, its executor {found.executor}", "Nothing to plan.")
    durations = durations_of(found.steps, found.limits.wall_s, _seconds(found, took))
    made = plan_of(found.steps, durations)
    if as_json:
        say_json({"lane": name, "version": found.version, "durations_s": durations, **made.to_json()})
    else:
        _show_plan(found, made, durations)
    return 0


def _layers(count: int) -> str:
    """How deep a plan is, in words."""
    return "all steps side by side" if count == 1 else f"{count} layers, one after the other"


COMMANDS = (lane,)


def _show_plan(found: Lane, made: Plan, durations: dict[str, float]) -> None:
    click.echo(f"{found.name}, version {found.version}: {_layers(len(made.layers))}")
    needs = {step.name: step.needs for step in found.steps}
    for n, layer in enumerate(made.layers, 1):
        if layer.approval:
            click.echo(f"{n:3}  approval {layer.steps[0]}: a person looks at all of the above")
            continue
        for m, name in enumerate(layer.steps):
            after = f"  after {', '.join(needs[name])}" if needs[name] else ""
            mark = "*" if name in made.critical else " "
            click.echo(f"{n if m == 0 else '':3} {mark}{name:<24} {durations[name]:>8g} s{after}")
    click.echo(f"critical path (*): {' → '.join(made.critical)}, {made.critical_s:g} s of {made.total_s:g} s in all")


def _seconds(found: Lane, took: tuple[str, ...]) -> dict[str, float]:
    from bot.cli.requests import pairs

    seconds: dict[str, float] = {}
    for name, text in pairs(took).items():
        if name not in {step.name for step in found.steps}:
            raise UsageError("no_such_step", f"the lane {found.name} has no step {name!r}", "See them with lane plan.")
        try:
            seconds[name] = float(text)
        except ValueError as error:
            raise UsageError("bad_time", f"{text!r} is no number of seconds", "Write --took STEP=12.5.") from error
        if not 0 <= seconds[name] < 1e9:
            raise UsageError("bad_time", f"{text!r} is no number of seconds", "Write --took STEP=12.5.")
    return seconds


def _lane_called(door: Door, name: str) -> Lane:
    """A lane of the home, else a template; raises `NotFoundError`."""
    from lanes.registry import load_lane
    from lanes.templates import imported, templates

    path = door.home().lanes / f"{name}.yaml"
    if "/" not in name and path.is_file():
        return load_lane(path)
    found = templates()
    if name not in found:
        raise NotFoundError("no_such_lane", f"there is no lane and no template called {name!r}", "See `lane search`.")
    return imported(found[name].encode(), name).lane


def _checked_file(file: Path) -> Lane:
    from lanes.templates import imported

    carried = imported(_bytes_of(file), str(file))
    _check_sentences(carried.lane)
    return carried.lane


def _checked_home(door: Door) -> list[Lane]:
    from bot.config import load_settings

    home = door.home()
    home.check()
    settings = load_settings(home)
    for each in settings.lanes.values():
        _check_sentences(each)
    return [each for _, each in sorted(settings.lanes.items())]


def _check_sentences(found: Lane) -> None:
    """Raise `ConfigError` for globs that the policy refuses, and for edit steps whose sentence nobody understands."""
    from bot.grammar import read_sentence
    from core.errors import ConfigError
    from core.workflow import EDIT
    from lanes.workflow.fill import edits, stand_ins
    from policies.policy import check_lane

    check_lane(found)
    for n, step in enumerate(found.steps):
        if step.run != EDIT:
            continue
        try:
            edits(step.do, found.parameters, stand_ins(found.parameters), read_sentence)
        except UsageError as error:
            told = error.problem
            raise ConfigError(found.source, None, f"steps[{n}].do", told.message, told.mend) from error
        except ValueError as error:
            mend = "Put each parameter where a value stands."
            raise ConfigError(found.source, None, f"steps[{n}].do", str(error).rstrip("."), mend) from error


def _missing_rule(door: Door, name: str) -> str | None:
    """The rule to add to policy.yaml when none opens the lane to anybody, else None."""
    from bot.config import load_settings

    if _people_of(load_settings(door.home()), name):
        return None
    return (
        f"  - name: {name}-changes\n    when: {{lane: {name}, from: [member, maintainer]}}\n"
        "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
    )


def _people_of(settings: Settings, name: str) -> list[str]:
    """Everybody whom a rule lets into the lane, in some repository, from the terminal or a chat."""
    from core.decision import Petition
    from core.turn import SURFACES

    return [
        person
        for person in sorted(settings.people.by_name)
        if any(
            name in settings.policy.open_lanes(Petition(person, surface, repository, (), name, deterministic=False))
            for repository in settings.repositories
            for surface in sorted(SURFACES)
        )
    ]


def _tell_missing(name: str, rule: str | None) -> None:
    if rule is None:
        return
    click.echo(
        f"No rule opens the lane {name}, so it does nothing yet. Add one to policy.yaml, below `rules:`:\n{rule}"
    )


def _row(found: Lane) -> dict[str, Any]:
    parameters = [each.name for each in found.parameters]
    return {
        "name": found.name,
        "version": found.version,
        "executor": found.executor,
        "describe": found.describe,
        "parameters": parameters,
    }


def _shown(found: Lane) -> dict[str, list[str]]:
    """What a lane may write, and each thing that it runs."""
    runs = [f"{step.name}: {step.run} {_does(step.command, step.do)}".rstrip() for step in found.steps]
    runs = runs or [f"{found.executor} {_does(found.command, '')}".rstrip()]
    runs += [f"check {each.name}: {_does(each.command, '')}" for each in found.checks]
    if found.agent is not None:
        runs.append(f"agent: {_does(found.agent.argv, '')}")
    return {"writes": list(found.write), "runs": runs, "hosts": list(found.isolation.hosts)}


def _does(command: Sequence[str], do: str) -> str:
    import shlex

    return shlex.join(command) if command else do


def _words(found: Lane) -> str:
    """Everything of a lane that a search looks in."""
    steps = [f"{step.name} {step.run} {step.do}" for step in found.steps]
    return " ".join([found.name, found.describe, found.executor, *found.write, *steps]).casefold()


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError("no_such_file", f"there is no file {file}", "Check its path.") from error


def _write(path: Path, text: str, *, replace: bool) -> None:
    """Write a lane's file whole or not at all; raises `ConflictError` when another is there."""
    if path.exists() and path.read_text(encoding="utf-8") != text and not replace:
        mend = "Rename one of them, or say --replace (import) once you have compared both."
        raise ConflictError("lane_exists", f"{path} is there already, and says something else", mend)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
