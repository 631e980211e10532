"""Prints what commands show to people, rendered by the terminal surface."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import print_json
from bot.surfaces import terminal
from core.model.errors import NotFoundError

if TYPE_CHECKING:
    from bot.surfaces.terminal import TaskProgress
    from bot.wiring.app import App
    from core.services.task_document import TaskDocument

CARD_DIFF_LINES = 40
LOGS = (".log", ".txt", ".jsonl")


async def print_card(app: App, document: TaskDocument) -> None:
    """Print a task's card with the beginning of its diff."""
    from bot.cards.build import build_card

    diff = await app.diffs.of(document.task)
    card = build_card(document.to_json(), now=datetime.now(UTC))
    terminal.print_card(sys.stdout, card, diff, max_lines=CARD_DIFF_LINES)


async def print_part(app: App, document: TaskDocument, part: str, *, as_json: bool) -> None:
    """Print the diff, the receipt or the transcript; raises `NotFoundError` if it does not exist."""
    if part == "diff":
        print_whole_diff(document.to_json(), await app.diffs.of(document.task), as_json=as_json)
    elif part == "receipt":
        await _show_receipt(app, document)
    else:
        logs = {
            f"{artifact.revision}/{artifact.name}": (await app.queries.artifact(artifact)).decode("utf-8", "replace")
            for artifact in document.artifacts
            if artifact.name.endswith(LOGS)
        }
        print_transcript(document.to_json(), logs, as_json=as_json)


def print_whole_diff(document: Mapping[str, Any], diff: bytes | None, *, as_json: bool) -> None:
    """Print the staged diff of a task document; raises `NotFoundError` if there is none."""
    from bot.cards.build import build_card

    number = document["number"]
    if diff is None:
        raise NotFoundError(
            "no_diff", f"#{number} has nothing staged", f"See its state with `countersign show {number}`."
        )
    if as_json:
        print_json({"task": number, "diff": diff.decode("utf-8", "backslashreplace")})
    elif sys.stdout.isatty():
        terminal.print_diff(sys.stdout, build_card(document, now=datetime.now(UTC)), diff)
    else:
        sys.stdout.buffer.write(diff)  # unchanged bytes, for `git apply`


async def _show_receipt(app: App, document: TaskDocument) -> None:
    receipt = await _newest(app, document, "receipt.json")
    if receipt is None:
        raise NotFoundError("no_receipt", f"#{document.task.number} was never published", "Approve it first.")
    click.echo(receipt.decode(), nl=False)


def print_transcript(document: Mapping[str, Any], logs: Mapping[str, str], *, as_json: bool) -> None:
    """Print the turns of a task document and its logs."""
    from bot.cards.safe import visible

    if as_json:
        print_json({"task": document["number"], "turns": document["turns"], "logs": logs})
        return
    for turn in document["turns"]:
        click.echo(f"{turn['person']} on {turn['surface']}, revision {turn['revision']}:")
        click.echo("".join(f"  {visible(line)}\n" for line in turn["text"].splitlines()), nl=False)
    for name, log in logs.items():
        click.echo(f"--- {name}")
        click.echo("".join(f"  {visible(line)}\n" for line in log.splitlines()), nl=False)


def print_list(rows: Sequence[Mapping[str, Any]], *, is_filtered: bool) -> None:
    """Print the rows of ``list``; with `is_filtered` there may be others."""
    if rows:
        terminal.print_list(sys.stdout, rows)
    elif is_filtered:
        click.echo("No task matches. See all with: countersign list")
    else:
        click.echo('No tasks. Ask for one: countersign ask "…" --wait')


def print_queue(document: Mapping[str, Any]) -> None:
    """Print the queue and, if it or a part of it is paused, why."""
    from bot.cards.queue import pauses_of

    terminal.print_queue(sys.stdout, document["jobs"], pauses=pauses_of(document))


def print_event(event: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one event, as a line."""
    if as_json:
        print_json(event, indent=None)
    else:
        terminal.print_events(sys.stdout, [event])


def print_checks(title: str, checks: Sequence[Mapping[str, Any]]) -> None:
    """Print the checks of doctor and verify."""
    terminal.print_checks(sys.stdout, title, checks)


def progress(number: int, *, quiet: bool) -> AbstractContextManager[TaskProgress | None]:
    """Prints a task's progress on stderr; nothing if `quiet`."""
    return nullcontext() if quiet else terminal.TaskProgress(sys.stderr, number)


async def _newest(app: App, document: TaskDocument, name: str) -> bytes | None:
    """The newest artifact called `name`."""
    artifacts = [artifact for artifact in document.artifacts if artifact.name == name]
    return await app.queries.artifact(artifacts[-1]) if artifacts else None
