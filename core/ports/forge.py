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
    """Where pull requests live. Every effect looks for its own earlier success before it acts."""

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        """Move `branch` to `commit` if it is at `expected` (None: absent); being at `commit` already is success.

        Raises `ConflictError` when somebody else moved it.
        """

    async def open(self, repository: Repository, proposal: PullRequestDraft) -> PullRequest:
        """Open the pull request, or adopt and update the one this branch already has."""

    async def poll(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        """The pull request as the forge has it now: state, head."""

    async def merge(
        self, repository: Repository, pull_request: PullRequest, message: str, method: str = "merge"
    ) -> str:
        """Merge if its head is still `pull_request.head`, and return the merge commit's id.

        `method` is merge, squash or rebase. Raises `ConflictError` when the head moved or the merge does not apply.
        """

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        """Close without merging; being closed already is success."""


@dataclass(frozen=True, slots=True)
class ForgeCheck:
    """One check of a pull request's head: `app` is the id of the app that reported it (None: a commit status).

    `conclusion` is None while it runs; only ``success`` is green: skipped and neutral are not (security.md 40).
    """

    name: str
    app: int | None
    conclusion: str | None


@dataclass(frozen=True, slots=True)
class PullRequestSnapshot:
    """A pull request as its forge has it at this moment: read, never taken from an event's word.

    `tree` is the tree of its head; `checks` are the newest of each name and app on that head; `objections` the logins
    whose latest review asks for changes; `mergeable` is None while the forge has not worked it out; `merged_as` is the
    merge commit and `ended_by` who merged or closed it there.
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
        """Where people talk about the pull request."""

    async def snapshot(self, repository: Repository, pull_request: PullRequest) -> PullRequestSnapshot:
        """The pull request as it is now."""

    async def set_commit_status(self, repository: Repository, mark: CommitStatus) -> None:
        """Set the commit status ``countersign``; being set so already is success."""

    async def attach(self, repository: Repository, pull_request: PullRequest, files: Mapping[str, bytes]) -> str:
        """Keep files beside the pull request, on a ref of its own; the address where people see them.

        The same files for the same pull request and revision give the same address.
        """
