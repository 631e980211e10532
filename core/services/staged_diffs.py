"""The diff that people are shown: git generates it from what the digest names, never from a stored file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.log import log
from core.model.artifact import Artifact
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


@dataclass(slots=True)
class StagedDiffs:
    """Generates the diffs of staged changes; the most recent ones are cached by what they were generated from."""

    database: Database
    files: ArtifactFiles
    repository: Repositories
    _cache: OrderedDict[tuple[str, str, str, str], bytes] = field(default_factory=OrderedDict)

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
            return await self._generate(task, task.repo, task.staged)
        except CountersignError as error:
            if task.state is State.STAGED:
                raise
            log.info("diff_not_drawn", task=task.number, problem=error.problem.message)
            return None

    @reads
    async def _masked_patch(self, tx: Tx, number: int, revision: int) -> Artifact | None:
        return await artifacts.find(tx, number, revision, PATCH)

    async def _generate(self, task: Task, repo: str, staged: StagedDiff) -> bytes:
        key = (staged.repository, staged.digest, staged.base, staged.tree)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        repository = self.repository(repo)
        await bring_objects(self.database, self.files, repository, task.number, task.revision, staged.base, staged.tree)
        await verified_change(repository, staged)
        diff = await repository.diff_text(staged.base, staged.tree)
        if len(diff) <= MAX_CACHED_BYTES:
            self._cache[key] = diff
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return diff
