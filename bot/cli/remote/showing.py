"""Prints tasks of a remote server exactly as the local commands print theirs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import click

from bot.cards.safe import visible
from bot.cli.context import print_json
from bot.cli.interruption import on_interrupt
from bot.cli.remote.client import RemoteServer
from core.model.errors import CountersignError, Kind, NotFoundError, Problem
from core.model.lifecycle import RESTING, State

POLL_S: Final = 0.5
STUCK_S: Final = 5.0
"""Waiting ends when the next attempt after a failure is further away than this."""

Document = Mapping[str, Any]


def document_of(server: RemoteServer, number: int) -> Document:
    """The document of a task."""
    document: Document = server.get(f"/tasks/{number}").json()
    return document


def follow(server: RemoteServer, document: Document, *, wait: bool, as_json: bool) -> int:
    """Print a task, with `wait` once it rests on the server; returns the exit status for its state."""
    if wait:
        document = _wait(server, document, quiet=as_json)
    print_task(server, document, as_json=as_json)
    queue, error = document["queue"], document["error"]
    if queue is not None:
        if not wait or queue["problem"] is None:
            return 0
        problem = Problem(
            Kind.UNAVAILABLE, "still_waiting", queue["problem"], "Nothing is lost; the server tries again."
        )
    elif error is not None:
        problem = Problem.from_json(error)
    else:
        return 0
    click.echo(f"countersign: {visible(problem.sentence())}", err=True)
    return problem.kind.exit_code


def _wait(server: RemoteServer, document: Document, *, quiet: bool) -> Document:
    """Poll a task until it rests."""
    from bot.cli.output import progress

    number = document["number"]
    on_interrupt(f"#{number} goes on at the server; see it with `countersign show {number}`")
    with progress(number, quiet=quiet) as shown:
        etag = ""
        while True:
            answer = server.get(f"/tasks/{number}", {"If-None-Match": etag} if etag else None)
            if answer.body:
                document, etag = answer.json(), answer.headers.get("etag", "")
            if shown is not None:
                shown.update(document["state"])
            if _rests(document):
                return document
            time.sleep(POLL_S)


def _rests(document: Document) -> bool:
    queue = document["queue"]
    if queue is None:
        return State(document["state"]) in RESTING
    if queue["problem"] is None or queue["next_try_at"] is None:
        return False
    return (datetime.fromisoformat(queue["next_try_at"]) - datetime.now(UTC)).total_seconds() > STUCK_S


def print_task(server: RemoteServer, document: Document, *, as_json: bool) -> None:
    """Print a task's document or its card."""
    from bot.cards.build import build_card
    from bot.cli.output import CARD_DIFF_LINES
    from bot.surfaces import terminal

    if as_json:
        print_json(document)
        return
    card = build_card(document, now=datetime.now(UTC))
    terminal.print_card(sys.stdout, card, diff_of(server, document), max_lines=CARD_DIFF_LINES)


def diff_of(server: RemoteServer, document: Document) -> bytes | None:
    """The staged diff; None if there is none."""
    if document["staged"] is None:
        return None
    try:
        return server.get(f"/tasks/{document['number']}/diff").body
    except CountersignError as error:
        if error.problem.kind is Kind.MISSING:
            return None
        raise


def print_part(server: RemoteServer, document: Document, part: str, *, as_json: bool) -> None:
    """Print the diff, the receipt or the transcript; raises `NotFoundError` if it does not exist."""
    from bot.cli.output import LOGS, print_transcript, print_whole_diff

    if part == "diff":
        print_whole_diff(document, diff_of(server, document), as_json=as_json)
    elif part == "transcript":
        logs = {
            f"{row['revision']}/{row['name']}": _artifact(server, document, row).decode("utf-8", "replace")
            for row in document["artifacts"]
            if row["name"].endswith(LOGS)
        }
        print_transcript(document, logs, as_json=as_json)
    else:
        receipts = [row for row in document["artifacts"] if row["name"] == "receipt.json"]
        if not receipts:
            raise NotFoundError("no_receipt", f"#{document['number']} was never published", "Approve it first.")
        click.echo(_artifact(server, document, receipts[-1]).decode(), nl=False)


def _artifact(server: RemoteServer, document: Document, row: Mapping[str, Any]) -> bytes:
    path = f"/tasks/{document['number']}/artifacts/{row['revision']}/{quote(row['name'], safe='')}"
    return server.get(path).body
