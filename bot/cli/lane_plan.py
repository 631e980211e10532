"""lane plan: which steps of a lane run in parallel, the critical path, and what policy decides about a request."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from bot.cli.context import SURFACE, CliContext, json_option, print_json, run, speaker
from core.model.errors import UsageError

if TYPE_CHECKING:
    from core.model.lane import Lane
    from core.model.workflow import WorkflowStep
    from core.rules.planning import RequestPlan
    from lanes.workflow.plan import WorkflowPlan


@click.command()
@click.argument("name")
@click.option("--took", multiple=True, metavar="STEP=SECONDS", help="How long a step took; the default is its limit.")
@click.option("--as", "person", metavar="PERSON", help="Also show what policy decides about a request by this person.")
@click.option("--repo", metavar="NAME", help="The repository of that request.")
@json_option
@click.pass_obj
def plan(
    context: CliContext, name: str, took: tuple[str, ...], person: str | None, repo: str | None, as_json: bool
) -> int:
    """Show which steps of a lane run in parallel, and the critical path."""
    from bot.cli.explanation import policy_line
    from bot.configuration.lane_files import lane_bytes, read_lane
    from bot.interpret.explanation import explanation_of
    from lanes.workflow.plan import plan_workflow, step_durations

    lane = read_lane(context.home(), *lane_bytes(context.home(), name)).lane
    if not lane.steps:
        raise UsageError("no_steps", f"the lane {name} has one step, its executor {lane.executor}", "Nothing to plan.")
    measured = _seconds(lane, took)
    durations = step_durations(lane.steps, lane.limits.wall_s, measured)
    layout = plan_workflow(lane.steps, durations)
    request = _request(context, name, person, repo) if person or repo else None
    if as_json:
        steps = [
            {
                "name": step.name,
                "run": step.run,
                "needs": step.needs,
                "when": step.when,
                "measured": step.name in measured,
            }
            for step in lane.steps
        ]
        policy = {"policy": explanation_of(request)} if request else {}
        document = {"lane": name, "version": lane.version, "durations_s": durations, "steps": steps, **layout.to_json()}
        print_json({**document, **policy})
    else:
        _show(lane, layout, durations, measured)
        if request is not None:
            click.echo(policy_line(request))
    return 0


def _request(context: CliContext, lane: str, person: str | None, repo: str | None) -> RequestPlan:
    """The plan for any request in the lane: its steps, not the request's text, decide what is done."""
    from bot.interpret.explanation import one_repository
    from core.rules.planning import ANYTHING, RequestOrigin

    async def work() -> RequestPlan:
        async with context.open() as app:
            actor = speaker(app, person)
            repository = one_repository(app.settings(), actor, repo)
            return await app.preview.plan(RequestOrigin(actor.person or "", SURFACE, repository, lane), ANYTHING)

    return run(work())


def _show(lane: Lane, layout: WorkflowPlan, durations: Mapping[str, float], measured: Mapping[str, float]) -> None:
    from bot.surfaces.terminal.layout import grid
    from bot.surfaces.terminal.profile import ACCENT, detect_profile, write_items

    look = detect_profile(sys.stdout)
    steps = {step.name: step for step in lane.steps}
    table = grid("right", "fixed", "fixed", "fixed", "right", "flow")
    for n, layer in enumerate(layout.layers, 1):
        for m, name in enumerate(layer.steps):
            step, critical = steps[name], name in layout.critical_path
            time = "" if layer.approval else _time(name, durations, measured)
            table.add_row(
                look.text((str(n) if m == 0 else "", "dim")),
                look.text(("*" if critical else " ", f"bold {ACCENT}")),
                look.text((name, "bold" if critical else "")),
                look.text((step.run, "dim")),
                look.text(time),
                look.text((_more(step), "dim")),
            )
    path = f"critical path (*): {' → '.join(layout.critical_path)}"
    sums = f"{_sum(layout.critical_s, measured, layout.critical_path, steps)}; in sequence "
    sums += _sum(layout.total_s, measured, steps, steps)
    last = [look.text(path), look.text(sums)]
    if any(layer.approval for layer in layout.layers):
        last.append(look.text(("The time until people approve is not counted.", "dim")))
    write_items(
        sys.stdout, look, [look.text((f"{lane.name}, version {lane.version}: {_layers(layout)}", "bold")), table, *last]
    )


def _layers(layout: WorkflowPlan) -> str:
    """The number of steps and layers, in words."""
    count = sum(len(layer.steps) for layer in layout.layers)
    if count == 1:
        return "1 step"
    deep = len(layout.layers)
    return f"{count} steps, " + ("in parallel" if deep == 1 else f"in {deep} layers, one after the other")


def _time(name: str, durations: Mapping[str, float], measured: Mapping[str, float]) -> str:
    """How long a step took, or may at most take."""
    return f"{durations[name]:g} s" if name in measured else f"at most {durations[name]:g} s"


def _sum(total_s: float, measured: Mapping[str, float], names: Iterable[str], steps: Mapping[str, WorkflowStep]) -> str:
    is_exact = all(name in measured or steps[name].run == "approval" for name in names)
    return f"{total_s:g} s" if is_exact else f"at most {total_s:g} s"


def _more(step: WorkflowStep) -> str:
    """What a step waits for, its condition, and what an approval asks."""
    notes = [f"after {', '.join(step.needs)}"] if step.needs else []
    if step.when:
        notes.append(f"when {step.when}")
    if step.run == "approval":
        notes.append(step.do or "a person looks at all of the above")
    return "; ".join(notes)


def _seconds(lane: Lane, took: tuple[str, ...]) -> dict[str, float]:
    from bot.cli.requests import parse_pairs

    seconds: dict[str, float] = {}
    for name, text in parse_pairs(took).items():
        if name not in {step.name for step in lane.steps}:
            raise UsageError("no_such_step", f"the lane {lane.name} has no step {name!r}", "See them with lane plan.")
        try:
            seconds[name] = float(text)
        except ValueError as error:
            raise UsageError("bad_time", f"{text!r} is not a number of seconds", "Write --took STEP=12.5.") from error
        if not 0 <= seconds[name] < 1e9:
            raise UsageError("bad_time", f"{text!r} is not a number of seconds", "Write --took STEP=12.5.")
    return seconds
