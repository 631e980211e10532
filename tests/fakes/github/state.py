"""What the fake GitHub knows beside git: accounts, tokens, pull requests, words, checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROLES = ("read", "triage", "write", "maintain", "admin")
"""What someone may do in a repository, least first."""


def now() -> datetime:
    """The time, as GitHub tells it: whole seconds of UTC."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class Account:
    """A user, bot or organisation; `id` never changes, `login` may."""

    id: int
    login: str
    type: str = "User"


@dataclass
class Token:
    """What a token lets its bearer do; `installation` is set for the token of an app."""

    login: str
    expires_at: datetime | None = None
    installation: int | None = None
    revoked: bool = False


@dataclass
class App:
    """A GitHub App with its installations: id to the full names of repositories (None: all of the owner's)."""

    id: int
    slug: str
    public_key: str
    private_key: str = field(repr=False)
    installations: dict[int, str] = field(default_factory=dict)


@dataclass
class Comment:
    """A comment of an issue or pull request, or of a line when `path` is set."""

    id: int
    number: int
    login: str
    body: str
    at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    path: str | None = None
    line: int | None = None
    commit: str = ""
    hunk: str = ""
    review: int | None = None
    reply_to: int | None = None


@dataclass
class Reaction:
    """One reaction; `to` says to what: ("issues" | "comments" | "pulls", id)."""

    id: int
    login: str
    content: str
    to: tuple[str, int]
    at: datetime = field(default_factory=now)


@dataclass
class Review:
    """A review that was submitted."""

    id: int
    number: int
    login: str
    state: str
    body: str
    commit: str
    at: datetime = field(default_factory=now)


@dataclass
class Status:
    """A commit status."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    login: str
    at: datetime = field(default_factory=now)


@dataclass
class Check:
    """A check run of an app."""

    id: int
    sha: str
    name: str
    app_id: int
    status: str
    conclusion: str | None
    suite: int
    at: datetime = field(default_factory=now)


@dataclass
class Pull:
    """A pull request, or a plain issue where `head` is empty. `sha` is its head's commit as last seen."""

    id: int
    number: int
    title: str
    body: str | None
    login: str
    head: str
    base: str
    sha: str
    base_sha: str
    state: str = "open"
    draft: bool = False
    labels: list[str] = field(default_factory=list)
    at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    closed_at: datetime | None = None
    closed_by: str | None = None
    merged_at: datetime | None = None
    merged_by: str | None = None
    merge_sha: str | None = None
    asked: tuple[str, str] | None = None
    """The (head, base) for which someone asked whether it merges; the second time the answer is known."""


@dataclass
class Repo:
    """A repository; its git directory is called by its id, so that a rename moves nothing."""

    id: int
    owner: str
    name: str
    path: Path
    default_branch: str = "main"
    private: bool = True
    roles: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    reactions: dict[int, Reaction] = field(default_factory=dict)
    reviews: dict[int, Review] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    checks: dict[int, Check] = field(default_factory=dict)
    suites: dict[tuple[str, int], int] = field(default_factory=dict)
    methods: frozenset[str] = frozenset({"merge", "squash", "rebase"})
    required: tuple[str, ...] = ()
    """Contexts that must be green before GitHub itself lets anybody merge."""
    at: datetime = field(default_factory=now)

    @property
    def full_name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    def role_of(self, login: str) -> str | None:
        """What `login` may do here, None for nothing at all."""
        found = {name.lower(): role for name, role in self.roles.items()}.get(login.lower())
        return found or (None if self.private else "read")

    def may(self, login: str, role: str) -> bool:
        """Whether `login` has at least `role` here."""
        has = self.role_of(login)
        return has is not None and ROLES.index(has) >= ROLES.index(role)


@dataclass(frozen=True)
class Event:
    """A webhook as it was sent: `body` are its exact bytes."""

    name: str
    delivery: str
    body: bytes
    payload: dict[str, Any]
    repo: str
