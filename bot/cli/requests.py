"""The commands ask, reply, extend, show, why and list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from bot.cards.safe import visible_lines
from bot.cli.context import (
    NUMBER,
    SURFACE,
    CliContext,
    as_option,
    json_option,
    operator,
    parse_time,
    print_json,
    print_problem,
    run,
    speaker,
)
from bot.cli.following import follow, wait_option
from bot.cli.interruption import GOES_ON, on_interrupt, uninterrupted
from core.model.errors import Problem, UsageError
from core.model.lifecycle import Fact, State

MOST_TOKENS = 1_000_000_000_000
"""The most that one extension may add (`core.services.budgets`)."""

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.model.turn import Actor


@click.command()
@click.argument("text")
@click.option("--repo", metavar="NAME", help="Which repository.")
@click.option("--lane", metavar="LANE", help="Which lane, instead of policy's choice.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A parameter of the lane; may be repeated."
)
@as_option
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="Higher runs first (default 0).")
@click.option("--deadline", metavar="T", help="When it must be finished: 2h, 1d, or a time.")
@click.option("--after", type=NUMBER, metavar="N", help="Start only once #N is published or merged.")
@click.option(
    "--if-failed",
    type=click.Choice(["cancel", "run", "ask"]),
    help="With --after: what to do if #N fails (default: fail too).",
)
@wait_option
@json_option
@click.pass_obj
def ask(
    context: CliContext,
    text: str,
    repo: str | None,
    lane: str | None,
    assignments: tuple[str, ...],
    person: str | None,
    priority: int,
    deadline: str | None,
    after: int | None,
    if_failed: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Ask for a change in plain English."""
    from core.model.task import FailureRule
    from core.services.requests import NewRequest

    on_interrupt("nothing was requested")
    deadline_at = parse_time(deadline)
    parameters = parse_pairs(assignments)

    async def work() -> int:
        async with context.open() as app:
            _check_parameters(app, lane, parameters)
            request = NewRequest(
                text=text,
                actor=speaker(app, person),
                repo=repo,
                lane=lane,
                priority=priority,
                deadline_at=deadline_at,
                after=after,
                if_failed=FailureRule(if_failed) if if_failed else None,
                parameters=parameters,
            )
            number = await uninterrupted(app.requests.ask(request), lambda created: f"#{created} exists and {GOES_ON}")
            return await follow(app, number, wait=wait, as_json=as_json)

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@click.argument("text")
@as_option
@wait_option
@json_option
@click.pass_obj
def reply(context: CliContext, number: int, text: str, person: str | None, wait: bool, as_json: bool) -> int:
    """Reply to a task: makes its next revision."""
    on_interrupt(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            actor = speaker(app, person)
            begin = await app.queries.last_event(number)
            replied = app.requests.reply(number, text, actor)
            await uninterrupted(replied, lambda _: f"your reply to #{number} is saved and {GOES_ON}")
            code = await follow(app, number, wait=wait, as_json=as_json)
            return await _report_unread(app, number, actor, begin) or code

    return run(work())


async def _report_unread(app: App, number: int, actor: Actor, begin: int) -> int:
    """Report a reply that did not start a revision because a model refused it or has to read it first."""
    events = await app.queries.events(number=number, after_id=begin)
    own_events = [event for event in events if (event.person, event.surface) == (actor.person, actor.surface)]
    kinds = {event.kind: event for event in own_events}
    if "reply.refused" in kinds:
        return print_problem(Problem.from_json(json.loads(kinds["reply.refused"].body)))
    if "reply.received" in kinds and f"task.{Fact.REPLIED.value}" not in kinds:
        click.echo(f"A model interprets your reply first; until then #{number} stays as it is.", err=True)
    return 0


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--diff", "part", flag_value="diff", help="The whole diff; in a pipe git's raw bytes.")
@click.option("--receipt", "part", flag_value="receipt", help="The signed receipt.")
@click.option("--transcript", "part", flag_value="transcript", help="The conversation and the executor's output.")
@json_option
@click.pass_obj
def show(context: CliContext, number: int, part: str | None, as_json: bool) -> int:
    """Show a task's card, or a part of it."""
    from bot.cli.output import print_card, print_part

    async def work() -> int:
        async with context.open() as app:
            document = await app.documents.document(number)
            if part is not None:
                await print_part(app, document, part, as_json=as_json)
            elif as_json:
                print_json(document.to_json())
            else:
                await print_card(app, document)
            return 0

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--tokens", type=click.IntRange(1, MOST_TOKENS), help="How many tokens more.")
@click.option("--steps", type=click.IntRange(1, 1_000_000), help="How many answers of the model more.")
@click.option("--usd", type=click.FloatRange(0, 1_000_000, min_open=True), help="How many dollars more.")
@as_option
@wait_option
@json_option
@click.pass_obj
def extend(
    context: CliContext,
    number: int,
    tokens: int | None,
    steps: int | None,
    usd: float | None,
    person: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Extend the budget that a task used up, so that its work continues; without amounts, by as much again."""
    from core.model.budget import Spending

    on_interrupt(f"#{number} is as it was")

    async def work() -> int:
        async with context.open() as app:
            extended = app.budgets.extend(number, operator(app, person), Spending(steps or 0, tokens or 0, usd or 0.0))
            await uninterrupted(extended, lambda _: f"#{number} has more budget and {GOES_ON}")
            return await follow(app, number, wait=wait, as_json=as_json)

    return run(work())


@click.command()
@click.argument("number", type=NUMBER)
@json_option
@click.pass_obj
def why(context: CliContext, number: int, as_json: bool) -> int:
    """Explain a task's state: lane, rule, findings, and which approvals are missing."""

    async def work() -> int:
        from bot.messaging.explanation import explain

        async with context.open() as app:
            text = explain(await app.documents.document(number), SURFACE)
            if as_json:
                print_json({"task": number, "why": text.splitlines()})
            else:
                click.echo(visible_lines(text))
            return 0

    return run(work())


@click.command("list")
@click.option(
    "--search", metavar="TEXT", help="Only tasks with these words in title, turns, repository, lane or files."
)
@click.option("--state", type=click.Choice([s.value for s in State]), help="Only tasks in this state.")
@click.option("--repo", metavar="NAME", help="Only tasks of this repository.")
@click.option("--lane", metavar="LANE", help="Only tasks of this lane.")
@click.option("--person", metavar="PERSON", help="Only tasks that this person requested.")
@click.option("--since", metavar="T", help="Only tasks requested since then: 2h, 7d, or a time.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, help="How many, newest first (default 50).")
@click.option("--before", type=NUMBER, metavar="N", help="Only tasks older than #N: the next page.")
@json_option
@click.pass_obj
def list_(
    context: CliContext,
    search: str | None,
    state: str | None,
    repo: str | None,
    lane: str | None,
    person: str | None,
    since: str | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> int:
    """List tasks, the newest first."""
    from bot.cli.output import print_list
    from core.model.search_query import SearchQuery
    from core.model.task_filter import TaskFilter

    wanted = TaskFilter(
        state=State(state) if state else None,
        repo=repo,
        lane=lane,
        person=person,
        since=parse_time(since, past=True),
        search=SearchQuery.parse(search) if search is not None else None,
        before=before,
    )

    async def work() -> int:
        async with context.open() as app:
            rows = [summary.to_json() for summary in await app.task_search.first(wanted, limit)]
            print_json(rows) if as_json else print_list(rows, is_filtered=wanted != TaskFilter())
            return 0

    return run(work())


COMMANDS = (ask, reply, extend, show, why, list_)


def parse_pairs(assignments: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE`` arguments as a mapping; raises `UsageError` for one without a key or a repeated key."""
    parameters: dict[str, str] = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key:
            raise UsageError("bad_parameter", f"{assignment!r} is not KEY=VALUE", "Write --set KEY=VALUE.")
        if key in parameters:
            raise UsageError("bad_parameter", f"the parameter {key} is set twice", "Set it once.")
        parameters[key] = value
    return parameters


def _check_parameters(app: App, lane: str | None, parameters: dict[str, str]) -> None:
    """Raise `UsageError` for a missing parameter; a terminal can report it at once, without a task that asks."""
    from core.model.workflow import values_of

    configured = app.settings().lanes.get(lane or "")
    if configured is not None and configured.parameters:
        values_of(configured.name, configured.parameters, parameters)
