"""Controlling the queue on the command line: pause, resume and move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import NUMBER, CliContext, F, as_option, json_option, operator, print_json, run
from core.model.errors import UsageError

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.model.turn import Actor
    from core.services.queue_control import PauseScope


@dataclass(frozen=True, slots=True)
class NamedScope:
    """What the options and arguments of a command name; at most one of them."""

    lane: str | None
    repo: str | None
    endpoint: str | None

    @classmethod
    def of(cls, words: tuple[str, ...], lane: str | None, repo: str | None, endpoint: str | None) -> NamedScope:
        """Also ``endpoint NAME`` and ``NAME``; raises `UsageError` for more than one."""
        names = words[1:] if len(words) > 1 and words[0] == "endpoint" else words
        given = [name for name in (*names, lane, repo, endpoint) if name is not None]
        if len(given) > 1:
            raise UsageError("one_scope", "more than one thing is named", "Name one lane, repository or endpoint.")
        return cls(lane, repo, endpoint or (names[0] if names else None))

    def scope(self) -> PauseScope | None:
        """The lane or repository; None for the whole queue."""
        from core.services.queue_control import scope_of

        return scope_of(self.lane, self.repo)

    def document(self, **values: Any) -> dict[str, Any]:
        """The command's document: what it was about, and `values`."""
        scope = self.scope()
        return {**({scope.kind.value: scope.name} if scope is not None else {}), **values}

    @property
    def words(self) -> str:
        """The scope for people."""
        scope = self.scope()
        return f"The {scope.kind.value} {scope.name}" if scope is not None else "The queue"


def _scope_options(command: F) -> F:
    command = click.option("--endpoint", metavar="NAME", help="Only this endpoint: the same as drain.")(command)
    command = click.option("--repo", metavar="NAME", help="Only jobs of this repository.")(command)
    command = click.option("--lane", metavar="NAME", help="Only jobs of this lane.")(command)
    return click.argument("words", nargs=-1, metavar="[endpoint NAME]")(command)


@click.command()
@_scope_options
@click.option("--reason", default="", metavar="TEXT", help="Why; shown to everyone who looks at the queue.")
@as_option
@json_option
@click.pass_obj
def pause(
    context: CliContext,
    words: tuple[str, ...],
    lane: str | None,
    repo: str | None,
    endpoint: str | None,
    reason: str,
    person: str | None,
    as_json: bool,
) -> int:
    """Start no more jobs; running ones finish, requests are still accepted. For maintainers with --as."""
    named = NamedScope.of(words, lane, repo, endpoint)

    async def work() -> int:
        async with context.open() as app:
            actor = operator(app, person)
            if named.endpoint is not None:
                return await _drain(app, actor, named.endpoint, reason.strip(), as_json=as_json)
            paused = await app.queue_control.pause(actor, reason.strip(), named.scope())
        document = named.document(paused=paused.to_json())
        print_json(document) if as_json else click.echo(f"{named.words} is paused.")
        return 0

    return run(work())


@click.command()
@_scope_options
@as_option
@json_option
@click.pass_obj
def resume(
    context: CliContext,
    words: tuple[str, ...],
    lane: str | None,
    repo: str | None,
    endpoint: str | None,
    person: str | None,
    as_json: bool,
) -> int:
    """Let what was paused run again: the queue, a lane, a repository, or an endpoint. For maintainers with --as."""
    named = NamedScope.of(words, lane, repo, endpoint)

    async def work() -> int:
        async with context.open() as app:
            actor = operator(app, person)
            if named.endpoint is not None:
                await app.inventory.resume(actor, named.endpoint)
                resumed = {"endpoint": named.endpoint, "drained": None}
                print_json(resumed) if as_json else click.echo(f"{named.endpoint} gets work again.")
                return 0
            await app.queue_control.resume(actor, named.scope())
        print_json(named.document(paused=None)) if as_json else click.echo(f"{named.words} is running.")
        return 0

    return run(work())


@click.command()
@click.argument("number", type=NUMBER, metavar="N")
@click.option("--first", is_flag=True, help="Before every job that waits.")
@click.option("--last", is_flag=True, help="After every job that waits.")
@click.option("--before", type=NUMBER, metavar="M", help="Before the job of task M.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the audit trail.")
@as_option
@json_option
@click.pass_obj
def move(
    context: CliContext,
    number: int,
    first: bool,
    last: bool,
    before: int | None,
    reason: str,
    person: str | None,
    as_json: bool,
) -> int:
    """Move the waiting job of task N to another place in the queue. For maintainers with --as."""
    to = place_of(first=first, last=last, before=before)

    async def work() -> int:
        from core.services.queue_control import MoveTo, QueueMove

        moved = QueueMove(MoveTo(to), before, reason.strip())
        async with context.open() as app:
            await app.queue_control.move(operator(app, person), number, moved)
            place = (await app.documents.document(number)).queue
        position = place.position if place is not None else 0
        print_moved({"task": number, "moved": moved.to_json(), "position": position}, as_json=as_json)
        return 0

    return run(work())


def place_of(*, first: bool, last: bool, before: int | None) -> str:
    """Where the options of `move` say to: first, last or before; raises `UsageError` unless they name one place."""
    if (first, last, before is not None).count(True) != 1:
        raise UsageError("one_place", "it is not clear where to", "Name one of --first, --last and --before M.")
    return "first" if first else "last" if last else "before"


def print_moved(document: dict[str, Any], *, as_json: bool) -> None:
    """Print where a job is now."""
    number, position = document["task"], document["position"]
    if as_json:
        print_json(document)
    else:
        click.echo(f"#{number} is number {position} in the queue now." if position else f"#{number} was moved.")


async def _drain(app: App, actor: Actor, endpoint: str, reason: str, *, as_json: bool) -> int:
    drained = await app.inventory.drain(actor, endpoint, reason)
    if as_json:
        print_json({"endpoint": endpoint, "drained": drained.to_json()})
    else:
        click.echo(f"{endpoint} gets no new work. Let it work again with `countersign resume {endpoint}`.")
    return 0


COMMANDS = (pause, resume, move)
