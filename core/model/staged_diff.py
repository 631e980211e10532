"""The staged diff: the immutable change that people approve, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from core.model.change import Change, FileChange
from core.model.errors import PermanentError
from core.model.stored import StoredObject

DIGEST_DOMAIN = b"countersign-staged-diff-v1"

TYPED_DIGITS = 20
"""Digits of a digest that are displayed, and the fewest that a person may type (decision 0036)."""


class Differ(Protocol):
    """The part of `core.ports.repository.Repository` that this module uses."""

    async def change(self, base: str, tree: str) -> Change:
        """What differs between commit `base` and tree `tree`."""


class GuardVerdict(StrEnum):
    """The result of one of the guard's checks."""

    PASS = "pass"  # noqa: S105 (a verdict, no password)
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's verdict, on one path or on the whole change."""

    check: str
    verdict: GuardVerdict
    detail: str
    path: str | None = None

    def to_json(self) -> dict[str, object]:
        """The finding as the task document shows it."""
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "detail": self.detail,
            "path": self.path,
        }


@dataclass(frozen=True, slots=True)
class GuardReport:
    """All findings on one change; a single block blocks it."""

    findings: tuple[Finding, ...]

    @property
    def blocked(self) -> bool:
        """True if a finding blocks."""
        return any(f.verdict is GuardVerdict.BLOCK for f in self.findings)

    def blocks(self) -> tuple[Finding, ...]:
        """The findings that block."""
        return tuple(f for f in self.findings if f.verdict is GuardVerdict.BLOCK)

    def beside(self, more: Iterable[Finding]) -> GuardReport:
        """One report of these and further findings."""
        return GuardReport((*self.findings, *more))

    def to_json(self) -> list[dict[str, object]]:
        """The ``guard`` array of the task document."""
        return [f.to_json() for f in self.findings]

    @classmethod
    def from_json(cls, value: list[dict[str, Any]]) -> GuardReport:
        """The report that `to_json` wrote; its version is that of the staged diff that it is part of."""
        return cls(tuple(Finding(f["check"], GuardVerdict(f["verdict"]), f["detail"], f.get("path")) for f in value))


@dataclass(frozen=True, slots=True)
class StagedDiff:
    """A produced change, the guard's report on it, and the digest that names it.

    `files` are the task document's rows (contract.md); the bytes are in git under `tree`.
    """

    digest: str
    repository: str
    base: str
    tree: str
    files: tuple[dict[str, Any], ...]
    guard: GuardReport

    @property
    def changes(self) -> tuple[FileChange, ...]:
        """Its files in the form that the guard's checks on the tree get, without git's object ids."""
        return tuple(map(FileChange.from_json, self.files))

    @property
    def is_as_digested(self) -> bool:
        """Whether its files match the digest; rows of older versions, which lack the hashes, pass."""
        if any("sha256" not in file for file in self.files):
            return True
        return digest_of(self.repository, self.base, self.changes) == self.digest

    def to_json(self) -> dict[str, Any]:
        """The staged diff as stored with its revision."""
        return {
            "digest": self.digest,
            "repository": self.repository,
            "base": self.base,
            "tree": self.tree,
            "files": list(self.files),
            "guard": self.guard.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> StagedDiff:
        """The staged diff that `to_json` wrote."""
        stored = StoredObject(value, "a staged diff")
        return cls(
            digest=stored["digest"],
            repository=stored["repository"],
            base=stored["base"],
            tree=stored["tree"],
            files=tuple(stored["files"]),
            guard=GuardReport.from_json(stored["guard"]),
        )


async def verified_change(repository: Differ, staged: StagedDiff) -> Change:
    """The change that git has for a staged diff, after checking that the digest names exactly that.

    Raises `PermanentError` for a row that names another tree, base or repository than the digest: everything that is
    shown to an approver, pushed or merged is checked here (security.md 156).
    """
    change = await repository.change(staged.base, staged.tree)
    digest = digest_of(change.repository, change.base, change.files)
    if change.repository != staged.repository or digest != staged.digest:
        raise PermanentError(
            "not_as_digested",
            f"the stored change does not match the digest {short_digest(staged.digest)}",
            "The database was modified outside Countersign. Reply to the task to make its change again.",
        )
    return change


def short_digest(digest: str) -> str:
    """The beginning of `digest` that cards, commands and messages show, long enough to be typed."""
    return digest[:TYPED_DIGITS]


def stage(change: Change, report: GuardReport) -> StagedDiff:
    """Stage `change` under its digest, with the guard's `report`."""
    return StagedDiff(
        digest=digest_of(change.repository, change.base, change.files),
        repository=change.repository,
        base=change.base,
        tree=change.tree,
        files=tuple(f.to_json() for f in change.files),
        guard=report,
    )


def digest_of(repository: str, base: str, files: Iterable[FileChange]) -> str:
    """The 64 hex digits that name exactly these bytes on this base of this repository.

    sha256 over the domain name, repository id, base commit id and, sorted by path bytes, each file's path,
    old and new mode, old and new blob sha256; every field is preceded by its length (8 bytes, big endian),
    so no two different changes can spell the same input. Independent of any diff algorithm (security.md 81).
    """
    hasher = hashlib.sha256()

    def feed(field: bytes) -> None:
        hasher.update(len(field).to_bytes(8, "big"))
        hasher.update(field)

    feed(DIGEST_DOMAIN)
    feed(repository.encode())
    feed(base.encode())
    for file in sorted(files, key=lambda f: f.path):
        feed(file.path)
        feed(file.old_mode.encode())
        feed(file.mode.encode())
        feed((file.old_sha256 or "").encode())
        feed((file.new_sha256 or "").encode())
    return hasher.hexdigest()
