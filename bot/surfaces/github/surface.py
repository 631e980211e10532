"""GitHub comments as a `bot.surfaces.port.Surface`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.surfaces.github.card import render_github_comment
from bot.surfaces.github.comment_text import CommentKind, WrittenComment
from bot.surfaces.github.comments import CommentsClient, GitHubAccount
from bot.surfaces.github.delivery import MAX_AGE, SURFACE, DeliveryFilter, messages_in
from bot.surfaces.github.incoming import COMMANDS
from bot.surfaces.github.review import PUBLISHING_DELAY, add_line_comments
from bot.surfaces.github.sending import GitHubSender, conversation_number, parse_message_id
from bot.surfaces.github.webhook import WakeFollowJob, WebhookEndpoint
from bot.surfaces.port import (
    NO_EXTRAS,
    Attachment,
    ButtonPress,
    Buttons,
    Extras,
    GitHubSurfaceConfig,
    Inbox,
    IncomingMessage,
    Place,
    QuotedMessage,
    RenderedCard,
)
from core.log import fault_of, log
from core.model.errors import CountersignError, PermanentError, TransientError, UsageError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

PATH: Final = "/hooks/github"
OVERLAP: Final = timedelta(minutes=10)
"""How far a catch-up reaches back before the previous one: clocks differ, and GitHub's lists lag slightly."""
_SHORT_SECRET: Final = 16


