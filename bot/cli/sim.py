"""The group of the simulator's commands: sim run, tune, observe, replay, calibrate and forecast."""

from __future__ import annotations

import click

from bot.cli import sim_forecast, sim_history, sim_run, sim_tune


class SimGroup(click.Group):
    """A group whose command `run` may be left out: ``sim --trace FILE`` is ``sim run --trace FILE``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` before options that are its own."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """The commands as they were added."""
        return list(self.commands)


@click.group(cls=SimGroup)
def sim() -> None:
    """Simulate the queue: other GPUs, other models, other weights, other policies."""


for _module in (sim_run, sim_history, sim_tune, sim_forecast):
    for _command in _module.COMMANDS:
        sim.add_command(_command)

COMMANDS = (sim,)
