"""The command plugins list."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bot.cli.context import CliContext, json_option, print_json, print_problem
from core.model.errors import Kind, Problem

RIGHTS = "An enabled plugin runs with Countersign's own rights. Changes of `plugins:` take effect at the next start."
Row = Mapping[str, Any]


@click.group()
def plugins() -> None:
    """Show which plugins are installed and which of them countersign.yaml enables."""


@plugins.command(name="list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> int:
    """List the plugins that are installed or enabled, without importing them."""
    rows = _rows(_enabled(context))
    if as_json:
        print_json({"plugins": rows, "note": RIGHTS})
    else:
        _show(rows)
    problems = [Problem(Kind.USAGE, "plugin", *row["problem"].values()) for row in rows if row["problem"]]
    return max([print_problem(problem) for problem in dict.fromkeys(problems)], default=0)


def _enabled(context: CliContext) -> set[tuple[str, str]]:
    """The kinds and names that the home's configuration enables, even if other sections are not valid."""
    from bot.plugins.find import KINDS
    from bot.plugins.settings import RawPlugins
    from core.strict_yaml import StrictModel, load, validate

    class Section(StrictModel):
        plugins: RawPlugins = RawPlugins()

    home = context.home()
    home.check()
    document = load(home.config)
    if not isinstance(document.tree, dict):
        return set()
    from dataclasses import replace

    section = replace(document, tree={key: value for key, value in document.tree.items() if key == "plugins"})
    enabled = validate(section, Section).plugins
    return {(kind, name) for kind in KINDS for name in enabled.of(kind)}


def _rows(enabled: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """A row for each plugin that is installed, and for each that is enabled but not installed."""
    from bot.plugins.find import KINDS, installed_plugins
    from bot.plugins.settings import obstacle

    rows = [
        _row(plugin.kind, plugin.name, enabled, plugin.distribution, plugin.version) for plugin in installed_plugins()
    ]
    installed = {(row["kind"], row["name"]) for row in rows}
    rows += [_row(kind, name, enabled, None, None) for kind, name in enabled - installed]
    for row in rows:
        problem = obstacle(row["kind"], row["name"]) if row["enabled"] else None
        row["problem"] = {"message": problem[0], "mend": problem[1]} if problem else None
    return sorted(rows, key=lambda row: (KINDS.index(row["kind"]), row["name"], row["distribution"] or ""))


def _row(
    kind: str, name: str, enabled: set[tuple[str, str]], distribution: str | None, version: str | None
) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "installed": distribution is not None,
        "enabled": (kind, name) in enabled,
        "distribution": distribution,
        "version": version,
    }


def _show(rows: Sequence[Row]) -> None:
    from bot.cards.safe import visible
    from bot.surfaces.terminal.layout import grid
    from bot.surfaces.terminal.profile import ACCENT, detect_profile, write_items

    if not rows:
        click.echo("No plugins are installed. docs/plugins.md explains how to install and write one.")
        return
    look = detect_profile(sys.stdout)
    table = grid("fixed", "fixed", "fixed", "fixed")
    for row in rows:
        source = f"{row['distribution']} {row['version']}" if row["installed"] else "not installed"
        state = "enabled" if row["enabled"] else "not enabled"
        cells = (look.text((visible(row["name"]), ACCENT)), look.text(row["kind"]), look.text(state))
        table.add_row(*cells, look.text((visible(source), "dim")))
    write_items(sys.stdout, look, [table, look.text(""), look.text((RIGHTS, "dim"))])


COMMANDS = (plugins,)
