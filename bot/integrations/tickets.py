"""Tickets: keys such as ABC-123 that a request names, links to them, and a comment there once there is news.

Only the keys of configured projects are seen, and none in code or addresses. Comments go through the same client and
the same durable deliveries as webhooks.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from core.model.errors import PermanentError, TransientError

if TYPE_CHECKING:  # most commands read a configuration and deliver nothing
    from core.model.event import Event
    from core.model.task import Task
    from core.model.turn import Turn
    from core.model.webhook_delivery import WebhookDelivery

MOST: Final = 10
"""Tickets that one request is linked to."""
LINEAR_API: Final = "https://api.linear.app/graphql"
KINDS: Final = {"task.published": "A pull request is open", "task.merged": "The pull request is merged"}
"""The events that a ticket gets a comment about, and how the comment begins."""

_KEY: Final = re.compile(r"(?<![\w/.#@-])([A-Z][A-Z0-9_]{0,19})-([1-9][0-9]{0,8})(?![\w/@-]|\.\w)", re.ASCII)
_WORD: Final = re.compile(r"\S+")
_CODE: Final = re.compile(r"`[^`\n]*`")
_COMMENT: Final = "mutation($input: CommentCreateInput!) { commentCreate(input: $input) { success } }"


@dataclass(frozen=True, slots=True)
class Jira:
    """A Jira: its address and the projects whose keys are seen.

    With a `user` the `token` is an API token of Jira Cloud, without one a personal token of a server. No token: links
    only. `allow_private` for a Jira of one's own network.
    """

    url: str
    projects: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    allow_private: bool = False

    def link(self, key: str) -> str:
        """Where people see a ticket."""
        return f"{self.url.rstrip('/')}/browse/{quote(key)}"


@dataclass(frozen=True, slots=True)
class Linear:
    """A Linear workspace, as its addresses name it, and the teams whose keys are seen. No token: links only."""

    workspace: str
    teams: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    url: str = LINEAR_API
    allow_private: bool = False

    def link(self, key: str) -> str:
        """Where people see a ticket."""
        return f"https://linear.app/{quote(self.workspace, safe='')}/issue/{quote(key)}"


@dataclass(frozen=True, slots=True)
class Trackers:
    """The issue trackers of one home; a key that both know is Jira's."""

    jira: Jira | None = None
    linear: Linear | None = None

    def of(self, prefix: str) -> str | None:
        """Which of them has the project or team called `prefix`."""
        if self.jira is not None and prefix in self.jira.projects:
            return "jira"
        return "linear" if self.linear is not None and prefix in self.linear.teams else None

    def speaks(self, name: str) -> bool:
        """Whether comments are written there."""
        tracker = self.jira if name == "jira" else self.linear
        return tracker is not None and tracker.token is not None


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket: the tracker's name, its key, and where people see it."""

    tracker: str
    key: str
    url: str


def tickets_in(text: str, trackers: Trackers) -> tuple[Ticket, ...]:
    """The tickets that a text names, in order, once each, at most `MOST`; pure, linear in the text."""
    tickets: dict[str, Ticket] = {}
    for match in _KEY.finditer(_prose(text)):
        key, name = match.group(0), trackers.of(match.group(1))
        if name is None or key in tickets:
            continue
        tracker = trackers.jira if name == "jira" else trackers.linear
        assert tracker is not None
        tickets[key] = Ticket(name, key, tracker.link(key))
        if len(tickets) == MOST:
            break
    return tuple(tickets.values())


def body_line(tickets: Sequence[Ticket]) -> str:
    """One line of Markdown for a pull request's body; empty without tickets. Keys and addresses are ours to trust."""
    links = ", ".join(f"[{ticket.key}]({ticket.url})" for ticket in tickets)
    return f"Tickets: {links}" if links else ""


def _prose(text: str) -> str:
    """The text without code and addresses; an open fence goes on to the end."""
    outside = "\n".join(text.split("```")[::2])
    plain = _CODE.sub(" ", outside)
    return _WORD.sub(lambda word: " " if "://" in word[0] or word[0].lower().startswith("www.") else word[0], plain)


