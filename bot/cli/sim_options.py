"""The options that the simulator's commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
FILE: Final = click.Path(path_type=Path)
SEED: Final = click.IntRange(0, 2**31 - 2)
NODES_HELP: Final = "The endpoints, such as 2x48GB or a=24GB,b=80GB+ram64GB+slots2."
WORKLOADS: Final = click.Choice(["eight", "bursty"])


def cluster_options(command: F) -> F:
    """The models, how much loading slows serving, and the seed."""
    for option in (
        click.option("--seed", metavar="S", type=SEED, default=0, show_default=True, help="For all that is random."),
        click.option("--contention", metavar="C", type=float, default=0.0, help="Speed lost while loading, 0 to 1."),
        click.option("--models", metavar="FILE", type=FILE, help="Sizes and speeds of models, as CSV or YAML."),
    ):
        command = option(command)
    return command


def weights_option(command: F) -> F:
    """The weights of Countersign's own policy."""
    option = click.option("--weights", metavar="FILE", type=FILE, help="Weights of Countersign's policy, as JSON.")
    return option(command)


def load_option(command: F) -> F:
    """The load to which arrivals are scaled."""
    text = "Scale the arrivals until the work fills this share of the endpoints' time."
    return click.option("--load", metavar="RHO", type=float, help=text)(command)


def history_options(command: F) -> F:
    """Which history is looked at: this installation's, or one that was exported."""
    for option in (
        click.option("--since", metavar="T", help="Only what was ready since then: 7d, or a time."),
        click.option("--trace", metavar="FILE", type=FILE, help="An exported history instead of this installation's."),
    ):
        command = option(command)
    return command


def number_option(name: str, default: int, most: int, text: str, *, least: int = 1) -> Callable[[F], F]:
    """A whole number from `least` to `most`."""
    kind = click.IntRange(least, most)
    return click.option(name, metavar="N", type=kind, default=default, show_default=f"{default}", help=text)
