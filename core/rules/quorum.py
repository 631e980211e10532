"""The quorum of a staged diff: counted here for cards, verdicts, publishing, merging and `verify` alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.model.approval import Approval, QuorumStatus, approvers_of, count_quorum
from core.model.decision import ApprovalRequirements, stronger
from core.model.stored import StoredValueError
from core.model.task import Revision, Task
from core.rules.current_requirements import requirements_now
from core.settings import Settings
from core.store import tasks
from core.store.unit_of_work import Tx


async def needs_of(tx: Tx, settings: Settings, task: Task, revision: Revision | None = None) -> QuorumStatus | None:
    """What a revision (the current one) still needs now; None if nothing is staged or policy denies it."""
    revision = revision or task.current
    promised, live = requirements_now(settings, task, revision)
    if promised is None or live is None or revision.staged is None:
        return None
    approvals, authors = await tasks.approvals_of(tx, task.number), task.authors_of(revision)
    return count_quorum(promised, live, settings.people_of(task.repo), authors, approvals, revision.staged.digest)


def signed_quorum(predicate: Mapping[str, Any]) -> QuorumStatus:
    """The quorum of a receipt, counted again from the receipt alone; authors count only if self-approval is allowed.

    A receipt has the quorum as it was counted when it was signed (``needs``). One of an older version has not: there
    everyone who is not an author counts, and the requirements say how many are needed.
    """
    requirements = ApprovalRequirements.from_json(predicate["decision"]["terms"])
    approvals = [_approval(value) for value in predicate["approvals"]]
    needs = predicate.get("needs")
    if needs and needs.get("step_up"):  # the rule when it was signed may have been stricter than the promise
        requirements = replace(requirements, step_up=stronger(requirements.step_up, needs["step_up"]))
    may = set(needs["of"]) if needs else {approval.person for approval in approvals}
    if not requirements.self_approve:
        may -= set(predicate["authors"])
    count = max(requirements.count, needs["count"]) if needs else requirements.count
    have = approvers_of(approvals, predicate["staged"]["digest"], requirements, may)
    return QuorumStatus(requirements.rule, count, tuple(sorted(may)), tuple(sorted(have)), requirements.step_up)


def _approval(value: Mapping[str, Any]) -> Approval:
    """An approval of a receipt; one whose signature cannot be read counts as one without."""
    try:
        return Approval.from_json(value)
    except StoredValueError:
        return Approval.from_json({key: part for key, part in value.items() if key != "signature"})


def why_void(needs: QuorumStatus | None, refusal: str | None) -> str:
    """Why an approval no longer holds, in words: the refusal of policy, or how many approvals still count."""
    if refusal is not None or needs is None:
        return f"policy no longer allows it: {refusal or 'nothing is staged'}"
    return f"{len(needs.have)} of {needs.count} approvals count now"
