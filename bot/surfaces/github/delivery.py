"""Reads one webhook delivery: messages to the bot, and pull requests to look at again; pure.

The header that names the event is not signed, so each event is recognised by the shape of its payload, and a payload of
another shape says nothing. Nothing that an event claims about a pull request or a check is trusted: it only says where
to look (security.md 23).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from bot.surfaces.github.comment_text import (
    CommentKind,
    WrittenComment,
    clean_text,
    get_path,
    positive_int,
    read_comment,
)
from bot.surfaces.github.incoming import COMMANDS, find_input
from bot.surfaces.port import IncomingMessage, Place

SURFACE: Final = "github"
MAX_AGE: Final = timedelta(days=3)
"""GitHub lets a delivery be resent for three days; an older one is a replay (security.md 22)."""

_CHANGE_ACTIONS: Final = ("opened", "synchronize", "closed", "reopened", "edited")
_OID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REVIEW_STATES: Final = ("commented", "changes_requested")


@dataclass(frozen=True, slots=True)
class PullRequestSignal:
    """Something to look at again: a repository, and the pull request or commit if the event names one."""

    repository: str
    number: int | None
    sha: str | None


@dataclass(frozen=True, slots=True)
class GitHubDelivery:
    """The contents of one delivery; `reason` says why it has no messages."""

    messages: tuple[IncomingMessage, ...] = ()
    signals: tuple[PullRequestSignal, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Whose deliveries count: `repositories` by numeric id, and one `installation` (None: any).

    `own_id` is the bot's account and `name` its login without ``[bot]``, as people mention it. `commands` are the known
    words after a ``/``.
    """

    repositories: Collection[str]
    installation: int | None
    own_id: int | None
    name: str
    commands: Collection[str] = COMMANDS


def parse_payload(body: bytes) -> Mapping[str, Any]:
    """The JSON object in `body`; raises `ValueError` unless it has exactly one reading (security.md 24).

    Duplicate keys, NaN, bytes that are not UTF-8, and excessive nesting or numbers are refused.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key appears twice")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_delivery(event: str, payload: Mapping[str, Any], accepted: DeliveryFilter, now: datetime) -> GitHubDelivery:
    """The contents of a delivery of `event`; empty if it is unknown, unlisted, old or not a person's."""
    repository = positive_int(get_path(payload, "repository", "id"))
    if repository is None or str(repository) not in accepted.repositories:
        return GitHubDelivery(reason="the repository is not listed")
    installation = positive_int(get_path(payload, "installation", "id"))
    if accepted.installation is not None and installation not in (None, accepted.installation):
        return GitHubDelivery(reason="another installation")
    signals = tuple(dict.fromkeys(_signals(event, payload, str(repository))))
    comment = _comment_in(event, payload)
    if comment is None:
        return GitHubDelivery((), signals, "" if signals else "nothing to do")
    sender = positive_int(get_path(payload, "sender", "id"))
    if sender != comment.author.id:  # a person who edits another's text does not speak for them
        return GitHubDelivery((), signals, "not sent by its author")
    edited = get_path(payload, "action") == "edited"
    old_body = _old_body(payload) if edited else ""
    if old_body is None:
        return GitHubDelivery((), signals, "its words were not changed")
    delivery = messages_in(comment, str(repository), accepted, now, edited=edited, old_body=old_body)
    return replace(delivery, signals=signals)


def _old_body(payload: Mapping[str, Any]) -> str | None:
    """The text before an edit, as far as GitHub reports it; None if the text was not changed."""
    changes = get_path(payload, "changes")
    if isinstance(changes, Mapping) and changes and "body" not in changes:
        return None
    return clean_text(get_path(changes, "body", "from"))


def messages_in(
    comment: WrittenComment,
    repository: str,
    accepted: DeliveryFilter,
    now: datetime,
    *,
    edited: bool = False,
    old_body: str = "",
) -> GitHubDelivery:
    """The messages in a person's text: commands, a mention, or a review as a whole.

    A message that was already in the text before an edit (`old_body`) is not repeated.
    """
    author = comment.author
    if not author.is_person or author.id == accepted.own_id:
        return GitHubDelivery(reason="not written by a person")
    if comment.changed_at < now - MAX_AGE:
        return GitHubDelivery(reason="too old")
    inputs = _inputs(comment.body, accepted)
    if inputs:
        messages = tuple(_commands(comment, repository, inputs, Counter(_inputs(old_body, accepted))))
        return GitHubDelivery(messages, reason="" if messages else "the edit adds no command")
    if comment.kind is CommentKind.REVIEW and comment.state in _REVIEW_STATES and not edited:
        return GitHubDelivery((_review(comment, repository),))
    return GitHubDelivery(reason="it does not address the bot")


