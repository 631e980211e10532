"""Compares a merge with the countersigned patch: before it is asked for, and again with the commit that the forge made.

A forge merges lines, and people approve bytes. While the target branch stands still both are the same; once it moved,
a merge may join a file from two sides that no one has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.jobs.job_context import JobContext, needed
from core.model.errors import Kind, Problem
from core.model.staged_diff import StagedDiff, digest_of, verified_change
from core.model.task import Revision, Task
from core.ports.repository import Repository
from core.rules.merge_result import merge_difference

MERGE_DIFFERS = "merge_differs"
"""The code of the problem that merging would give other bytes than were countersigned."""


@dataclass(frozen=True, slots=True)
class PlannedMerge:
    """Into which commit a merge is to go, and the problem if its result would not be what was countersigned."""

    onto: str
    problem: Problem | None = None


async def planned_merge(context: JobContext, task: Task, published: Revision, head: str) -> PlannedMerge:
    """Compute the merge of `head` into the target branch as it is now; raises `ConflictError` if git finds none."""
    repository, staged = context.repository(needed(task.repo, "repository")), needed(published.staged, "staged change")
    onto = await repository.fetch_base()
    if onto == staged.base:
        return PlannedMerge(onto)
    tree = await repository.merged_tree(onto, head)
    difference = await _difference(repository, staged, onto, tree)
    if difference is None:
        return PlannedMerge(onto)
    return PlannedMerge(
        onto,
        Problem(
            Kind.CONFLICT,
            MERGE_DIFFERS,
            f"merging #{task.number} into {repository.spec.branch} would not give what was countersigned: {difference}",
            "Reply to the task, so that the change is made and approved again.",
        ),
    )


async def made_merge(
    context: JobContext, task: Task, published: Revision | None, commit: str | None
) -> tuple[dict[str, Any], Problem | None]:
    """What the event of a merge records of the commit `commit`, and the problem if it has other bytes than approved.

    The event has the commit that was merged into, and the digest of the patch there, beside that which was approved. A
    commit that the target branch does not have, such as one that was reset at once, has neither.
    """
    if commit is None or published is None or published.staged is None:
        return {}, None
    repository, staged = context.repository(needed(task.repo, "repository")), published.staged
    await repository.fetch_base()
    if not await repository.has(commit):
        return {}, None
    onto, tree = await repository.parent_of(commit), await repository.tree_of(commit)
    merged = await repository.change(onto, tree)
    body = {"onto": onto, "digest": digest_of(merged.repository, onto, merged.files), "approved": staged.digest}
    difference = merge_difference(await verified_change(repository, staged), merged)
    if difference is None:
        return body, None
    return {**body, "difference": difference}, Problem(
        Kind.CONFLICT,
        "merged_differently",
        f"the merge {commit[:12]} is not what was countersigned: {difference}",
        "Look at it in the repository, and undo the task if it is wrong.",
    )


async def _difference(repository: Repository, staged: StagedDiff, onto: str, tree: str) -> str | None:
    approved = await verified_change(repository, staged)
    return merge_difference(approved, await repository.change(onto, tree))
