"""The diff that people are shown: git generates it from what the digest names, never from a stored file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.log import log
from core.model.artifact import Artifact
from core.model.change import Change
from core.model.errors import CountersignError
from core.model.lifecycle import State
from core.model.staged_diff import StagedDiff, verified_change
from core.model.task import Task
from core.ports.repository import Repository
from core.store import artifacts
from core.store.artifacts import ArtifactFiles
from core.store.database import Database
from core.store.git_objects import bring_objects
from core.store.unit_of_work import Tx, reads

PATCH: Final = "change.patch"
MAX_CACHED: Final = 16
MAX_CACHED_BYTES: Final = 256 * 1024
"""A longer diff is generated each time, so that memory stays bounded."""

Repositories = Callable[[str], Repository]
"""The repository of a name in the configuration."""


@dataclass(frozen=True, slots=True)
class StagedContent:
    """What a digest names, verified: the changed files, git's diff of them for display, and access to the blobs."""

    change: Change
    diff: bytes
    repository: Repository

    async def blob(self, oid: str | None) -> bytes:
        """The bytes of one of the change's blobs; empty for a side that does not exist."""
        return await self.repository.read_blob(oid) if oid is not None else b""


@dataclass(slots=True)
class StagedDiffs:
    """Generates the diffs of staged changes; the most recent ones are cached by what they were generated from."""

    database: Database
    files: ArtifactFiles
    repository: Repositories
    _cache: OrderedDict[tuple[str, str, str, str], StagedContent] = field(default_factory=OrderedDict)

    async def of(self, task: Task) -> bytes | None:
        """The staged diff of a task's current revision, or None if nothing is staged.

        Raises `PermanentError` if git has something else under the digest (security.md 156), and errors of git. If
        no one is asked to approve, a missing repository only leaves the diff out.
        """
        if task.staged is None or task.repo is None:
            return None
        try:
            if task.staged.guard.blocked:  # no one can approve it, and the guard's findings stay masked
                artifact = await self._masked_patch(task.number, task.revision)
                return await self.files.read(artifact.sha256) if artifact else None
            return (await self._generate(task, task.repo, task.staged)).diff
        except CountersignError as error:
            if task.state is State.STAGED:
                raise
            log.info("diff_not_drawn", task=task.number, problem=error.problem.message)
            return None

    async def content(self, task: Task) -> StagedContent | None:
        """The files of a staged diff that may be approved, or None if nothing is staged or the guard blocked it.

        Raises as `of` does for a diff that can be approved.
        """
        if task.staged is None or task.repo is None or task.staged.guard.blocked:
            return None
        return await self._generate(task, task.repo, task.staged)

    @reads
    async def _masked_patch(self, tx: Tx, number: int, revision: int) -> Artifact | None:
        return await artifacts.find(tx, number, revision, PATCH)

    async def _generate(self, task: Task, repo: str, staged: StagedDiff) -> StagedContent:
        key = (staged.repository, staged.digest, staged.base, staged.tree)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        repository = self.repository(repo)
        await bring_objects(self.database, self.files, repository, task.number, task.revision, staged.base, staged.tree)
        change = await verified_change(repository, staged)
        content = StagedContent(change, await repository.diff_text(staged.base, staged.tree), repository)
        if len(content.diff) <= MAX_CACHED_BYTES:
            self._cache[key] = content
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return content
