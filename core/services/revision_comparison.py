"""What changed between two revisions of a task: git's comparison of their staged trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.model.errors import ConflictError, NotFoundError
from core.model.staged_diff import StagedDiff, verified_change
from core.model.turn import Actor
from core.ports.repository import Repository
from core.rules.visibility import visible_task
from core.services.staged_diffs import StagedContent
from core.settings import SettingsSource
from core.store import tasks
from core.store.artifacts import ArtifactFiles
from core.store.database import Database
from core.store.git_objects import bring_objects
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class ComparedRevision:
    """A revision that is compared: its number, who began it, and its staged diff."""

    n: int
    author: str
    staged: StagedDiff


@dataclass(frozen=True, slots=True)
class RevisionComparison:
    """Two revisions and what differs between their trees.

    With `is_rebased` they stand on different commits, so that changes of others are among the differences.
    """

    first: ComparedRevision
    second: ComparedRevision
    content: StagedContent

    @property
    def is_rebased(self) -> bool:
        """Whether they stand on different commits."""
        return self.first.staged.base != self.second.staged.base


@dataclass(frozen=True, slots=True)
class RevisionComparisons:
    """Compares revisions of a task, within the scope of an actor."""

    database: Database
    settings: SettingsSource
    files: ArtifactFiles
    repository: Callable[[str], Repository]

    async def of(self, number: int, first: int, second: int, actor: Actor) -> RevisionComparison:
        """What revision `second` has that `first` has not.

        Raises `NotFoundError` if one of them staged nothing, `ConflictError` if the guard blocked one (its secrets
        would be shown), and `PermanentError` if git has something else under one of the digests.
        """
        repo, one, other = await self._pair(number, first, second, actor)
        repository = self.repository(repo)
        for each in (one, other):
            staged = each.staged
            await bring_objects(self.database, self.files, repository, number, each.n, staged.base, staged.tree)
            await verified_change(repository, staged)
        change = await repository.change(one.staged.tree, other.staged.tree)
        diff = await repository.diff_text(one.staged.tree, other.staged.tree)
        return RevisionComparison(one, other, StagedContent(change, diff, repository))

    @reads
    async def _pair(
        self, tx: Tx, number: int, first: int, second: int, actor: Actor
    ) -> tuple[str, ComparedRevision, ComparedRevision]:
        task = await visible_task(tx, self.settings(), number, actor)
        pair = []
        for n in (first, second):
            revision = await tasks.revision_of(tx, number, n)
            if revision is None or revision.staged is None or task.repo is None:
                mend = "Choose two revisions with a staged diff."
                raise NotFoundError("nothing_staged", f"revision {n} of #{number} has no staged diff", mend)
            if revision.staged.guard.blocked:
                message = f"the guard blocked revision {n} of #{number}, so it is shown with its secrets masked only"
                raise ConflictError("blocked_revision", message, "Choose a revision that was not blocked.")
            pair.append(ComparedRevision(n, revision.author, revision.staged))
        return task.repo or "", pair[0], pair[1]