class TicketReply(Protocol):
    """What came back."""

    @property
    def body(self) -> bytes:
        """As much of it as was read."""


class TicketPoster(Protocol):
    """Who calls out; `bot.integrations.webhooks.client.CheckedClient`."""

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, allow_private: bool = False
    ) -> TicketReply:
        """The reply to a call; raises `TransientError` and `PermanentError` for any but a good one."""


@dataclass(frozen=True, slots=True)
class TicketComments:
    """Receivers for `WebhookSender`: one of the name ``jira:KEY`` or ``linear:KEY`` for each ticket."""

    trackers: Callable[[], Trackers]
    client: TicketPoster
    prefixes: tuple[str, ...] = ("jira:", "linear:")

    def wants(self, event: Event) -> bool:
        """Whether an event may be worth a comment."""
        return event.kind in KINDS

    def owed(self, event: Event, task: Task | None, turns: Sequence[Turn]) -> Mapping[str, str]:
        """The comments that an event is worth: facts of ours, nothing that anybody wrote."""
        if task is None or event.kind not in KINDS or task.pull_request is None:
            return {}
        trackers = self.trackers()
        text = "\n".join(turn.text for turn in turns)
        opened = task.pull_request
        comment = f"{KINDS[event.kind]}: {opened.url} (Countersign #{task.number}, revision {task.revision})"
        return {
            f"{ticket.tracker}:{ticket.key}": json.dumps({"comment": comment})
            for ticket in tickets_in(text, trackers)
            if trackers.speaks(ticket.tracker)
        }

    async def deliver(self, delivery: WebhookDelivery) -> None:
        """Write the comment. Linear takes it once, whatever; a Jira may show it twice after a lost answer."""
        name, _, key = delivery.hook.partition(":")
        trackers = self.trackers()
        if not trackers.speaks(name):
            raise PermanentError("no_tracker", f"{name} is not configured any more", "Configure it again.")
        comment = str(json.loads(delivery.body)["comment"])
        if name == "jira":
            assert trackers.jira is not None
            await self._jira(trackers.jira, key, comment)
        else:
            assert trackers.linear is not None
            await self._linear(trackers.linear, key, comment, delivery.id)

    async def _jira(self, jira: Jira, key: str, comment: str) -> None:
        """POST /rest/api/2/issue/{key}/comment, whose body is plain text, on Cloud and servers alike.

        https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issue-comments/
        """
        if jira.user is not None:
            authorization = f"Basic {base64.b64encode(f'{jira.user}:{jira.token}'.encode()).decode()}"
        else:
            authorization = f"Bearer {jira.token}"
        url = f"{jira.url.rstrip('/')}/rest/api/2/issue/{quote(key)}/comment"
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        await self.client.post(url, _json({"body": comment}), headers, allow_private=jira.allow_private)

    async def _linear(self, linear: Linear, key: str, comment: str, name: str) -> None:
        """The mutation commentCreate: its `issueId` may be an issue's key, and its `id` is ours, so that it is once.

        https://studio.apollographql.com/public/Linear-API/variant/current/schema/reference/inputs/CommentCreateInput
        """
        once = uuid.UUID(bytes=sha256(name.encode()).digest()[:16], version=4)
        asked = {"query": _COMMENT, "variables": {"input": {"id": str(once), "issueId": key, "body": comment}}}
        headers = {"Content-Type": "application/json", "Authorization": str(linear.token)}
        reply = await self.client.post(linear.url, _json(asked), headers, allow_private=linear.allow_private)
        _check_linear(reply.body)


def _check_linear(body: bytes) -> None:
    """GraphQL tells its errors with status 200."""
    try:
        answer: Any = json.loads(body)
        errors = answer.get("errors") or []
        codes = {str((error.get("extensions") or {}).get("code", "")) for error in errors}
    except (ValueError, AttributeError, RecursionError) as error:
        raise TransientError("not_taken", "Linear's answer cannot be read", "It is tried again.") from error
    if "RATELIMITED" in codes:
        raise TransientError("not_taken", "Linear has had enough for now", "It is tried again.", retry_after_s=600)
    if errors:
        raise PermanentError("refused_there", "Linear refused the comment", "Check the token, and that the ticket is.")


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
