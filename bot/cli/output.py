"""What commands print for people, drawn by the terminal surface."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import say_json
from bot.surfaces import terminal
from core.model.errors import NotFoundError, Problem

if TYPE_CHECKING:
    from bot.surfaces.terminal import TaskProgress
    from bot.wiring.app import App
    from core.model.decision import Decision
    from core.services.task_document import TaskDocument
    from core.store.artifacts import Artifact

CARD_DIFF_LINES = 40
_LOGS = (".log", ".txt", ".jsonl")


async def show_card(app: App, document: TaskDocument) -> None:
    """Draw a task's card with the beginning of its diff."""
    from bot.cards.build import build_card

    diff = await app.diffs.of(document.task)
    card = build_card(document.to_json(), now=datetime.now(UTC))
    terminal.print_card(sys.stdout, card, diff, max_lines=CARD_DIFF_LINES)


async def show_part(app: App, document: TaskDocument, part: str, *, as_json: bool) -> None:
    """Print the diff, the receipt or the transcript; raises `NotFoundError` when there is none."""
    if part == "diff":
        await _show_diff(app, document, as_json=as_json)
    elif part == "receipt":
        await _show_receipt(app, document)
    else:
        await _show_transcript(app, document, as_json=as_json)


async def _show_diff(app: App, document: TaskDocument, *, as_json: bool) -> None:
    from bot.cards.build import build_card

    diff = await app.diffs.of(document.task)
    if diff is None:
        raise NotFoundError("no_diff", f"#{document.task.number} has staged nothing", "See it with `countersign show`.")
    if as_json:
        say_json({"task": document.task.number, "diff": diff.decode("utf-8", "backslashreplace")})
    elif sys.stdout.isatty():
        terminal.print_diff(sys.stdout, build_card(document.to_json(), now=datetime.now(UTC)), diff)
    else:
        sys.stdout.buffer.write(diff)  # byte for byte, so that `git apply` can have it


async def _show_receipt(app: App, document: TaskDocument) -> None:
    receipt = await _newest(app, document, "receipt.json")
    if receipt is None:
        raise NotFoundError("no_receipt", f"#{document.task.number} was never published", "Approve it first.")
    click.echo(receipt.decode(), nl=False)


async def _show_transcript(app: App, document: TaskDocument, *, as_json: bool) -> None:
    from bot.cards.safe import visible

    said = [turn.to_json() for turn in document.turns]
    logs = {
        f"{artifact.revision}/{artifact.name}": (await _read(app, artifact)).decode("utf-8", "replace")
        for artifact in document.artifacts
        if artifact.name.endswith(_LOGS)
    }
    if as_json:
        say_json({"task": document.task.number, "turns": said, "logs": logs})
        return
    for turn in document.turns:
        click.echo(f"{turn.person} on {turn.surface}, revision {turn.revision}:")
        click.echo("".join(f"  {visible(line)}\n" for line in turn.text.splitlines()), nl=False)
    for name, log in logs.items():
        click.echo(f"--- {name}")
        click.echo("".join(f"  {visible(line)}\n" for line in log.splitlines()), nl=False)


def show_list(rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the rows of ``list``."""
    if rows:
        terminal.print_list(sys.stdout, rows)
    else:
        click.echo('No tasks. Ask for one: countersign ask "…" --wait')


def show_queue(found: Mapping[str, Any]) -> None:
    """Draw the queue and, if it is paused, why."""
    terminal.print_queue(sys.stdout, found["jobs"], paused=found["paused"])


def say_event(event: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one event, as a line."""
    if as_json:
        say_json(event, indent=None)
    else:
        terminal.print_events(sys.stdout, [event])


def show_stats(found: Mapping[str, Any]) -> None:
    """Draw the counts of ``stats``."""
    terminal.print_counts(sys.stdout, "Tasks", found["tasks"] or {"none": 0})
    terminal.print_counts(sys.stdout, "Jobs", found["jobs"] or {"none": 0})
    terminal.print_counts(sys.stdout, f"Events since {found['since']}", found["events"] or {"none": 0})
    if found["deliveries"]:
        told = {
            hook: f"{row['sent']} sent, {row['due']} due, {row['failed']} given up"
            for hook, row in found["deliveries"].items()
        }
        terminal.print_counts(sys.stdout, "Deliveries", told)
    terminal.print_counts(
        sys.stdout, "Workers", {w["node"]: f"pid {w['pid']} on {w['host']}" for w in found["workers"]}
    )


def show_explanation(decision: Decision, title: str, obstacle: Problem | None, *, as_json: bool) -> None:
    """Print what policy would say, and its trace."""
    shown = {
        "title": title,
        "effect": decision.effect.value,
        "rule": decision.rule,
        "lane": decision.lane,
        "reason": decision.reason,
        "question": decision.question.to_json() if decision.question else None,
        "terms": decision.terms.to_json() if decision.terms else None,
        "policy_digest": decision.policy_digest,
        "trace": list(decision.trace),
        "obstacle": obstacle.to_json() if obstacle else None,
    }
    if as_json:
        say_json(shown)
    else:
        terminal.print_explained(sys.stdout, shown)
        if obstacle is not None:
            click.echo(f"But it would not run here: {obstacle.sentence()}")


def show_checks(title: str, checks: Sequence[Mapping[str, Any]]) -> None:
    """Draw the checks of doctor and verify."""
    terminal.print_checks(sys.stdout, title, checks)


def progress(number: int, *, quiet: bool) -> AbstractContextManager[TaskProgress | None]:
    """How a task gets on, on stderr; nothing with `quiet`."""
    return nullcontext() if quiet else terminal.TaskProgress(sys.stderr, number)


async def _newest(app: App, document: TaskDocument, name: str) -> bytes | None:
    """The newest artifact called `name`."""
    kept = [artifact for artifact in document.artifacts if artifact.name == name]
    return await _read(app, kept[-1]) if kept else None


async def _read(app: App, artifact: Artifact) -> bytes:
    from core.store.artifacts import ArtifactFiles

    return await ArtifactFiles(app.home.artifacts).read(artifact.sha256)
