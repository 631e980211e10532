"""sim run: simulates policies on a trace or a generated workload. Needs no home and no database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bot.cli.context import json_option, print_json
from bot.cli.sim_options import FILE, NODES_HELP, WORKLOADS, cluster_options, load_option, number_option, weights_option


@click.command()
@click.option("--trace", metavar="FILE", type=FILE, help="Requests: Countersign's CSV, Azure's or Mooncake's format.")
@click.option("--workload", type=WORKLOADS, help="Generated requests instead of a trace.")
@number_option("--requests", 6000, 10_000_000, "How many to generate.")
@click.option("--policy", "policies", metavar="NAME", multiple=True, help="A policy, or `all`; repeatable.")
@click.option("--nodes", metavar="SPEC", default="2x48GB", show_default=True, help=NODES_HELP)
@load_option
@cluster_options
@weights_option
@click.option("--windows", metavar="N", type=click.IntRange(1, 1000), help="How many windows are labelled.")
@click.option("--html", metavar="FILE", type=FILE, help="Write a report with plots.")
@json_option
def run(
    as_json: bool, html: Path | None, windows: int | None, policies: tuple[str, ...], weights: Path | None, **what: Any
) -> int:
    """Run policies on a trace or a workload, and compare their waits, loads and fairness."""
    from bot.simulation.files import check_target
    from bot.simulation.html_report import write_page
    from bot.simulation.progress import ProgressLine
    from bot.simulation.runs import chosen_policies, document_of, run_policies
    from bot.simulation.scenario import ScenarioOptions, build_scenario, read_weights
    from bot.simulation.text_tables import print_heading, print_runs

    options, chosen, policy_weights = ScenarioOptions(**what), chosen_policies(policies), read_weights(weights)
    check_target(html)
    scenario = build_scenario(options)
    total = len(scenario.requests)
    with ProgressLine() as line:

        def progress(policy: str, finished: int) -> None:
            line.update(f"{policy}: {finished} of {total} requests")

        runs = run_policies(scenario, chosen, policy_weights, windows, progress)
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


COMMANDS = (run,)
