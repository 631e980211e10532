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
"""How far a catch-up looks back beyond the one before: clocks differ, and GitHub's lists lag a little."""
_SHORT_SECRET: Final = 16


@dataclass(slots=True)
class GitHubSurface:
    """Listens to the webhooks of the repositories in `config`, and writes comments through `comments`.

    `nudge` is told where to look again: repository id, pull request or None, commit or None. `installation` is the
    App's installation that we listen to (None: any). `name` is how people mention us; None: what GitHub says it is,
    known once `run` or `check` has asked. Raises `UsageError` without a webhook secret (security.md 28).
    """

    config: GitHubSurfaceConfig
    comments: CommentsClient
    nudge: WakeFollowJob | None = None
    name_at_github: str | None = None
    installation: int | None = None
    commands: Collection[str] = COMMANDS
    catch_up_every_s: float = 300.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name: str = SURFACE
    _me: GitHubAccount | None = None
    _speaker: GitHubSender = field(init=False)

    def __post_init__(self) -> None:
        if not (self.config.webhook_secret or "").strip():
            raise UsageError(
                "no_webhook_secret",
                "GitHub's webhooks have no secret, so anybody could send them",
                "Set a long random secret here and at the webhook.",
            )
        self._speaker = GitHubSender(self.comments)

    # -- in -----------------------------------------------------------------------------------------------------

    def routes(self, ears: Inbox) -> Sequence[BaseRoute]:
        """``POST /hooks/github``."""
        from starlette.routing import Route

        secret = (self.config.webhook_secret or "").encode()
        door = WebhookEndpoint(secret, ears, self._listening, self.now, self.nudge)
        return [Route(PATH, door.answer, methods=["POST"])]

    async def run(self, ears: Inbox) -> None:
        """Take what webhooks missed, now and every few minutes, until cancelled; GitHub delivers each only once."""
        since = self.now() - MAX_AGE
        while True:
            began, wait_s = self.now(), self.catch_up_every_s
            try:
                if self.config.repositories:
                    await self._who()
                await self.catch_up(ears, since)
                since = began - OVERLAP
            except TransientError as error:
                wait_s = max(1.0, error.retry_after_s or min(60.0, wait_s))
                log.warning("github_catch_up_put_off", problem=error.problem.message, wait_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    async def catch_up(self, ears: Inbox, since: datetime) -> int:
        """Take what was said since then, as webhooks would have brought it; how many were new.

        What was edited is left out: GitHub's lists do not tell who edited it, and another's edit is not the author's
        word. Raises `TransientError` when GitHub or the store is not there; nothing is lost by doing it again.
        """
        new = 0
        for repository, name in self.config.repositories.items():
            try:
                recent = await self.comments.recent(repository, max(since, self.now() - MAX_AGE))
            except PermanentError as error:  # the others are read all the same
                log.warning("github_repository_not_read", repository=name, problem=error.problem.message)
                continue
            new += await self._take_all(ears, repository, recent)
        return new

    async def _take_all(self, ears: Inbox, repository: str, recent: Sequence[WrittenComment]) -> int:
        new, listening = 0, self._listening()
        for written in recent:
            if _was_edited(written):
                continue
            try:
                delivery = await asyncio.to_thread(messages_in, written, repository, listening, self.now())
                taken = [await ears.take(heard) for heard in delivery.heard]
                new += sum(one.new for one in taken)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 - one comment that breaks us must not keep all others away
                log.error("comment_broke", surface=SURFACE, message=written.message_id, **fault_of(error))
        return new

    async def admits(self, said: IncomingMessage | ButtonPress) -> str | None:
        """Nothing against people who may write to that repository now; for others no words, for they get no answer.

        A comment to everybody who writes a command at a public repository would be noise (security.md 11).
        """
        return None if await self.may_speak(said) else ""

    async def may_speak(self, said: IncomingMessage | ButtonPress) -> bool:
        """Whether GitHub says now that the writer may write to that repository.

        To be asked when an `IncomingMessage` is taken up, not while GitHub waits for its 202. Never true on a doubt:
        when GitHub cannot be asked this raises `TransientError`, and the comment is looked at again later.
        """
        place = said.place
        known = place.surface == SURFACE and place.channel in self.config.repositories
        if not known or not (said.identity.isascii() and said.identity.isdecimal()):
            return False
        return await self.comments.may_write(place.channel, int(said.identity))

    async def in_full(self, said: IncomingMessage) -> IncomingMessage | None:
        """`said` with the line comments of the review that it is, and as it was for anything else.

        None when a review says nothing. To be asked once, after `admits`; keep what it returns.
        """
        found = parse_message_id(said.message_id)
        if found is not None and found[0] is CommentKind.LINE:
            return await self._with_answered(said)
        if found is None or found[0] is not CommentKind.REVIEW:
            return said
        review = await self.comments.review(said.place.channel, conversation_number(said.place), found[1])
        return add_line_comments(said, review, self._listening())

    async def _with_answered(self, said: IncomingMessage) -> IncomingMessage:
        """`said` with the line comment that it answers, where another person wrote that."""
        answered = parse_message_id(said.reply_to)
        written = await self.comments.written(said.place.channel, *answered) if answered is not None else None
        if written is None or not written.body.strip() or written.author.id == self._listening().own:
            return said
        identity = str(written.author.id) if written.author.person else ""
        return replace(said, quoted=QuotedMessage(written.body.strip(), identity, written.author.login))

    # -- out ----------------------------------------------------------------------------------------------------

    def draw(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """The card as Markdown; it names commands, for comments have no buttons."""
        del buttons
        comment = render_github_comment(card, diff, delivered=delivered)
        return RenderedCard(comment.text, comment.hides)

    async def post(self, place: Place, drawn: RenderedCard, reply_to: str | None) -> str:
        """Write the task's comment, or take up the one it has there already; its id."""
        del reply_to  # the thread is the pull request; a comment answers none in particular
        return await self._speaker.post(place, drawn)

    async def edit(self, place: Place, message_id: str, drawn: RenderedCard) -> str:
        """Change the task's comment; a new one where it was deleted, none by an earlier revision."""
        return await self._speaker.edit(place, message_id, drawn)

    async def attach(
        self, place: Place, files: Sequence[Attachment], words: str, reply_to: str | None
    ) -> Sequence[str]:
        """Write the whole diff into a comment; `PermanentError` ``too_long_here`` where it does not fit."""
        del reply_to
        return await self._speaker.attach(place, files, words)

    async def say(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """Answer with a comment; everybody who may read there reads it, `only_to` or not. Comments have no buttons."""
        del only_to
        return await self._speaker.say(place, text, reply_to, extras.mentions)

    async def acknowledge(self, place: Place, message_id: str) -> None:
        """Eyes on the comment; a review cannot have any."""
        found = parse_message_id(message_id)
        if found is not None and found[0] is not CommentKind.REVIEW:
            await self.comments.react(place.channel, *found)

    async def close(self) -> None:
        """Nothing: the client belongs to whoever made it."""

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """The secret, our account and each repository, with the mend where one is not right."""
        short = len(self.config.webhook_secret or "") < _SHORT_SECRET
        rows = [_row("secret", "warn" if short else "ok", "short" if short else "set", "Use 32 random characters.")]
        if not self.config.repositories:
            return [*rows, _row("repositories", "warn", "none, so nobody is heard", "Give them a github_id.")]
        try:
            rows.append(_row("account", "ok", f"we write as {(await self._who()).login}"))
        except CountersignError as error:
            return [*rows, _row("account", "fail", error.problem.message, str(error.problem.mend))]
        for repository, name in self.config.repositories.items():
            try:
                rows.append(_row(name, "ok", f"{await self.comments.repository(repository)} ({repository})"))
            except CountersignError as error:
                rows.append(_row(name, "fail", error.problem.message, str(error.problem.mend)))
        return rows

    def _listening(self) -> DeliveryFilter:
        name = self.name_at_github or (self._me.name if self._me else "")
        own = self._me.id if self._me else None
        return DeliveryFilter(self.config.repositories, self.installation, own, name, self.commands)

    async def _who(self) -> GitHubAccount:
        """Who we are; there must be a repository to ask through."""
        if self._me is None:
            self._me = await self.comments.me(next(iter(self.config.repositories)))
        return self._me


def _was_edited(written: WrittenComment) -> bool:
    """True unless it stands as it was published; of a review's own words no list tells a change."""
    late = PUBLISHING_DELAY if written.kind is CommentKind.LINE else timedelta()
    return written.kind is not CommentKind.REVIEW and written.changed_at > written.at + late


def _row(check: str, verdict: str, detail: str, mend: str = "") -> Mapping[str, Any]:
    return {"check": f"github: {check}", "verdict": verdict, "detail": detail, "mend": "" if verdict == "ok" else mend}