@dataclass(slots=True)
class GitHubSurface:
    """Receives the webhooks of the repositories in `config`, and writes comments through `comments`.

    `wake_follow_job` is called with what changed: repository id, pull request or None, commit or None. `installation`
    is the App's installation to accept (None: any). `name_at_github` is how people mention the bot; None: GitHub's own
    name, known once `run` or `check` has asked. Raises `UsageError` without a webhook secret (security.md 28).
    """

    config: GitHubSurfaceConfig
    comments: CommentsClient
    wake_follow_job: WakeFollowJob | None = None
    name_at_github: str | None = None
    installation: int | None = None
    commands: Collection[str] = COMMANDS
    catch_up_every_s: float = 300.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name: str = SURFACE
    _account: GitHubAccount | None = None
    _sender: GitHubSender = field(init=False)

    def __post_init__(self) -> None:
        if not (self.config.webhook_secret or "").strip():
            raise UsageError(
                "no_webhook_secret",
                "GitHub's webhooks have no secret, so anyone could send them",
                "Set a long random secret here and at the webhook.",
            )
        self._sender = GitHubSender(self.comments)

    # -- in -----------------------------------------------------------------------------------------------------

    def routes(self, inbox: Inbox) -> Sequence[BaseRoute]:
        """``POST /hooks/github``."""
        from starlette.routing import Route

        secret = (self.config.webhook_secret or "").encode()
        endpoint = WebhookEndpoint(secret, inbox, self._filter, self.now, self.wake_follow_job)
        return [Route(PATH, endpoint.answer, methods=["POST"])]

    async def run(self, inbox: Inbox) -> None:
        """Accept what webhooks missed, now and every few minutes, until cancelled; GitHub delivers each once."""
        since = self.now() - MAX_AGE
        while True:
            began, wait_s = self.now(), self.catch_up_every_s
            try:
                if self.config.repositories:
                    await self._own_account()
                await self.catch_up(inbox, since)
                since = began - OVERLAP
            except TransientError as error:
                wait_s = max(1.0, error.retry_after_s or min(60.0, wait_s))
                log.warning("github_catch_up_put_off", problem=error.problem.message, wait_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    async def catch_up(self, inbox: Inbox, since: datetime) -> int:
        """Accept the comments since then, as webhooks would have delivered them; returns how many were new.

        Edited comments are left out: GitHub's lists do not say who edited them, and another person's edit is not the
        author's word. Raises `TransientError` if GitHub or the store is unavailable; repeating it loses nothing.
        """
        new = 0
        for repository, name in self.config.repositories.items():
            try:
                recent = await self.comments.recent_comments(repository, max(since, self.now() - MAX_AGE))
            except PermanentError as error:  # the others are read anyway
                log.warning("github_repository_not_read", repository=name, problem=error.problem.message)
                continue
            new += await self._accept_all(inbox, repository, recent)
        return new

    async def _accept_all(self, inbox: Inbox, repository: str, recent: Sequence[WrittenComment]) -> int:
        new, accepted = 0, self._filter()
        for comment in recent:
            if _was_edited(comment):
                continue
            try:
                delivery = await asyncio.to_thread(messages_in, comment, repository, accepted, self.now())
                stored = [await inbox.accept(message) for message in delivery.messages]
                new += sum(delivery_record.is_new for delivery_record in stored)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 - one comment that fails must not block all others
                log.error("comment_broke", surface=SURFACE, message=comment.message_id, **fault_of(error))
        return new

    async def check_access(self, message: IncomingMessage | ButtonPress) -> str | None:
        """Allow people who may write to that repository now; refuse others silently.

        Replying to everyone who writes a command at a public repository would be noise (security.md 11).
        """
        return None if await self.may_write(message) else ""

    async def may_write(self, message: IncomingMessage | ButtonPress) -> bool:
        """Whether GitHub says now that the sender may write to that repository.

        Asked when a stored message is processed, not while GitHub waits for its 202. Never true in doubt: if GitHub is
        unavailable this raises `TransientError`, and the comment is processed later.
        """
        place = message.place
        is_listed = place.surface == SURFACE and place.channel in self.config.repositories
        if not is_listed or not (message.identity.isascii() and message.identity.isdecimal()):
            return False
        return await self.comments.may_write(place.channel, int(message.identity))

    async def complete_message(self, message: IncomingMessage) -> IncomingMessage | None:
        """The message with its review's line comments, or with the line comment that it replies to.

        None if a review has no text. Called once, after `check_access`; the result must be stored.
        """
        parts = parse_message_id(message.message_id)
        if parts is not None and parts[0] is CommentKind.LINE:
            return await self._with_replied_to(message)
        if parts is None or parts[0] is not CommentKind.REVIEW:
            return message
        review = await self.comments.review(message.place.channel, conversation_number(message.place), parts[1])
        return add_line_comments(message, review, self._filter())

    async def _with_replied_to(self, message: IncomingMessage) -> IncomingMessage:
        """The message with the line comment that it replies to, if another person wrote that."""
        replied_to = parse_message_id(message.reply_to)
        comment = await self.comments.comment(message.place.channel, *replied_to) if replied_to is not None else None
        if comment is None or not comment.body.strip() or comment.author.id == self._filter().own_id:
            return message
        identity = str(comment.author.id) if comment.author.is_person else ""
        return replace(message, quoted=QuotedMessage(comment.body.strip(), identity, comment.author.login))

    # -- out ----------------------------------------------------------------------------------------------------

    def render(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """The card as Markdown; it names commands, because comments have no buttons."""
        del buttons
        comment = render_github_comment(card, diff, delivered=delivered)
        return RenderedCard(comment.text, comment.hides_lines)

    async def post(self, place: Place, rendered: RenderedCard, reply_to: str | None) -> str:
        """Create the task's comment, or update the existing one; returns its id."""
        del reply_to  # the thread is the pull request; a comment replies to no other comment
        return await self._sender.post(place, rendered)

    async def edit(self, place: Place, message_id: str, rendered: RenderedCard) -> str:
        """Update the task's comment; creates a new one if it was deleted, never for an earlier revision."""
        return await self._sender.edit(place, message_id, rendered)

    async def attach(
        self, place: Place, files: Sequence[Attachment], caption: str, reply_to: str | None
    ) -> Sequence[str]:
        """Write the whole diff into a comment; raises `PermanentError` ``too_long_here`` if it does not fit."""
        del reply_to
        return await self._sender.attach(place, files, caption)

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """Reply with a comment, which every reader of the repository sees; comments have no buttons."""
        del only_to
        return await self._sender.send_text(place, text, reply_to, extras.mentions)

    async def acknowledge(self, place: Place, message_id: str) -> None:
        """React to the comment with eyes; a review cannot have reactions."""
        parts = parse_message_id(message_id)
        if parts is not None and parts[0] is not CommentKind.REVIEW:
            await self.comments.react(place.channel, *parts)

    async def close(self) -> None:
        """Nothing to do: the client belongs to the caller."""

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """The webhook secret, the bot's account and each repository."""
        is_short = len(self.config.webhook_secret or "") < _SHORT_SECRET
        rows = [
            _row("secret", "warn" if is_short else "ok", "short" if is_short else "set", "Use 32 random characters.")
        ]
        if not self.config.repositories:
            return [*rows, _row("repositories", "warn", "none, so no comment is read", "Give them a github_id.")]
        try:
            rows.append(_row("account", "ok", f"comments are written as {(await self._own_account()).login}"))
        except CountersignError as error:
            return [*rows, _row("account", "fail", error.problem.message, str(error.problem.mend))]
        for repository, name in self.config.repositories.items():
            try:
                rows.append(_row(name, "ok", f"{await self.comments.repository(repository)} ({repository})"))
            except CountersignError as error:
                rows.append(_row(name, "fail", error.problem.message, str(error.problem.mend)))
        return rows

    def _filter(self) -> DeliveryFilter:
        name = self.name_at_github or (self._account.name if self._account else "")
        own = self._account.id if self._account else None
        return DeliveryFilter(self.config.repositories, self.installation, own, name, self.commands)

    async def _own_account(self) -> GitHubAccount:
        """The bot's account; asking needs a repository."""
        if self._account is None:
            self._account = await self.comments.account(next(iter(self.config.repositories)))
        return self._account


def _was_edited(comment: WrittenComment) -> bool:
    """Whether it changed after it was published; for a review's own text, no list reports changes."""
    delay = PUBLISHING_DELAY if comment.kind is CommentKind.LINE else timedelta()
    return comment.kind is not CommentKind.REVIEW and comment.changed_at > comment.published_at + delay


def _row(check: str, verdict: str, detail: str, mend: str = "") -> Mapping[str, Any]:
    return {"check": f"github: {check}", "verdict": verdict, "detail": detail, "mend": "" if verdict == "ok" else mend}
