"""sim run: simulates policies on a trace or a generated workload. Needs no home and no database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bot.cli.context import json_option, print_json

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)
SEED = click.IntRange(0, 2**31 - 2)
_DEFAULT = "run"


class SimGroup(click.Group):
    """A group whose command `run` may be left out: ``sim --trace FILE`` is ``sim run --trace FILE``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` before options that are its own."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=SimGroup)
def sim() -> None:
    """Simulate the queue: other GPUs, other models, other weights, other policies."""


def cluster_options(command: F) -> F:
    """The options that say what is simulated on which endpoints."""
    for option in (
        click.option("--contention", metavar="C", type=float, default=0.0, help="Speed lost while loading (0 to 1)."),
        click.option("--models", metavar="FILE", type=FILE, help="Sizes and speeds of models, as CSV or YAML."),
        click.option("--seed", metavar="S", type=SEED, default=0, show_default=True, help="For all that is random."),
        click.option("--weights", metavar="FILE", type=FILE, help="Weights of Countersign's policy, as JSON."),
    ):
        command = option(command)
    return command


@sim.command()
@click.option("--trace", metavar="FILE", type=FILE, help="Requests: Countersign's CSV, Azure's or Mooncake's format.")
@click.option("--workload", type=click.Choice(["eight", "bursty"]), help="Generated requests instead of a trace.")
@click.option("--requests", metavar="N", type=click.IntRange(1, 10_000_000), default=6000, help="How many to generate.")
@click.option("--policy", "policies", metavar="NAME", multiple=True, help="A policy, or `all`; repeatable.")
@click.option("--nodes", metavar="SPEC", default="2x48GB", show_default=True, help="Endpoints: 2x48GB, a=24GB,b=80GB.")
@click.option("--load", metavar="RHO", type=float, help="Scale arrivals until the work fills this share (0.45).")
@click.option("--windows", metavar="N", type=click.IntRange(1, 1000), help="How many windows are labelled.")
@click.option("--html", metavar="FILE", type=FILE, help="Write a report with plots.")
@cluster_options
@json_option
def run(
    as_json: bool, html: Path | None, windows: int | None, policies: tuple[str, ...], weights: Path | None, **what: Any
) -> int:
    """Run policies on a trace or a workload, and compare their waits, loads and fairness."""
    from bot.simulation.html_report import check_target, write_page
    from bot.simulation.progress import ProgressLine
    from bot.simulation.runs import chosen_policies, document_of, run_policies
    from bot.simulation.scenario import ScenarioOptions, build_scenario, read_weights
    from bot.simulation.text_tables import print_heading, print_runs

    options, chosen, policy_weights = ScenarioOptions(**what), chosen_policies(policies), read_weights(weights)
    check_target(html)
    scenario = build_scenario(options)
    with ProgressLine() as line:
        total = len(scenario.requests)
        runs = run_policies(
            scenario,
            chosen,
            policy_weights,
            windows,
            lambda policy, finished: line.update(f"{policy}: {finished} of {total} requests"),
        )
    document = document_of(scenario, options, policy_weights, runs)
    if html is not None:
        write_page(html, scenario, document, runs)
    if as_json:
        print_json(document)
        return 0
    print_heading(document)
    print_runs(runs)
    if html is not None:
        click.echo(f"\nThe report with plots is {html}.")
    return 0


COMMANDS = (sim,)
