"""Shared by all commands: opening the home, who gives the command, parsing times, printing errors and JSON."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from core.model.errors import Problem, UsageError
from core.model.turn import Actor

if TYPE_CHECKING:
    from bot.configuration.home import Home
    from bot.wiring.app import App

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

SURFACE = "terminal"
SERVICES = ("serve", "worker")
NUMBER = click.IntRange(1, 2**31 - 1)
"""A task's number, up to the largest integer of PostgreSQL."""
_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class CliContext:
    """The options of the whole program: the directory given by --home, and the server and token file, if any."""

    named_home: str | None
    server: str | None = None
    token_file: str | None = None

    def home(self) -> Home:
        """The home directory to use."""
        from bot.configuration.home import find_home

        return find_home(self.named_home)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[App]:
        """The opened home."""
        from bot.wiring.app import opened

        async with opened(self.home()) as app:
            yield app


def json_option(command: F) -> F:
    """``--json``: print one JSON document on stdout instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def as_option(command: F) -> F:
    """``--as``: the person who gives the command; the user of the terminal owns the home and may name anyone."""
    return click.option("--as", "person", metavar="PERSON", help="Who you are (default: the terminal's user).")(command)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    import asyncio

    try:
        _configure_log()
    except UsageError:
        work.close()
        raise
    if sys.platform == "win32":
        # psycopg's async connections need a selector loop; only sandboxes, absent on Windows, need subprocesses
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(work)
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:  # a second signal to a worker that was finishing its jobs
        raise KeyboardInterrupt from None


def keep_memory_small() -> None:
    """Collect garbage often, as a long-running process should; `bot.cli.main` disables it for short commands.

    Objects of imported modules are excluded from every collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)


def _configure_log() -> None:
    """Log at WARNING and above in `serve` and `worker`; other commands print one sentence and no log."""
    from core.log import LEVELS, configure

    context = click.get_current_context().find_root()
    usual = "WARNING" if context.invoked_subcommand in SERVICES else "CRITICAL"
    level = os.environ.get("COUNTERSIGN_LOG", "").upper() or usual
    if level not in LEVELS:
        raise UsageError("bad_level", f"COUNTERSIGN_LOG is {level!r}", f"Set it to one of {', '.join(LEVELS)}.")
    configure(level=level)


def speaker(app: App, name: str | None) -> Actor:
    """Who gives this command; raises `UsageError` if neither --as nor the system's user identifies a person."""
    actor = operator(app, name)
    if actor.person is not None:
        return actor
    people = sorted(app.settings().people.by_name)
    raise UsageError(
        "who", "it is not clear who you are", f"Name yourself with --as PERSON; known: {', '.join(people) or 'no one'}."
    )


def operator(app: App, name: str | None) -> Actor:
    """Like `speaker`, but without a known person it is the operator of the home."""
    from bot.wiring.host import operating_user

    people = app.settings().people
    person_name = name or os.environ.get("COUNTERSIGN_PERSON")
    if person_name:
        return Actor(people.named(person_name).name, SURFACE)
    user = operating_user()
    for person in people.by_name.values():
        if person.identities.get(SURFACE) == user:
            return Actor(person.name, SURFACE, is_operator=True)
    if len(people.by_name) == 1:
        return Actor(next(iter(people.by_name)), SURFACE, is_operator=True)
    return Actor(None, SURFACE, is_operator=True)


def parse_time(text: str | None, *, past: bool = False) -> datetime | None:
    """``2h``, ``30m``, ``1d12h`` from now (or ago), or an RFC 3339 time; raises `UsageError`."""
    if text is None:
        return None
    parts = _DURATION.findall(text.lower())
    try:
        if parts and re.fullmatch(rf"(?:{_DURATION.pattern}\s*)+", text.lower().strip()):
            span = timedelta(**_add_up(parts))
            return datetime.now(UTC) - span if past else datetime.now(UTC) + span
        return datetime.fromisoformat(text).astimezone(UTC)  # without a zone, the machine's zone
    except (ValueError, OverflowError) as error:  # not a time, or out of the calendar's range
        raise UsageError("bad_time", f"{text!r} is not a time", "Write 2h, 30m, 1d or 2026-01-31T18:00Z.") from error


def _add_up(parts: list[tuple[str, str]]) -> dict[str, float]:
    spans: dict[str, float] = {}
    for count, unit in parts:
        spans[_UNITS[unit]] = spans.get(_UNITS[unit], 0) + float(count)
    return spans


def print_json(document: object, *, indent: int | None = 2) -> None:
    """Print a JSON document to stdout."""
    text = json.dumps(document, indent=indent, ensure_ascii=not _takes_unicode())
    click.echo(text if text.isascii() else "".join(map(_inert, text)))


def _takes_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _inert(char: str) -> str:
    """`char` in JSON, with control and bidirectional characters escaped."""
    is_control = char > "~" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return json.dumps(char)[1:-1] if is_control else char


def print_problem(problem: Problem, *, as_json: bool = False) -> int:
    """Print a problem; returns its exit status."""
    from bot.cards.safe import visible

    with contextlib.suppress(OSError):  # a full disk or a closed pipe must not hide the exit status
        click.echo(f"countersign: {visible(problem.sentence())}", err=True)
        if as_json:
            print_json({"error": problem.to_json()})
    return problem.kind.exit_code
