"""The weights of the live scheduler: show them, try others in the shadow, adopt those, and go back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.context import CliContext, as_option, json_option, operator, print_json, run
from bot.cli.sim_options import FILE

if TYPE_CHECKING:
    from core.scheduler.weights import Weights
    from core.services.scheduler_weights import WeightsState


@click.group()
def weights() -> None:
    """The weights by which the queue decides: show them, try others beside them, adopt those, or go back."""


@weights.command()
@json_option
@click.pass_obj
def show(home: CliContext, as_json: bool) -> int:
    """Show the weights in use, and how those that are tried compare with them."""

    async def work() -> int:
        async with home.open() as app:
            _print(await app.scheduler_weights.state(), as_json=as_json)
        return 0

    return run(work())


@weights.command(name="try")
@click.argument("file", type=FILE)
@as_option
@json_option
@click.pass_obj
def try_(home: CliContext, file: Path, person: str | None, as_json: bool) -> int:
    """Let the weights in FILE, as `sim tune` writes them, decide in the shadow of today's. For maintainers."""

    async def work() -> int:
        from bot.simulation.scenario import read_weights

        candidate = read_weights(file)
        async with home.open() as app:
            state = await app.scheduler_weights.try_out(operator(app, person), candidate)
        if as_json:
            print_json(state.to_json())
        else:
            click.echo("The weights are tried in the shadow; see `countersign weights show` after a while.")
        return 0

    return run(work())


@weights.command()
@click.option("--anyway", is_flag=True, help="Adopt them although they are not known to be better.")
@as_option
@json_option
@click.pass_obj
def adopt(home: CliContext, anyway: bool, person: str | None, as_json: bool) -> int:
    """Use the weights that are tried. The queue goes back by itself if people wait longer. For maintainers."""

    async def work() -> int:
        async with home.open() as app:
            state = await app.scheduler_weights.adopt(operator(app, person), anyway=anyway)
        if as_json:
            print_json(state.to_json())
        else:
            click.echo("The queue uses these weights from now on. Go back with `countersign weights revert`.")
        return 0

    return run(work())


@weights.command()
@as_option
@json_option
@click.pass_obj
def revert(home: CliContext, person: str | None, as_json: bool) -> int:
    """Stop trying weights, or else use those before the last adoption again. For maintainers."""

    async def work() -> int:
        async with home.open() as app:
            actor = operator(app, person)
            was_trying = (await app.scheduler_weights.state()).candidate is not None
            state = await app.scheduler_weights.revert(actor)
        if as_json:
            print_json(state.to_json())
        elif was_trying:
            click.echo("The weights are not tried any more.")
        else:
            click.echo("The queue uses the weights from before again.")
        return 0

    return run(work())


def _print(state: WeightsState, *, as_json: bool) -> None:
    if as_json:
        print_json(state.to_json())
        return
    _print_weights("The queue uses", state.current)
    if state.reverted:
        click.echo(f"The last adoption was taken back: {'; '.join(state.reverted)}.")
    elif state.before is not None:
        click.echo("They were adopted within the last day; the queue goes back if people wait longer.")
    if state.candidate is None:
        return
    click.echo("")
    _print_weights("Tried in the shadow", state.candidate)
    click.echo("class       granted   mean wait   promises missed   (today's weights, in the shadow too)")
    for work_class, figures in state.shadow.candidate.items():
        today = state.shadow.today[work_class]
        click.echo(
            f"{work_class.value:<10}{figures.count:>9}{figures.mean_s:>10.1f} s{figures.broken_share:>18.1%}"
            f"   ({today.mean_s:.1f} s, {today.broken_share:.1%})"
        )
    click.echo(f"loads: {state.shadow.candidate_loads} (today's weights: {state.shadow.today_loads})")
    if state.shadow.is_better:
        click.echo("They are better. Use them with `countersign weights adopt`.")
    else:
        click.echo("They are not known to be better yet.")


def _print_weights(heading: str, weights: Weights) -> None:
    from core.scheduler.weights import Weights as Usual

    usual = asdict(Usual())
    changed = {name: value for name, value in asdict(weights).items() if value != usual[name]}
    listed = ", ".join(f"{name} {value:g} (usually {usual[name]:g})" for name, value in changed.items())
    click.echo(f"{heading} {listed or 'the usual weights'}.")


COMMANDS = (weights,)
