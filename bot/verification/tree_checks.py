"""The checks of a receipt in git: the published commit is exactly what was approved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.verification.checks import VerifyCheck, attempt, failed, passed, warned
from core.model.staged_diff import GuardReport, short_digest, stage

if TYPE_CHECKING:
    from lanes.repository.clone import Clone

Predicate = dict[str, Any]


async def tree_checks(repository: Clone, predicate: Predicate, where: str, state: str) -> list[VerifyCheck]:
    """The published commit has the approved tree and parent, and git gives the approved digest.

    `where` is the repository in words, `state` what is known of its pull request.
    """
    checks: list[VerifyCheck] = []
    head, staged = predicate["published"]["head"], predicate["staged"]
    tip = await repository.tip_of(predicate["published"]["branch"])
    checks.append(_branch(tip, predicate, where, state))
    tree = await attempt(checks, "tree", lambda: repository.tree_at(head))
    if tree is None:
        return checks
    if tree != staged["tree"]:
        return [*checks, failed("tree", f"{head[:12]} has tree {tree[:12]}, approved was {staged['tree'][:12]}", "")]
    parents = await repository.parents_of(head)
    if parents != (staged["base"],):
        return [*checks, failed("tree", f"{head[:12]} is not on the approved base {staged['base'][:12]}", "")]
    checks.append(passed("tree", f"commit {head[:12]} in {where} has exactly the approved tree {tree[:12]}"))
    change = await attempt(checks, "digest", lambda: repository.change(staged["base"], tree))
    if change is not None:
        digest, approved = stage(change, GuardReport(())).digest, staged["digest"]
        checks.append(
            passed("digest", f"computed again from git: {short_digest(digest)}")
            if digest == approved
            else failed("digest", f"git gives {short_digest(digest)}, approved was {short_digest(approved)}", "")
        )
    return checks


def _branch(tip: str | None, predicate: Predicate, where: str, state: str) -> VerifyCheck:
    branch, head = predicate["published"]["branch"], predicate["published"]["head"]
    if tip == head:
        return passed("branch", f"{branch} in {where} is at the approved commit {head[:12]}")
    if tip is None:
        return warned("branch", f"{branch} no longer exists in {where} (the pull request is {state})", "")
    detail = f"{branch} in {where} is at {tip[:12]}, approved was {head[:12]}"
    return failed("branch", detail, "The branch was moved.")
