"""What a staged diff still needs: the one count that cards, verdicts, publishing, merging and `verify` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.model.approval import Approval, QuorumStatus, count_quorum, yes_of
from core.model.decision import ApprovalRequirements
from core.model.task import Revision, Task
from core.rules.standing_terms import terms_now
from core.settings import Settings
from core.store import tasks
from core.store.unit_of_work import Tx


async def needs_of(tx: Tx, settings: Settings, task: Task, revision: Revision | None = None) -> QuorumStatus | None:
    """What a revision (the current one) still needs now; None when nothing is staged or policy forbids it."""
    asked = revision or task.current
    promised, live = terms_now(settings, task, asked)
    if promised is None or live is None or asked.staged is None:
        return None
    said = await tasks.approvals_of(tx, task.number)
    return count_quorum(promised, live, settings.people, task.authors_of(asked), said, asked.staged.digest)


def signed_quorum(predicate: Mapping[str, Any]) -> QuorumStatus:
    """The quorum of a receipt, counted again from what the receipt itself says; never the authors, unless they may.

    A receipt says how the quorum was counted (``needs``) when it was signed. Those of older versions do not: there
    whoever is not an author counts, and as many are needed as the terms say.
    """
    requirements = ApprovalRequirements.from_json(predicate["decision"]["terms"])
    approvals = [Approval.from_json(value) for value in predicate["approvals"]]
    needs = predicate.get("needs")
    may = set(needs["of"]) if needs else {approval.person for approval in approvals}
    if not requirements.self_approve:
        may -= set(predicate["authors"])
    count = max(requirements.count, needs["count"]) if needs else requirements.count
    have = yes_of(approvals, predicate["staged"]["digest"], requirements.surfaces, may)
    return QuorumStatus(requirements.rule, count, tuple(sorted(may)), tuple(sorted(have)))


def uncounted(needs: QuorumStatus | None, refusal: str | None) -> str:
    """Why an approval does not hold, in words: what policy says now, or how many approvals still count."""
    if refusal is not None or needs is None:
        return f"policy no longer allows it: {refusal or 'nothing is staged'}"
    return f"{len(needs.have)} of {needs.count} approvals count now"
