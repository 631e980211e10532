"""sim tune: searches weights of the policy on some scenarios and checks them on others."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import json_option, print_json
from bot.cli.sim_options import FILE, NODES_HELP, WORKLOADS, cluster_options, load_option, number_option, weights_option

if TYPE_CHECKING:
    from bot.simulation.tuning_plan import TuningPlan
    from core.scheduler.weights import Weights
    from core.simulator.tuning import Tuning


@click.command()
@click.option("--trace", "traces", metavar="FILE", type=FILE, multiple=True, help="Train on a trace; repeatable.")
@click.option("--held-out", metavar="FILE", type=FILE, multiple=True, help="Check on this trace; repeatable.")
@click.option("--workload", "workloads", type=WORKLOADS, multiple=True, help="Train on generated requests; repeatable.")
@number_option("--requests", 1500, 1_000_000, "At most so many of each trace or workload.", least=20)
@number_option("--seeds", 2, 100, "How many seeds of each.")
@number_option("--evaluations", 60, 100_000, "How many weights each search tries.")
@click.option("--nodes", metavar="SPEC", default="2x48GB", show_default=True, help=NODES_HELP)
@load_option
@cluster_options
@weights_option
@click.option("--output", metavar="FILE", type=FILE, help="Write better weights there, for `sim run --weights`.")
@json_option
def tune(
    traces: tuple[Path, ...],
    held_out: tuple[Path, ...],
    workloads: tuple[str, ...],
    seeds: int,
    evaluations: int,
    weights: Path | None,
    output: Path | None,
    as_json: bool,
    **what: Any,
) -> int:
    """Search better weights by CMA-ES and by random search, and compare both with the old ones on held-out requests."""
    from bot.simulation.files import check_target, write_text
    from bot.simulation.scenario import WORKLOADS as ALL_WORKLOADS
    from bot.simulation.scenario import ScenarioOptions, read_weights
    from bot.simulation.text_tables import print_tuning
    from bot.simulation.tuning_plan import plan_tuning
    from core.simulator.search import cma_library

    cma_library()
    check_target(output)
    options, old = ScenarioOptions(**what), read_weights(weights)
    chosen = workloads or (() if traces else ALL_WORKLOADS)
    plan = plan_tuning(traces, held_out, chosen, options, seeds)
    result = _search(plan, old, evaluations, options.seed)
    document = {
        **result.to_json(),
        "seed": options.seed,
        "training": [each.name for each in plan.training],
        "held_out": [each.name for each in plan.held_out],
    }
    if output is not None and result.is_better:
        write_text(output, json.dumps(document, indent=2) + "\n")
    if as_json:
        print_json(document)
        return 0
    print_tuning(result)
    _print_advice(result, output)
    return 0


def _search(plan: TuningPlan, old: Weights, evaluations: int, seed: int) -> Tuning:
    """Search with a line of progress."""
    from bot.simulation.progress import ProgressLine
    from core.simulator.tuning import tune as search

    with ProgressLine() as line:
        numbers = count(1)

        def progress() -> None:
            line.update(f"{next(numbers)} of about {2 * evaluations} evaluations")

        return search(plan.training, plan.held_out, old, evaluations, seed, progress)


def _print_advice(result: Tuning, output: Path | None) -> None:
    """What to do with what was found."""
    if not result.is_better:
        click.echo("\nKeep the old ones: no weights were better on what they were not trained on.")
    elif output is not None:
        click.echo(f"\nThe new weights are in {output}. Try them: countersign weights try {output}")
    else:
        click.echo("\nBetter weights were found; write them with --output FILE.")


COMMANDS = (tune,)
