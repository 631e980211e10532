"""What the surface asks of GitHub, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.surfaces.github.comment_text import CommentKind, WrittenComment


@dataclass(frozen=True, slots=True)
class GitHubAccount:
    """Who we are at GitHub; the login of an App is ``slug[bot]``."""

    id: int
    login: str

    @property
    def name(self) -> str:
        """How people mention us."""
        return self.login.removesuffix("[bot]")


@dataclass(frozen=True, slots=True)
class OwnComment:
    """A comment that we wrote, as it is now."""

    id: int
    body: str


@dataclass(frozen=True, slots=True)
class GitHubReview:
    """A review with its line comments, in their order."""

    review: WrittenComment
    lines: tuple[WrittenComment, ...]


class CommentsClient(Protocol):
    """Comments of the repositories with these numeric ids.

    Every method raises `TransientError` when GitHub cannot be asked now (`retry_after_s` where it said so) and
    `PermanentError` when it will not have it; ``place_gone`` when the repository or the conversation is not there.
    """

    async def me(self, repository: str) -> GitHubAccount:
        """The account that our comments carry, the same in every repository; an App asks as its installation there."""

    async def repository(self, repository: str) -> str:
        """The repository's full name today, for showing."""

    async def may_write(self, repository: str, person: int) -> bool:
        """Whether the account with this id is a person's and may write there now; false for one that is gone."""

    async def login(self, repository: str, person: int) -> str | None:
        """The login that the account with this id has today, for a mention; None for one that is not there."""

    async def post(self, repository: str, number: int, body: str) -> int:
        """Write a comment; its id."""

    async def ours(self, repository: str, comment: int) -> OwnComment | None:
        """A comment by its id; None when it is gone or not ours."""

    async def edit(self, repository: str, comment: int, body: str) -> bool:
        """Change a comment of ours; false when it is gone."""

    async def find(self, repository: str, number: int, marker: str) -> OwnComment | None:
        """The newest comment there that we wrote and that begins with `marker`; others' are not looked at."""

    async def react(self, repository: str, kind: CommentKind, comment: int) -> None:
        """Give a comment or a line comment our eyes; that it is gone is no fault."""

    async def written(self, repository: str, kind: CommentKind, comment: int) -> WrittenComment | None:
        """A comment or a line comment as it is now; None when it is gone."""

    async def review(self, repository: str, number: int, review: int) -> GitHubReview | None:
        """A submitted review with its line comments; None when it is gone."""

    async def recent(self, repository: str, since: datetime) -> Sequence[WrittenComment]:
        """Comments of any conversation, and reviews and line comments of open pull requests, changed since then."""
