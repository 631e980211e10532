"""The branches that Countersign pushes: its own, never anyone else's, moved only from where it left them."""

from __future__ import annotations

import re
from typing import Final

from core.model.errors import ConflictError, PermanentError
from lanes.repository import GitRepository

OURS: Final = re.compile(r"countersign/[1-9][0-9]{0,11}(?:-[a-z0-9]+)*")
"""What a pushed branch is called: the task's number and a slug, made here and never taken from a text."""


def check_ours(branch: str) -> str:
    """The full reference of `branch`; raises `PermanentError` for every name that is not one of ours."""
    if not OURS.fullmatch(branch) or len(branch) > 100:
        raise PermanentError("foreign_branch", f"{branch[:80]!r} is not a branch of Countersign's; it is not touched")
    return f"refs/heads/{branch}"


async def push_branch(repository: GitRepository, branch: str, commit: str, expected: str | None) -> None:
    """Move `branch` on the remote from `expected` (None: absent) to `commit`; being there already is success.

    Raises `ConflictError` when somebody else moved it.
    """
    ref = check_ours(branch)
    now = (await repository.remote_refs(ref)).get(ref)
    if now == commit:
        return
    if now == expected and await repository.push(ref, commit, expected):
        return
    now = (await repository.remote_refs(ref)).get(ref)
    if now == commit:
        return
    raise moved(branch, expected, now)


def moved(branch: str, expected: str | None, now: str | None) -> ConflictError:
    """The error for a branch that is not where Countersign left it."""
    was = expected[:12] if expected else "absent"
    found = f"at {now[:12]}" if now else "gone"
    message = f"the branch {branch} was {was} and is now {found}: somebody else moved it"
    return ConflictError("branch_moved", message, "Look at the branch, then reply to the task to make it anew.")
