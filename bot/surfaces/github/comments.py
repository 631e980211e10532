"""The port to GitHub's comments: everything that the surface asks of GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.surfaces.github.comment_text import CommentKind, WrittenComment


@dataclass(frozen=True, slots=True)
class GitHubAccount:
    """The bot's account at GitHub; the login of an App is ``slug[bot]``."""

    id: int
    login: str

    @property
    def name(self) -> str:
        """The name by which people mention the bot."""
        return self.login.removesuffix("[bot]")


@dataclass(frozen=True, slots=True)
class OwnComment:
    """A comment that the bot wrote, in its current form."""

    id: int
    body: str


@dataclass(frozen=True, slots=True)
class GitHubReview:
    """A review with its line comments in order."""

    review: WrittenComment
    lines: tuple[WrittenComment, ...]


class CommentsClient(Protocol):
    """Comments of repositories, which are named by their numeric ids.

    Every method raises `TransientError` if GitHub is unavailable (with `retry_after_s` if it gave one) and
    `PermanentError` if it refuses; ``place_gone`` if the repository or the conversation does not exist.
    """

    async def account(self, repository: str) -> GitHubAccount:
        """The account that writes our comments, the same in every repository; an App asks as its installation."""

    async def repository(self, repository: str) -> str:
        """The repository's current full name, for display."""

    async def may_write(self, repository: str, person: int) -> bool:
        """Whether the account with this id is a person's and may write there now; false if it is gone."""

    async def login(self, repository: str, person: int) -> str | None:
        """The current login of the account with this id, for a mention; None if it is gone."""

    async def post(self, repository: str, number: int, body: str) -> int:
        """Write a comment; returns its id."""

    async def own_comment(self, repository: str, comment: int) -> OwnComment | None:
        """A comment by its id; None if it is gone or not ours."""

    async def edit(self, repository: str, comment: int, body: str) -> bool:
        """Change one of our comments; returns false if it is gone."""

    async def find_own(self, repository: str, number: int, marker: str) -> OwnComment | None:
        """Our newest comment there that begins with `marker`; others' comments are ignored."""

    async def react(self, repository: str, kind: CommentKind, comment: int) -> None:
        """React to a comment or a line comment with eyes; a deleted one is ignored."""

    async def comment(self, repository: str, kind: CommentKind, comment: int) -> WrittenComment | None:
        """A comment or a line comment in its current form; None if it is gone."""

    async def review(self, repository: str, number: int, review: int) -> GitHubReview | None:
        """A submitted review with its line comments; None if it is gone."""

    async def recent_comments(self, repository: str, since: datetime) -> Sequence[WrittenComment]:
        """Comments of any conversation, and reviews and line comments of open pull requests, changed since then."""