def _inputs(body: str, accepted: DeliveryFilter) -> tuple[str, ...]:
    github_input = find_input(body, accepted.name, accepted.commands)
    return github_input.commands or ((github_input.mention,) if github_input.mention else ())


def _commands(
    comment: WrittenComment, repository: str, inputs: Iterable[str], old_counts: Mapping[str, int]
) -> Iterable[IncomingMessage]:
    """One message per command, identified by its text and its own words; none for commands in the old text.

    So a redelivery has the same key, an edit elsewhere changes nothing, and an edited command is a new one.
    """
    counts: dict[str, int] = {}
    for command in inputs:
        counts[command] = counts.get(command, 0) + 1
        if counts[command] <= old_counts.get(command, 0):
            continue
        digest = hashlib.sha256(f"{counts[command]}:{command}".encode()).hexdigest()[:16]
        yield IncomingMessage(
            identity=str(comment.author.id),
            place=_place(comment, repository),
            text=command,
            message_id=comment.message_id,
            dedup=f"{comment.message_id}:{digest}",
            addressed=True,
            reply_to=f"{CommentKind.LINE}:{comment.reply_to_id}" if comment.reply_to_id else None,
            context=comment.location.context if comment.location else "",
            name=comment.author.login,
        )


def _review(comment: WrittenComment, repository: str) -> IncomingMessage:
    asks = " that asks for changes" if comment.state == "changes_requested" else ""
    return IncomingMessage(
        identity=str(comment.author.id),
        place=_place(comment, repository),
        text=comment.body.strip(),
        message_id=comment.message_id,
        dedup=f"{comment.message_id}:{comment.published_at:%Y-%m-%dT%H:%M:%SZ}",
        addressed=False,
        context=f"a review{asks}",
        name=comment.author.login,
    )


def _place(comment: WrittenComment, repository: str) -> Place:
    return Place(SURFACE, repository, f"{'pull' if comment.is_on_pull_request else 'issues'}/{comment.number}")


def _comment_in(event: str, payload: Mapping[str, Any]) -> WrittenComment | None:
    """The comment in a delivery of one of the three events that have one, if it was just written or edited."""
    action = get_path(payload, "action")
    if event == "issue_comment" and action in ("created", "edited"):
        on_pull = get_path(payload, "issue", "pull_request") is not None
        return read_comment(
            CommentKind.COMMENT, get_path(payload, "comment"), get_path(payload, "issue", "number"), on_pull=on_pull
        )
    number = get_path(payload, "pull_request", "number")
    if event == "pull_request_review_comment" and action in ("created", "edited"):
        return read_comment(CommentKind.LINE, get_path(payload, "comment"), number, on_pull=True)
    if event == "pull_request_review" and action in ("submitted", "edited"):
        return read_comment(CommentKind.REVIEW, get_path(payload, "review"), number, on_pull=True)
    return None


def _signals(event: str, payload: Mapping[str, Any], repository: str) -> Iterable[PullRequestSignal]:
    action = get_path(payload, "action")
    if (event == "pull_request" and action in _CHANGE_ACTIONS) or event == "pull_request_review":
        pull = get_path(payload, "pull_request")
        number = positive_int(get_path(pull, "number"))
        if number is not None:
            yield PullRequestSignal(repository, number, _sha(get_path(pull, "head", "sha")))
    elif event in ("check_suite", "check_run") and action == "completed":
        check = get_path(payload, event)
        pulls = get_path(check, "pull_requests")
        sha = _sha(get_path(check, "head_sha"))
        numbers = {positive_int(get_path(pull, "number")) for pull in pulls} if isinstance(pulls, list) else set()
        for number in sorted(each for each in numbers if each is not None) or (None,):
            yield PullRequestSignal(repository, number, sha)
    elif event == "status":
        yield PullRequestSignal(repository, None, _sha(get_path(payload, "sha")))
    elif event == "push":
        yield PullRequestSignal(repository, None, _sha(get_path(payload, "after")))


def _sha(value: Any) -> str | None:
    """A commit id, or None for anything else and for the zeros that stand for a deleted branch."""
    oid = clean_text(value).lower()
    return oid if _OID.fullmatch(oid) and set(oid) != {"0"} else None
