"""sim observe, replay and calibrate: this installation's history, and what the simulator makes of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import context
from bot.cli.context import CliContext, json_option, print_json, print_problem
from bot.cli.sim_options import FILE, cluster_options, history_options, weights_option
from core.model.errors import NotFoundError

if TYPE_CHECKING:
    from bot.simulation.runs import PolicyRun
    from bot.simulation.scenario import BuiltScenario
    from core.simulator.trace import Request


@click.command()
@click.option("--since", metavar="T", help="Only what was ready since then: 7d, or a time.")
@click.option("--output", metavar="FILE", type=FILE, help="Write the trace there instead of printing it.")
@json_option
@click.pass_obj
def observe(home: CliContext, /, since: str | None, output: Path | None, as_json: bool) -> int:
    """Export what finished work took as a trace: when it arrived, its model, lane, tokens and times. No texts."""
    from bot.simulation.files import check_target, write_text
    from core.simulator.trace import write_trace

    check_target(output)
    requests = _history(home, None, since)
    text = write_trace(requests)
    if output is not None:
        write_text(output, text)
    if as_json:
        lanes, models = Counter(each.lane for each in requests), Counter(each.model for each in requests)
        where = {"file": str(output)} if output else {"csv": text}
        print_json({"requests": len(requests), "lanes": dict(lanes), "models": dict(models), **where})
    elif output is not None:
        click.echo(f"{len(requests)} requests are in {output}.")
    else:
        click.echo(text, nl=False)
    return 0


@click.command()
@history_options
@click.option("--nodes", metavar="SPEC", required=True, help="The endpoints of today, such as 2x48GB.")
@cluster_options
@weights_option
@json_option
@click.pass_obj
def calibrate(
    home: CliContext, /, trace: Path | None, since: str | None, weights: Path | None, as_json: bool, **what: Any
) -> int:
    """Compare a simulation of the endpoints of today with what happened; exits with 1 where it is off by over 15%."""
    from bot.simulation.replays import calibration_problem, replay_run
    from bot.simulation.scenario import ScenarioOptions, read_weights
    from bot.simulation.text_tables import print_calibration
    from core.simulator.calibration import TOLERANCE, compare

    requests = _history(home, trace, since)
    _, run = replay_run(requests, ScenarioOptions(**what), read_weights(weights), "today")
    calibration = compare(run.outcome)
    problem = calibration_problem(calibration)
    if as_json:
        error = {"error": problem.to_json()} if problem else {}
        print_json({**calibration.to_json(), "tolerance": TOLERANCE, **error})
    else:
        print_calibration(calibration)
    if problem is not None:
        return print_problem(problem)
    if not as_json:
        click.echo(f"The simulation agrees with what happened within {TOLERANCE:.0%}.")
    return 0


@click.command()
@history_options
@click.option("--today", metavar="SPEC", required=True, help="The endpoints of today, such as 2x48GB.")
@click.option("--nodes", metavar="SPEC", help="What if these were the endpoints? Such as 3x48GB.")
@click.option(
    "--without", metavar="MODEL", multiple=True, help="What if a model were gone? MODEL=OTHER: OTHER serves it."
)
@weights_option
@cluster_options
@click.option("--uncalibrated", is_flag=True, help="Answer although the simulation is off from what happened.")
@click.option("--html", metavar="FILE", type=FILE, help="Write a report with plots.")
@json_option
@click.pass_obj
def replay(
    home: CliContext,
    /,
    trace: Path | None,
    since: str | None,
    today: str,
    nodes: str | None,
    without: tuple[str, ...],
    weights: Path | None,
    uncalibrated: bool,
    html: Path | None,
    as_json: bool,
    **what: Any,
) -> int:
    """Ask the history "what if": other endpoints, a model less, other weights. Answers only where it is calibrated."""
    from bot.simulation.files import check_target
    from bot.simulation.replays import calibration_problem, replay_run, without_models
    from bot.simulation.runs import document_of
    from bot.simulation.scenario import ScenarioOptions, read_weights
    from core.scheduler.weights import Weights
    from core.simulator.calibration import compare

    check_target(html)
    new_weights = read_weights(weights)
    options = ScenarioOptions(nodes=nodes or today, **what)
    requests = _history(home, trace, since)
    _, before = replay_run(requests, ScenarioOptions(nodes=today, **what), Weights(), "today")
    calibration = compare(before.outcome)
    problem = calibration_problem(calibration)
    if problem is not None and not uncalibrated:
        return print_problem(problem, as_json=as_json)
    scenario, after = replay_run(without_models(requests, without), options, new_weights, "what if")
    runs = [before, after]
    document = {**document_of(scenario, options, new_weights, runs), "calibration": calibration.to_json()}
    _show_answer(scenario, document, runs, html, as_json=as_json)
    if problem is not None and not as_json:
        click.echo(f"\nThis is no advice: {problem.message}.")
    return 0


def _show_answer(
    scenario: BuiltScenario, document: dict[str, Any], runs: list[PolicyRun], html: Path | None, *, as_json: bool
) -> None:
    """Write the report if one is wanted, and print the document or the table."""
    from bot.simulation.html_report import write_page
    from bot.simulation.text_tables import print_heading, print_runs

    if html is not None:
        write_page(html, scenario, document, runs)
    if as_json:
        print_json(document)
        return
    print_heading(document)
    print_runs(runs)


def _history(home: CliContext, trace: Path | None, since: str | None) -> list[Request]:
    """The requests of an exported trace, or else of this installation; raises `NotFoundError` when there are none."""
    from core.simulator.trace import read_trace

    if trace is not None:
        return read_trace(trace)
    since_at = context.parse_time(since, past=True)

    async def work() -> list[Request]:
        async with home.open() as app:
            return list(await app.queue_history.trace(since_at))

    requests = context.run(work())
    if not requests:
        raise NotFoundError(
            "no_history",
            "No finished work has asked a model yet, so there is no history",
            "Let the queue work for a while, or name an exported one with --trace FILE.",
        )
    return requests


COMMANDS = (observe, replay, calibrate)
