"""sim forecast: how well the requests of each model can be forecast, by several rules that are compared."""

from __future__ import annotations

from typing import Any, Final

import click

from bot.cli.context import json_option, print_json
from bot.cli.sim_options import FILE, NODES_HELP, WORKLOADS, cluster_options, load_option, number_option

BINS_S: Final = (3600.0, 900.0, 300.0)


@click.command()
@click.option("--trace", metavar="FILE", type=FILE, help="Requests: Countersign's CSV, Azure's or Mooncake's format.")
@click.option("--workload", type=WORKLOADS, help="Generated requests instead of a trace.")
@number_option("--requests", 6000, 1_000_000, "How many to generate.")
@click.option("--nodes", metavar="SPEC", default="2x48GB", show_default=True, help=NODES_HELP)
@load_option
@cluster_options
@json_option
def forecast(as_json: bool, **what: Any) -> int:
    """Forecast how often each model is asked for, and compare the rules' errors on the last 40% of the time."""
    from bot.simulation.scenario import ScenarioOptions, build_scenario
    from bot.simulation.text_tables import print_forecasts
    from core.model.errors import UsageError
    from core.scheduler.arrival_forecast import compare, counts_of
    from core.scheduler.weights import Weights

    scenario = build_scenario(ScenarioOptions(**what))
    arrivals = [(each.model, each.arrival_s) for each in scenario.requests]
    compared = [compare(counts_of(arrivals, bin_s), bin_s, Weights().memory_s) for bin_s in BINS_S]
    errors = [each for each in compared if each is not None]
    if not errors:
        message = f"{scenario.name} covers {arrivals[-1][1] / 60:.0f} minutes"
        raise UsageError("too_short", f"{message}, too few to forecast from", "Name a trace of 20 minutes or more.")
    if as_json:
        print_json({"name": scenario.name, "forecasts": [each.to_json() for each in errors]})
    else:
        print_forecasts(errors)
    return 0


COMMANDS = (forecast,)
