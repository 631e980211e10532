"""The diff that people are shown: drawn by git from what the digest names, never from a file kept beside it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.log import log
from core.model.errors import CountersignError
from core.model.lifecycle import State
from core.model.staged_diff import StagedDiff, confirmed
from core.model.task import Task
from core.ports import Repository
from core.store import artifacts
from core.store.artifacts import ArtifactFiles
from core.store.database import Database
from core.store.git_objects import bring_objects

PATCH: Final = "change.patch"
MOST_KEPT: Final = 16
MOST_KEPT_BYTES: Final = 256 * 1024
"""A longer diff is drawn each time, so that memory stays bounded."""

Repositories = Callable[[str], Repository]


@dataclass(slots=True)
class ShownDiffs:
    """Draws the diffs of staged changes; a few of the last ones are kept in memory, under what they were drawn from."""

    database: Database
    files: ArtifactFiles
    repository: Repositories
    _kept: OrderedDict[tuple[str, str, str, str], bytes] = field(default_factory=OrderedDict)

    async def of(self, task: Task) -> bytes | None:
        """The bytes of the staged diff of a task's current revision, or None where nothing is staged.

        Raises `PermanentError` when git has something else under the digest (security.md 156), and whatever keeps git
        from looking. Where nobody is asked to approve, a repository that is gone only leaves the diff out.
        """
        if task.staged is None or task.repo is None:
            return None
        try:
            if task.staged.guard.blocked:  # nobody can approve it, and what the guard found stays masked
                return await self._masked(task)
            return await self._drawn(task, task.repo, task.staged)
        except CountersignError as error:
            if task.state is State.STAGED:
                raise
            log.info("diff_not_drawn", task=task.number, problem=error.problem.message)
            return None

    async def _masked(self, task: Task) -> bytes | None:
        found = await self.database.read(lambda s: artifacts.find(s, task.number, task.revision, PATCH))
        return await self.files.read(found.sha256) if found else None

    async def _drawn(self, task: Task, repo: str, staged: StagedDiff) -> bytes:
        key = (staged.repository, staged.digest, staged.base, staged.tree)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        repository = self.repository(repo)
        await bring_objects(self.database, self.files, repository, task.number, task.revision, staged.base, staged.tree)
        await confirmed(repository, staged)
        diff = await repository.diff_text(staged.base, staged.tree)
        if len(diff) <= MOST_KEPT_BYTES:
            self._kept[key] = diff
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return diff
