"""Forges: where pull requests are opened, followed and merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from core.model.place import Place
from core.model.task import PullRequest
from core.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class PullRequestDraft:
    """A pull request to open: from `branch` at `head` into `into`."""

    number: int
    branch: str
    head: str
    into: str
    title: str
    body: str
    revision: int
    digest: str
    labels: tuple[str, ...] = ()


class Forge(Protocol):
    """Where pull requests are opened. Every method looks for its own earlier success before it acts."""

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        """Move `branch` to `commit` if it is at `expected` (None: absent); succeeds if it is at `commit` already.

        Raises `ConflictError` if it is anywhere else.
        """

    async def open(self, repository: Repository, draft: PullRequestDraft) -> PullRequest:
        """Open the pull request, or adopt and update the one that the branch already has."""

    async def poll(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        """The pull request with the state and the head that the forge has now."""

    async def merge(
        self,
        repository: Repository,
        pull_request: PullRequest,
        message: str,
        method: str = "merge",
        onto: str | None = None,
    ) -> str:
        """Merge if its head is still `pull_request.head`, and return the merge commit's id.

        `method` is merge, squash or rebase. A forge that can do so merges only into the commit `onto`, and raises
        `TransientError` if the target branch moved on; others may merge into a newer one. Raises `ConflictError` if the
        head moved or the merge does not apply.
        """

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        """Close without merging; succeeds if it is closed already."""


@dataclass(frozen=True, slots=True)
class ForgeCheck:
    """One check of a pull request's head: `app` is the id of the app that reported it (None: a commit status).

    `conclusion` is None while it runs; only ``success`` is green, not skipped or neutral (security.md 40).
    """

    name: str
    app: int | None
    conclusion: str | None


@dataclass(frozen=True, slots=True)
class PullRequestSnapshot:
    """A pull request as its forge has it at this moment; always read, never taken from a webhook's payload.

    `tree` is the tree of its head; `checks` are the newest of each name and app on that head; `objections` are the
    logins whose latest review requests changes; `mergeable` is None while the forge does not know it yet; `merged_as`
    is the merge commit and `ended_by` the login that merged or closed it there.
    """

    pull_request: PullRequest
    tree: str
    checks: tuple[ForgeCheck, ...] = ()
    objections: tuple[str, ...] = ()
    mergeable: bool | None = None
    merged_as: str | None = None
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """A commit status to set: `state` is success, pending, failure or error; `words` at most 140 characters."""

    commit: str
    state: str
    words: str


class FollowedForge(Protocol):
    """A forge where others act too: people comment, push, merge and close; checks run."""

    def place_of(self, repository: Repository, pull_request: PullRequest) -> Place:
        """Where people discuss the pull request."""

    async def snapshot(self, repository: Repository, pull_request: PullRequest) -> PullRequestSnapshot:
        """The pull request as it is now."""

    async def set_commit_status(self, repository: Repository, status: CommitStatus) -> None:
        """Set the commit status ``countersign``; succeeds if it is set so already."""

    async def attach(self, repository: Repository, pull_request: PullRequest, files: Mapping[str, bytes]) -> str:
        """Store files for the pull request on a ref of their own; returns the address where people see them.

        The same files for the same pull request and revision give the same address.
        """
