"""One webhook delivery: what somebody said in it, and what it is worth looking at again; pure.

The header that names the event is not signed, so each event is read by the shape its own payload has, and a payload
that has another says nothing. Nothing that an event claims about a pull request or a check is believed: it only says
where to look (security.md 23).
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
"""GitHub lets a delivery be sent again for three days; what is older is a replay (security.md 22)."""

_LOOK_AGAIN: Final = ("opened", "synchronize", "closed", "reopened", "edited")
_OID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REVIEWED: Final = ("commented", "changes_requested")


@dataclass(frozen=True, slots=True)
class PullRequestSignal:
    """Somewhere to look again: a repository, and the pull request or the commit where the event names one."""

    repository: str
    number: int | None
    sha: str | None


@dataclass(frozen=True, slots=True)
class GitHubDelivery:
    """What one delivery comes to; `why` says why nothing was heard in it."""

    heard: tuple[IncomingMessage, ...] = ()
    nudges: tuple[PullRequestSignal, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Whom we listen to: `repositories` by numeric id, one `installation` (None: any), `own` account, our `name`.

    `name` is our login without ``[bot]``, as people mention it. `commands` are the words after a ``/`` that we know.
    """

    repositories: Collection[str]
    installation: int | None
    own: int | None
    name: str
    commands: Collection[str] = COMMANDS


def parse_payload(body: bytes) -> Mapping[str, Any]:
    """The JSON object in `body`; raises `ValueError` where it is none, or could be read in two ways (security.md 24).

    Refused are duplicate keys, NaN, bytes that are no UTF-8, and nesting or numbers beyond what a payload has.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is in it twice")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def read_delivery(event: str, payload: Mapping[str, Any], listening: DeliveryFilter, now: datetime) -> GitHubDelivery:
    """What the delivery of `event` comes to for us; anything unknown, unlisted, old or not a person's says nothing."""
    repository = positive_int(get_path(payload, "repository", "id"))
    if repository is None or str(repository) not in listening.repositories:
        return GitHubDelivery(why="not a repository that is listed")
    installation = positive_int(get_path(payload, "installation", "id"))
    if listening.installation is not None and installation not in (None, listening.installation):
        return GitHubDelivery(why="another installation")
    nudges = tuple(dict.fromkeys(_nudges(event, payload, str(repository))))
    written = _written(event, payload)
    if written is None:
        return GitHubDelivery((), nudges, "" if nudges else "nothing to do")
    if (
        positive_int(get_path(payload, "sender", "id")) != written.author.id
    ):  # who edits another's words does not speak for them
        return GitHubDelivery((), nudges, "not sent by its author")
    edited = get_path(payload, "action") == "edited"
    before = _before(payload) if edited else ""
    if before is None:
        return GitHubDelivery((), nudges, "its words were not changed")
    heard = messages_in(written, str(repository), listening, now, edited=edited, before=before)
    return replace(heard, nudges=nudges)


def _before(payload: Mapping[str, Any]) -> str | None:
    """What stood there before an edit, as far as GitHub says so; None when the words were not touched."""
    changes = get_path(payload, "changes")
    if isinstance(changes, Mapping) and changes and "body" not in changes:
        return None
    return clean_text(get_path(changes, "body", "from"))


def messages_in(
    written: WrittenComment,
    repository: str,
    listening: DeliveryFilter,
    now: datetime,
    *,
    edited: bool = False,
    before: str = "",
) -> GitHubDelivery:
    """What somebody's words say to us: commands, a mention, or a review as a whole.

    What they said already in the text as it was `before` an edit is not said again.
    """
    author = written.author
    if not author.person or author.id == listening.own:
        return GitHubDelivery(why="not written by a person")
    if written.changed_at < now - MAX_AGE:
        return GitHubDelivery(why="too old")
    spoken = _spoken(written.body, listening)
    if spoken:
        heard = tuple(_commands(written, repository, spoken, Counter(_spoken(before, listening))))
        return GitHubDelivery(heard, why="" if heard else "it says what it said before")
    if written.kind is CommentKind.REVIEW and written.state in _REVIEWED and not edited:
        return GitHubDelivery((_review(written, repository),))
    return GitHubDelivery(why="it does not speak to us")


def _spoken(body: str, listening: DeliveryFilter) -> tuple[str, ...]:
    said = find_input(body, listening.name, listening.commands)
    return said.commands or ((said.mention,) if said.mention else ())


def _commands(
    written: WrittenComment, repository: str, spoken: Iterable[str], before: Mapping[str, int]
) -> Iterable[IncomingMessage]:
    """One `IncomingMessage` a command, named by the text it is in and by its own words; none that was there `before`.

    So a redelivery is the same, an edit elsewhere in the text changes nothing, and an edited command is a new one.
    """
    seen: dict[str, int] = {}
    for command in spoken:
        seen[command] = seen.get(command, 0) + 1
        if seen[command] <= before.get(command, 0):
            continue
        words = hashlib.sha256(f"{seen[command]}:{command}".encode()).hexdigest()[:16]
        yield IncomingMessage(
            identity=str(written.author.id),
            place=_place(written, repository),
            text=command,
            message_id=written.message_id,
            dedup=f"{written.message_id}:{words}",
            addressed=True,
            reply_to=f"{CommentKind.LINE}:{written.answers}" if written.answers else None,
            context=written.spot.context if written.spot else "",
            name=written.author.login,
        )


def _review(written: WrittenComment, repository: str) -> IncomingMessage:
    asks = " that asks for changes" if written.state == "changes_requested" else ""
    return IncomingMessage(
        identity=str(written.author.id),
        place=_place(written, repository),
        text=written.body.strip(),
        message_id=written.message_id,
        dedup=f"{written.message_id}:{written.at:%Y-%m-%dT%H:%M:%SZ}",
        addressed=False,
        context=f"a review{asks}",
        name=written.author.login,
    )


def _place(written: WrittenComment, repository: str) -> Place:
    return Place(SURFACE, repository, f"{'pull' if written.on_pull else 'issues'}/{written.number}")


def _written(event: str, payload: Mapping[str, Any]) -> WrittenComment | None:
    """The words in a delivery of one of the three events that have any, when they were written or edited just now."""
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


def _nudges(event: str, payload: Mapping[str, Any], repository: str) -> Iterable[PullRequestSignal]:
    action = get_path(payload, "action")
    if (event == "pull_request" and action in _LOOK_AGAIN) or event == "pull_request_review":
        pull = get_path(payload, "pull_request")
        number = positive_int(get_path(pull, "number"))
        if number is not None:
            yield PullRequestSignal(repository, number, _sha(get_path(pull, "head", "sha")))
    elif event in ("check_suite", "check_run") and action == "completed":
        check = get_path(payload, event)
        pulls = get_path(check, "pull_requests")
        sha = _sha(get_path(check, "head_sha"))
        numbers = {positive_int(get_path(pull, "number")) for pull in pulls} if isinstance(pulls, list) else set()
        for number in sorted(n for n in numbers if n is not None) or (None,):
            yield PullRequestSignal(repository, number, sha)
    elif event == "status":
        yield PullRequestSignal(repository, None, _sha(get_path(payload, "sha")))
    elif event == "push":
        yield PullRequestSignal(repository, None, _sha(get_path(payload, "after")))


def _sha(value: Any) -> str | None:
    """A commit's name, or None for anything else and for the zeros that stand for a deleted branch."""
    found = clean_text(value).lower()
    return found if _OID.fullmatch(found) and set(found) != {"0"} else None
