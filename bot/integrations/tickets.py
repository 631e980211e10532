"""Tickets: links for ticket keys such as ABC-123 in a request, and comments on these tickets.

Only keys of configured projects count, not those in code or URLs. Comments use the HTTP client and the durable
deliveries of webhooks.
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

MAX_TICKETS: Final = 10
"""Maximum tickets linked to one request."""
LINEAR_API: Final = "https://api.linear.app/graphql"
ANNOUNCED_EVENTS: Final = {"task.published": "A pull request is open", "task.merged": "The pull request is merged"}
"""The events that cause a comment, and its first words."""

_KEY: Final = re.compile(r"(?<![\w/.#@-])([A-Z][A-Z0-9_]{0,19})-([1-9][0-9]{0,8})(?![\w/@-]|\.\w)", re.ASCII)
_WORD: Final = re.compile(r"\S+")
_CODE: Final = re.compile(r"`[^`\n]*`")
_COMMENT: Final = "mutation($input: CommentCreateInput!) { commentCreate(input: $input) { success } }"


@dataclass(frozen=True, slots=True)
class Jira:
    """A Jira server: its address and the projects whose keys count.

    With a `user` the `token` is an API token of Jira Cloud, without one a personal access token of a server. Without a
    token there are only links. `allow_private` permits a Jira on a private network.
    """

    url: str
    projects: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    allow_private: bool = False

    def link(self, key: str) -> str:
        """The URL of a ticket for people."""
        return f"{self.url.rstrip('/')}/browse/{quote(key)}"


@dataclass(frozen=True, slots=True)
class Linear:
    """A Linear workspace, by the name in its URLs, and the teams whose keys count; without a token only links."""

    workspace: str
    teams: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    url: str = LINEAR_API
    allow_private: bool = False

    def link(self, key: str) -> str:
        """The URL of a ticket for people."""
        return f"https://linear.app/{quote(self.workspace, safe='')}/issue/{quote(key)}"


@dataclass(frozen=True, slots=True)
class Trackers:
    """The issue trackers of one home; a key that fits both belongs to Jira."""

    jira: Jira | None = None
    linear: Linear | None = None

    def tracker_for(self, prefix: str) -> str | None:
        """The tracker that has the project or team `prefix`, or None."""
        if self.jira is not None and prefix in self.jira.projects:
            return "jira"
        return "linear" if self.linear is not None and prefix in self.linear.teams else None

    def can_comment(self, name: str) -> bool:
        """Whether comments can be written there."""
        tracker = self.jira if name == "jira" else self.linear
        return tracker is not None and tracker.token is not None


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket: the tracker's name, its key, and its URL."""

    tracker: str
    key: str
    url: str


def tickets_in(text: str, trackers: Trackers) -> tuple[Ticket, ...]:
    """The tickets that a text names, in order, without duplicates, at most `MAX_TICKETS`; pure, in linear time."""
    tickets: dict[str, Ticket] = {}
    for match in _KEY.finditer(_prose(text)):
        key, name = match.group(0), trackers.tracker_for(match.group(1))
        if name is None or key in tickets:
            continue
        tracker = trackers.jira if name == "jira" else trackers.linear
        assert tracker is not None
        tickets[key] = Ticket(name, key, tracker.link(key))
        if len(tickets) == MAX_TICKETS:
            break
    return tuple(tickets.values())


def body_line(tickets: Sequence[Ticket]) -> str:
    """A line of Markdown for a pull request's body; empty without tickets."""
    links = ", ".join(f"[{ticket.key}]({ticket.url})" for ticket in tickets)
    return f"Tickets: {links}" if links else ""


def _prose(text: str) -> str:
    """The text without code and URLs; an unclosed fence extends to the end."""
    outside = "\n".join(text.split("```")[::2])
    plain = _CODE.sub(" ", outside)
    return _WORD.sub(lambda word: " " if "://" in word[0] or word[0].lower().startswith("www.") else word[0], plain)


class TicketReply(Protocol):
    """The response of a tracker."""

    @property
    def body(self) -> bytes:
        """The part of the body that was read."""


class TicketPoster(Protocol):
    """The HTTP client; `bot.integrations.webhooks.client.CheckedClient`."""

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, allow_private: bool = False
    ) -> TicketReply:
        """Send a request; raises `TransientError` or `PermanentError` unless the response is a success."""


@dataclass(frozen=True, slots=True)
class TicketComments:
    """Webhook receivers named ``jira:KEY`` and ``linear:KEY``, one per ticket."""

    trackers: Callable[[], Trackers]
    client: TicketPoster
    prefixes: tuple[str, ...] = ("jira:", "linear:")

    def wants(self, event: Event) -> bool:
        """Whether an event may cause a comment."""
        return event.kind in ANNOUNCED_EVENTS

    def owed(self, event: Event, task: Task | None, turns: Sequence[Turn]) -> Mapping[str, str]:
        """The comments that an event owes; they contain only facts of our own, no text of people."""
        if task is None or event.kind not in ANNOUNCED_EVENTS or task.pull_request is None:
            return {}
        trackers = self.trackers()
        text = "\n".join(turn.text for turn in turns)
        pull_request = task.pull_request
        comment = (
            f"{ANNOUNCED_EVENTS[event.kind]}: {pull_request.url} (Countersign #{task.number}, revision {task.revision})"
        )
        return {
            f"{ticket.tracker}:{ticket.key}": json.dumps({"comment": comment})
            for ticket in tickets_in(text, trackers)
            if trackers.can_comment(ticket.tracker)
        }

    async def deliver(self, delivery: WebhookDelivery) -> None:
        """Write the comment. Linear accepts it once; Jira may show it twice after a lost response."""
        name, _, key = delivery.hook.partition(":")
        trackers = self.trackers()
        if not trackers.can_comment(name):
            raise PermanentError("no_tracker", f"{name} is no longer configured", "Configure it again.")
        comment = str(json.loads(delivery.body)["comment"])
        if name == "jira":
            assert trackers.jira is not None
            await self._jira(trackers.jira, key, comment)
        else:
            assert trackers.linear is not None
            await self._linear(trackers.linear, key, comment, delivery.id)

    async def _jira(self, jira: Jira, key: str, comment: str) -> None:
        """POST /rest/api/2/issue/{key}/comment with plain text, on Cloud and servers alike.

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
        """The mutation commentCreate; `issueId` may be an issue's key, and our own `id` makes it idempotent.

        https://studio.apollographql.com/public/Linear-API/variant/current/schema/reference/inputs/CommentCreateInput
        """
        comment_id = uuid.UUID(bytes=sha256(name.encode()).digest()[:16], version=4)
        request = {"query": _COMMENT, "variables": {"input": {"id": str(comment_id), "issueId": key, "body": comment}}}
        headers = {"Content-Type": "application/json", "Authorization": str(linear.token)}
        reply = await self.client.post(linear.url, _json(request), headers, allow_private=linear.allow_private)
        _check_linear(reply.body)


def _check_linear(body: bytes) -> None:
    """Raise for GraphQL errors, which come with status 200."""
    try:
        document: Any = json.loads(body)
        errors = document.get("errors") or []
        codes = {str((error.get("extensions") or {}).get("code", "")) for error in errors}
    except (ValueError, AttributeError, RecursionError) as error:
        raise TransientError("not_taken", "Linear's response cannot be read", "Countersign tries again.") from error
    if "RATELIMITED" in codes:
        raise TransientError("not_taken", "Linear limits requests now", "Countersign tries again.", retry_after_s=600)
    if errors:
        raise PermanentError(
            "refused_there", "Linear refused the comment", "Check the token, and that the ticket exists."
        )


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
