"""GitHub's comments in memory, for tests that need no GitHub."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bot.surfaces.github.comment_text import CommentKind, WrittenComment
from bot.surfaces.github.comments import GitHubAccount, GitHubReview, OwnComment
from core.model.errors import PermanentError


@dataclass
class MemoryComments:
    """`Comments` of one conversation; `by_others` begin like ours and are not."""

    own_account: GitHubAccount = field(default_factory=lambda: GitHubAccount(7, "countersign[bot]"))
    writers: set[int] = field(default_factory=set)
    bodies: dict[int, str] = field(default_factory=dict)
    by_others: set[int] = field(default_factory=set)
    written_by_id: dict[int, WrittenComment] = field(default_factory=dict)
    reviews: dict[int, GitHubReview] = field(default_factory=dict)
    news: list[WrittenComment] = field(default_factory=list)
    eyes: list[tuple[CommentKind, int]] = field(default_factory=list)
    edits: int = 0
    down: Exception | None = None
    asked_since: list[datetime] = field(default_factory=list)

    async def account(self, repository):
        self._up()
        return self.own_account

    async def repository(self, repository):
        self._up()
        if repository == "404":
            raise PermanentError("place_gone", "There is no such repository", "Install the App there.")
        return "Codertocat/Hello-World"

    async def login(self, repository, person):
        self._up()
        return f"user-{person}"

    async def may_write(self, repository, person):
        self._up()
        return person in self.writers

    async def post(self, repository, number, body):
        self._up()
        assert len(body) <= 65_535
        self.bodies[max(self.bodies, default=100) + 1] = body
        return max(self.bodies)

    async def own_comment(self, repository, comment):
        self._up()
        known = comment in self.bodies and comment not in self.by_others
        return OwnComment(comment, self.bodies[comment]) if known else None

    async def edit(self, repository, comment, body):
        self._up()
        assert comment not in self.by_others
        self.edits += comment in self.bodies
        if comment in self.bodies:
            self.bodies[comment] = body
        return comment in self.bodies

    async def find_own(self, repository, number, marker):
        self._up()
        found = [n for n, body in self.bodies.items() if body.startswith(marker) and n not in self.by_others]
        return OwnComment(found[-1], self.bodies[found[-1]]) if found else None

    async def react(self, repository, kind, comment):
        self._up()
        self.eyes.append((kind, comment))

    async def comment(self, repository, kind, comment):
        self._up()
        return self.written_by_id.get(comment)

    async def review(self, repository, number, review):
        self._up()
        return self.reviews.get(review)

    async def recent_comments(self, repository, since):
        self._up()
        self.asked_since.append(since)
        return [written for written in self.news if written.changed_at >= since]

    def _up(self):
        if self.down is not None:
            raise self.down
