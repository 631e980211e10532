"""The commands every, schedules, run-schedule and unschedule, for recurring requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.cards.safe import one_line
from bot.cli.context import CliContext, as_option, json_option, operator, print_json, run, speaker
from bot.cli.requests import parse_pairs
from core.model.errors import UsageError

if TYPE_CHECKING:
    from core.model.schedule import Schedule


@click.command()
@click.argument("when")
@click.argument("text")
@click.option("--repo", metavar="NAME", help="Which repository.")
@click.option("--lane", metavar="LANE", help="Which lane, instead of policy's choice.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A parameter of the lane; may be repeated."
)
@click.option("--zone", metavar="ZONE", help="The time zone of WHEN, such as Europe/Zurich.")
@click.option("--missed", type=click.Choice(["skip", "once"]), default="skip", help="What to do about missed times.")
@as_option
@json_option
@click.pass_obj
def every(
    context: CliContext,
    when: str,
    text: str,
    repo: str | None,
    lane: str | None,
    assignments: tuple[str, ...],
    zone: str | None,
    missed: str,
    person: str | None,
    as_json: bool,
) -> int:
    """Ask for a change regularly, e.g. every "weekday 09:00" "…"."""
    from core.services.schedules import WantedSchedule

    async def work() -> int:
        async with context.open() as app:
            actor = speaker(app, person)
            schedule_request = WantedSchedule(
                when=when,
                text=text,
                actor=actor,
                repo=repo,
                lane=lane,
                zone=zone,
                missed=missed,
                parameters=parse_pairs(assignments),
            )
            schedule = await app.schedules.add(schedule_request)
            print_json(_document(schedule)) if as_json else click.echo(_line(schedule))
            return 0

    return run(work())


@click.command()
@json_option
@click.pass_obj
def schedules(context: CliContext, as_json: bool) -> int:
    """List the recurring requests."""

    async def work() -> int:
        async with context.open() as app:
            listed = await app.schedules.list()
            if as_json:
                print_json([_document(schedule) for schedule in listed])
            for schedule in listed if not as_json else ():
                click.echo(_line(schedule))
            if not listed and not as_json:
                click.echo('No recurring requests. Add one with `countersign every "weekday 09:00" "…"`.')
            return 0

    return run(work())


@click.command()
@click.argument("schedule", metavar="ID")
@click.option("--pause", is_flag=True, help="Keep it, but skip it until it is resumed.")
@click.option("--resume", is_flag=True, help="Continue a paused one.")
@as_option
@json_option
@click.pass_obj
def unschedule(context: CliContext, schedule: str, pause: bool, resume: bool, person: str | None, as_json: bool) -> int:
    """Delete a recurring request, or pause or resume it."""
    if pause and resume:
        raise UsageError("both", "--pause and --resume exclude each other", "Use one of them.")

    async def work() -> int:
        async with context.open() as app:
            schedules, actor = app.schedules, operator(app, person)
            change = schedules.pause if pause else schedules.resume if resume else schedules.remove
            changed = await change(schedule, actor)
            if as_json:
                print_json(_document(changed) | ({} if pause or resume else {"state": "deleted", "next": None}))
            else:
                outcome = "Paused" if pause else "Resumed" if resume else "Deleted"
                click.echo(f"{outcome}: {_line(changed)}")
            return 0

    return run(work())


@click.command("run-schedule")
@click.argument("schedule", metavar="ID")
@as_option
@json_option
@click.pass_obj
def run_schedule(context: CliContext, schedule: str, person: str | None, as_json: bool) -> int:
    """Make a recurring request now; its times stay as they are."""

    async def work() -> int:
        async with context.open() as app:
            number = await app.schedule_runs.run_now(schedule, operator(app, person))
            if as_json:
                print_json({"task": number})
            else:
                click.echo(f"Requested #{number}. See it with `countersign show {number}`.")
            return 0

    return run(work())


COMMANDS = (every, schedules, run_schedule, unschedule)


def _document(schedule: Schedule) -> dict[str, Any]:
    times = {"next": schedule.next_ms, "last": schedule.last_ms, "created": schedule.created_ms}
    return schedule.to_json() | {
        name: datetime.fromtimestamp(ms / 1000, UTC).isoformat() if ms else None for name, ms in times.items()
    }


def _line(schedule: Schedule) -> str:
    from bot.schedule.next_time import next_words

    where = f" in {schedule.repo}" if schedule.repo else ""
    where += "".join(f" {name}={one_line(value, 40)}" for name, value in schedule.parameters.items())
    timing = f"{schedule.phrase} ({next_words(schedule)})"
    return f"{schedule.id}  {timing}  {schedule.person}{where}: {one_line(schedule.text, 80)}"
