"""lane plan: which steps of a lane run side by side, and the critical path."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from bot.cli.context import CliContext, json_option, say_json
from core.model.errors import UsageError

if TYPE_CHECKING:
    from core.model.lane import Lane
    from core.model.workflow import WorkflowStep
    from lanes.workflow.plan import WorkflowPlan


@click.command()
@click.argument("name")
@click.option("--took", multiple=True, metavar="STEP=SECONDS", help="How long a step took; else its limit counts.")
@json_option
@click.pass_obj
def plan(door: CliContext, name: str, took: tuple[str, ...], as_json: bool) -> int:
    """Show which steps of a lane run side by side, and the critical path."""
    from bot.cli.lane_files import bytes_named, carried
    from lanes.workflow.plan import plan_workflow, step_durations

    found = carried(door, *bytes_named(door, name)).lane
    if not found.steps:
        raise UsageError("no_steps", f"the lane {name} has one step, its executor {found.executor}", "Nothing to plan.")
    measured = _seconds(found, took)
    durations = step_durations(found.steps, found.limits.wall_s, measured)
    made = plan_workflow(found.steps, durations)
    if as_json:
        steps = [
            {"name": one.name, "run": one.run, "needs": one.needs, "when": one.when, "measured": one.name in measured}
            for one in found.steps
        ]
        say_json({"lane": name, "version": found.version, "durations_s": durations, "steps": steps, **made.to_json()})
    else:
        _show(found, made, durations, measured)
    return 0


def _show(found: Lane, made: WorkflowPlan, durations: Mapping[str, float], measured: Mapping[str, float]) -> None:
    from bot.surfaces.terminal.layout import grid
    from bot.surfaces.terminal.look import ACCENT, look_of, write

    look = look_of(sys.stdout)
    steps = {step.name: step for step in found.steps}
    table = grid("right", "fixed", "fixed", "fixed", "right", "flow")
    for n, layer in enumerate(made.layers, 1):
        for m, name in enumerate(layer.steps):
            step, critical = steps[name], name in made.critical_path
            time = "" if layer.approval else _time(name, durations, measured)
            table.add_row(
                look.text((str(n) if m == 0 else "", "dim")),
                look.text(("*" if critical else " ", f"bold {ACCENT}")),
                look.text((name, "bold" if critical else "")),
                look.text((step.run, "dim")),
                look.text(time),
                look.text((_more(step), "dim")),
            )
    path = f"critical path (*): {' → '.join(made.critical_path)}"
    sums = f"{_sum(made.critical_s, measured, made.critical_path, steps)}; one by one "
    sums += _sum(made.total_s, measured, steps, steps)
    last = [look.text(path), look.text(sums)]
    if any(layer.approval for layer in made.layers):
        last.append(look.text(("The time that people take to approve is not counted.", "dim")))
    write(
        sys.stdout, look, [look.text((f"{found.name}, version {found.version}: {_layers(made)}", "bold")), table, *last]
    )


def _layers(made: WorkflowPlan) -> str:
    """How many steps, and how deep the plan is, in words."""
    count = sum(len(layer.steps) for layer in made.layers)
    if count == 1:
        return "1 step"
    deep = len(made.layers)
    return f"{count} steps, " + ("side by side" if deep == 1 else f"in {deep} layers, one after the other")


def _time(name: str, durations: Mapping[str, float], measured: Mapping[str, float]) -> str:
    """How long a step took, or may at most take."""
    return f"{durations[name]:g} s" if name in measured else f"at most {durations[name]:g} s"


def _sum(total_s: float, measured: Mapping[str, float], names: Iterable[str], steps: Mapping[str, WorkflowStep]) -> str:
    known = all(name in measured or steps[name].run == "approval" for name in names)
    return f"{total_s:g} s" if known else f"at most {total_s:g} s"


def _more(step: WorkflowStep) -> str:
    """What a step waits for, and when it is left out."""
    said = [f"after {', '.join(step.needs)}"] if step.needs else []
    if step.when:
        said.append(f"when {step.when}")
    if step.run == "approval":
        said.append(step.do or "a person looks at all of the above")
    return "; ".join(said)


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
