"""A task: the unit that people see (#142), and its revisions (#142.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.model.decision import ApprovalRequirements
from core.model.errors import Problem
from core.model.intent import Intent
from core.model.lifecycle import State
from core.model.part_selection import PickedPart
from core.model.place import EVERY_REPOSITORY, RepositoryScope
from core.model.provenance import Provenance
from core.model.staged_diff import StagedDiff
from core.model.stored import StoredObject
from core.model.turn import Question


@dataclass(frozen=True, slots=True)
class PullRequest:
    """The pull request at the forge; `revision` and `digest` name what its head contains.

    `followed` is true where others act on it too, so that it is polled until it ends; `checks` summarises its checks in
    a few words, `files` is where its artifacts can be seen.
    """

    number: int
    url: str
    branch: str
    head: str
    state: str
    revision: int
    digest: str
    followed: bool = False
    checks: str = ""
    files: str = ""

    def to_json(self) -> dict[str, Any]:
        """The ``pull_request`` of the task document."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PullRequest:
        """The pull request that `to_json` wrote."""
        stored = StoredObject(value, "a pull request")
        return cls(
            number=stored["number"],
            url=stored["url"],
            branch=stored["branch"],
            head=stored["head"],
            state=stored["state"],
            revision=stored["revision"],
            digest=stored["digest"],
            followed=stored.get("followed", False),
            checks=stored.get("checks", ""),
            files=stored.get("files", ""),
        )


@dataclass(frozen=True, slots=True)
class Basis:
    """What a revision builds on: the turns it reads, and the revision whose tree it continues (None: the base).

    `authors` wrote these turns, or their words were shown to the maker of the revision, in addition to its own author.
    `passed` is the approval step of the lane's workflow after which it continues; empty: it begins with the first step.
    Only turns from number `since` on are shown to a model. `picked` are the choices of parts in it, in order.
    """

    turns: tuple[int, ...]
    continue_from: int | None = None
    authors: tuple[str, ...] = ()
    passed: str = ""
    since: int = 1
    picked: tuple[PickedPart, ...] = ()

    def written_by(self, people: Iterable[str]) -> Basis:
        """The same basis with `people` among its authors."""
        return replace(self, authors=tuple(sorted({*self.authors, *people})))

    def to_json(self) -> dict[str, Any]:
        """The basis in its stored form."""
        return {
            "turns": list(self.turns),
            "continue_from": self.continue_from,
            "authors": list(self.authors),
            "passed": self.passed,
            "since": self.since,
            "picked": [part.to_json() for part in self.picked],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Basis:
        """The basis that `to_json` wrote."""
        stored = StoredObject(value, "what a revision builds on")
        return cls(
            turns=tuple(stored["turns"]),
            continue_from=stored["continue_from"],
            authors=tuple(stored.get("authors", ())),
            passed=stored.get("passed", ""),
            since=stored.get("since", 1),
            picked=tuple(map(PickedPart.from_json, stored.get("picked", ()))),
        )


class FailureRule(StrEnum):
    """What a task does if the one that it waits for fails, is rejected, cancelled or refused, expires or is closed."""

    CANCEL = "cancel"
    RUN = "run"
    ASK = "ask"


FIRST_BASIS = Basis((1,))
"""What a new task builds on: its first turn."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One round of a task: its intent, decision and staged diff; `author` wrote the turn that began it.

    `requirements_sha256` and `guard_sha256` are the hashes of the approval requirements and of the guard's report in
    exactly the form in which they are stored. A newer version of these values has more fields, so the hashes are not
    computed from the values.
    """

    n: int
    author: str
    basis: Basis
    intent: Intent | None
    lane: str | None
    rule: str | None
    reason: str
    requirements: ApprovalRequirements | None
    policy_digest: str | None
    staged: StagedDiff | None
    provenance: Provenance | None = None
    requirements_sha256: str = ""
    guard_sha256: str = ""

    @property
    def authors(self) -> frozenset[str]:
        """Everyone whose words are in the revision."""
        return frozenset({self.author, *self.basis.authors})


@dataclass(frozen=True, slots=True)
class Task:
    """A snapshot of one task and its current revision.

    `version` grows with every change and is compared by every save; `number` is what people see. `scope` are the
    repositories of the conversation in which it was requested; `repo` is one of them. `if_failed` is what it does
    if the task `after` fails; without a rule it fails too.
    """

    id: str
    number: int
    version: int
    state: State
    repo: str | None
    requester: str
    surface: str
    title: str
    asked_lane: str | None
    priority: int
    deadline_at: datetime | None
    after: int | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    question: Question | None
    error: Problem | None
    pull_request: PullRequest | None
    current: Revision
    escalated: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    scope: RepositoryScope = EVERY_REPOSITORY
    if_failed: FailureRule | None = None

    @property
    def revision(self) -> int:
        """The number of the current revision."""
        return self.current.n

    @property
    def staged(self) -> StagedDiff | None:
        """The staged diff of the current revision, or None."""
        return self.current.staged

    @property
    def authors(self) -> frozenset[str]:
        """The authors of the current revision: the requester and everyone whose words are in it.

        None of them may approve it.
        """
        return self.authors_of(self.current)

    def authors_of(self, revision: Revision) -> frozenset[str]:
        """The authors of an earlier revision."""
        return revision.authors | {self.requester}

    @property
    def has_open_pull_request(self) -> bool:
        """Whether an earlier revision is published and its pull request still open."""
        return self.pull_request is not None and self.pull_request.state == "open"


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """A task as `list` shows it: no revision, no diff."""

    number: int
    state: State
    repo: str | None
    requester: str
    title: str
    lane: str | None
    revision: int
    digest: str | None
    priority: int
    updated_at: datetime

    def to_json(self) -> dict[str, Any]:
        """A row of ``list --json``."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        return {**shown, "state": self.state.value, "updated_at": self.updated_at.isoformat()}
