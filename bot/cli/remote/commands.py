"""The commands that work with `--server`; each takes the options of the local command of its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from bot.cli.context import CliContext, parse_time, print_json
from bot.cli.interruption import on_interrupt
from bot.cli.queue_control import NamedScope, place_of, print_moved
from bot.cli.remote.client import RemoteServer
from bot.cli.remote.showing import document_of, follow, print_part, print_task
from core.model.errors import UsageError

PAGE: Final = 200
_EVENTS: Final = 1000


def remote_command(local: click.Command) -> click.Command:
    """The command for a remote server with the parameters of `local`; raises `UsageError` if it has none."""
    name = local.name or ""
    if name not in REMOTE:
        mend = f"With --server there are: {', '.join(REMOTE)}."
        raise UsageError("not_remote", f"`countersign {name}` works only where the home is", mend)
    return click.Command(name, params=local.params, callback=click.pass_obj(REMOTE[name]), help=local.help)


def server_of(context: CliContext) -> RemoteServer:
    """The server of --server with the token of --token-file or COUNTERSIGN_TOKEN; raises `UsageError`."""
    token = os.environ.get("COUNTERSIGN_TOKEN", "")
    if context.token_file is not None:
        try:
            token = Path(context.token_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            mend = "Name a file that holds the token alone."
            raise UsageError("token_file", f"{context.token_file} cannot be read: {reason}", mend) from error
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        mend = "Give --token-file FILE, or set COUNTERSIGN_TOKEN; `countersign tokens create` makes one."
        raise UsageError("no_token", "--server needs a token", mend)
    return RemoteServer(context.server or "", token)


def _ask(context: CliContext, **given: Any) -> int:
    from bot.cli.requests import parse_pairs

    on_interrupt("check with `countersign list` whether it was requested")
    deadline = parse_time(given["deadline"])
    body = {
        "text": given["text"],
        "repo": given["repo"],
        "lane": given["lane"],
        "parameters": parse_pairs(given["assignments"]),
        "priority": given["priority"],
        "deadline": deadline.isoformat() if deadline else None,
        "after": given["after"],
        "if_failed": given["if_failed"],
        "as": given["person"],
    }
    server = server_of(context)
    document = server.post("/tasks", body).json()
    return follow(server, document, wait=given["wait"], as_json=given["as_json"])


def _reply(context: CliContext, **given: Any) -> int:
    server, number = server_of(context), given["number"]
    document = server.post(f"/tasks/{number}/replies", {"text": given["text"], "as": given["person"]}).json()
    return follow(server, document, wait=given["wait"], as_json=given["as_json"])


def _show(context: CliContext, number: int, part: str | None, as_json: bool) -> int:
    server = server_of(context)
    document = document_of(server, number)
    if part is not None:
        print_part(server, document, part, as_json=as_json)
    else:
        print_task(server, document, as_json=as_json)
    return 0


def _list(context: CliContext, **given: Any) -> int:
    from bot.cli.output import print_list

    server, rows, before, limit = server_of(context), list[Any](), given["before"], given["limit"]
    since = parse_time(given["since"], past=True)
    wanted = {name: given[name] for name in ("state", "repo", "lane", "person", "search")}
    while len(rows) < limit:
        page = server.get(
            "/tasks",
            before=before,
            limit=min(PAGE, limit - len(rows)),
            since=since.isoformat() if since else None,
            **wanted,
        ).json()
        rows += page["tasks"]
        before = page["next_before"]
        if before is None:
            break
    print_json(rows) if given["as_json"] else print_list(
        rows, is_filtered=any((since, given["before"], *wanted.values()))
    )
    return 0


def _verdict(kind: str) -> Callable[..., int]:
    def decide(context: CliContext, number: int, as_json: bool, **given: Any) -> int:
        on_interrupt(f"check with `countersign show {number}` whether it was decided")
        server = server_of(context)
        etag = server.get(f"/tasks/{number}").headers.get("etag", "")
        body: dict[str, object] = {name: given[name] for name in ("digest", "reason") if name in given}
        body["as"] = given["person"]
        document = server.post(f"/tasks/{number}/{kind}", body, {"If-Match": etag}).json()
        if "wait" in given:
            return follow(server, document, wait=given["wait"], as_json=as_json)
        print_task(server, document, as_json=as_json)
        return 0

    return decide


def _change(path: str) -> Callable[..., int]:
    def change(context: CliContext, number: int, person: str | None, as_json: bool, **given: Any) -> int:
        on_interrupt(f"check with `countersign show {number}` what it is")
        server = server_of(context)
        document = server.post(f"/tasks/{number}/{path}", {"as": person}).json()
        wait = given.get("wait", not given.get("no_wait", True))
        return follow(server, document, wait=wait, as_json=as_json)

    return change


def _cancel(context: CliContext, number: int, person: str | None, as_json: bool) -> int:
    on_interrupt(f"check with `countersign show {number}` what it is")
    server = server_of(context)
    print_task(server, server.post(f"/tasks/{number}/cancel", {"as": person}).json(), as_json=as_json)
    return 0


def _queue(context: CliContext, number: int | None, watches: bool, as_json: bool) -> int:
    from bot.cli.output import print_queue
    from bot.cli.queue import print_reason

    if watches:
        raise UsageError("watch_here", "--watch works only where the home is", "Leave it out, or open the pages.")
    server = server_of(context)
    if number is not None:
        print_reason(number, document_of(server, number)["queue"], as_json=as_json)
        return 0
    document = server.get("/queue").json()
    print_json(document) if as_json else print_queue(document)
    return 0


def _pick(context: CliContext, number: int, selection: str, person: str | None, as_json: bool, **given: Any) -> int:
    from bot.cli.picking import choice_of, print_parts

    on_interrupt(f"check with `countersign show {number}` what it is")
    choice = choice_of(selection, (*given["files"], *given["hunks"]), leaves_out=given["leaves_out"])
    server = server_of(context)
    listed = server.get(f"/tasks/{number}/parts").json()
    if choice is None:
        print_parts(listed, as_json=as_json)
        return 0
    named = {"leave_out" if choice.leaves_out else "keep": list(choice.names)} if choice.names else {"words": selection}
    body = {"digest": given["digest"] or listed["digest"], **named, "as": person}
    document = server.post(f"/tasks/{number}/picks", body).json()
    return follow(server, document, wait=given["wait"], as_json=as_json)


def _extend(context: CliContext, number: int, person: str | None, as_json: bool, **given: Any) -> int:
    on_interrupt(f"check with `countersign show {number}` whether it was extended")
    server = server_of(context)
    amounts = {name: given[name] for name in ("tokens", "steps", "usd") if given[name]}
    document = server.post(f"/tasks/{number}/extensions", {**amounts, "as": person}).json()
    return follow(server, document, wait=given.get("wait", False), as_json=as_json)


def _pause(context: CliContext, reason: str, person: str | None, as_json: bool, **given: Any) -> int:
    named, server = NamedScope.of(**given), server_of(context)
    if named.endpoint is not None:
        path = f"/endpoints/{quote(named.endpoint, safe='')}/drain"
        document = server.post(path, {"reason": reason, "as": person}).json()
        print_json(document) if as_json else click.echo(f"{named.endpoint} gets no new work.")
        return 0
    body = {"reason": reason, "lane": named.lane, "repo": named.repo, "as": person}
    document = server.post("/queue/pause", body).json()
    print_json(document) if as_json else click.echo(f"{named.words} is paused.")
    return 0


def _resume(context: CliContext, person: str | None, as_json: bool, **given: Any) -> int:
    named, server = NamedScope.of(**given), server_of(context)
    if named.endpoint is not None:
        document = server.post(f"/endpoints/{quote(named.endpoint, safe='')}/resume", {"as": person}).json()
        print_json(document) if as_json else click.echo(f"{named.endpoint} gets work again.")
        return 0
    document = server.post("/queue/resume", {"lane": named.lane, "repo": named.repo, "as": person}).json()
    print_json(document) if as_json else click.echo(f"{named.words} is running.")
    return 0


def _move(
    context: CliContext, number: int, before: int | None, reason: str, person: str | None, as_json: bool, **given: Any
) -> int:
    to = place_of(first=given["first"], last=given["last"], before=before)
    body = {"to": to, "before": before, "reason": reason, "as": person}
    print_moved(server_of(context).post(f"/tasks/{number}/move", body).json(), as_json=as_json)
    return 0


def _events(context: CliContext, number: int | None, since: str | None, as_json: bool, **given: Any) -> int:
    from bot.cli.output import print_event

    server, begin, last = server_of(context), parse_time(since, past=True), 0
    while True:
        page = server.get(
            "/events", task=number, since=begin.isoformat() if begin else None, after=last, limit=_EVENTS
        ).json()
        for event in page["events"]:
            print_event(event, as_json=as_json)
        sys.stdout.flush()
        if page["last_id"] == last:
            break
        last = page["last_id"]
    if given["follow"]:
        for event in server.events(last, number):
            print_event(event, as_json=as_json)
            sys.stdout.flush()
    return 0


REMOTE: Final[Mapping[str, Callable[..., int]]] = {
    "ask": _ask,
    "reply": _reply,
    "pick": _pick,
    "show": _show,
    "list": _list,
    "approve": _verdict("approvals"),
    "reject": _verdict("rejections"),
    "cancel": _cancel,
    "extend": _extend,
    "merge": _change("merge"),
    "undo": _change("undo"),
    "queue": _queue,
    "pause": _pause,
    "resume": _resume,
    "move": _move,
    "events": _events,
}
"""The commands by name."""
