"""Pushes Countersign's own branches, and moves them only from the commit at which Countersign left them."""

from __future__ import annotations

import re
from typing import Final

from core.model.errors import ConflictError, PermanentError
from lanes.repository import GitRepository

_OWN_BRANCH: Final = re.compile(r"countersign/[1-9][0-9]{0,11}(?:-[a-z0-9]+)*")
"""The name of a pushed branch: the task's number and a slug, never text of users."""


def check_own_branch(branch: str) -> str:
    """The full reference of `branch`; raises `PermanentError` unless it is a branch name of Countersign."""
    if not _OWN_BRANCH.fullmatch(branch) or len(branch) > 100:
        raise PermanentError("foreign_branch", f"{branch[:80]!r} is not a branch of Countersign")
    return f"refs/heads/{branch}"


async def push_branch(repository: GitRepository, branch: str, commit: str, expected: str | None) -> None:
    """Move `branch` on the remote from `expected` (None: absent) to `commit`; succeeds if it is at `commit` already.

    Raises `ConflictError` when someone else moved it.
    """
    ref = check_own_branch(branch)
    now = (await repository.remote_refs(ref)).get(ref)
    if now == commit:
        return
    if now == expected and await repository.push(ref, commit, expected):
        return
    now = (await repository.remote_refs(ref)).get(ref)
    if now == commit:
        return
    raise branch_moved(branch, expected, now)


def branch_moved(branch: str, expected: str | None, now: str | None) -> ConflictError:
    """The error for a branch that is not at the commit where Countersign left it."""
    before = f"at {expected[:12]}" if expected else "absent"
    after = f"at {now[:12]}" if now else "deleted"
    message = f"The branch {branch} was {before} and is now {after}: someone else moved it"
    return ConflictError("branch_moved", message, "Look at the branch, then reply to the task to repeat the change.")
