"""What a staged diff still needs: the one count of the quorum that cards, verdicts, publishing and merging share."""

from __future__ import annotations

from core.model.approval import QuorumStatus, tally
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
    return tally(promised, live, settings.people, task.authors_of(asked), said, asked.staged.digest)


def uncounted(needs: QuorumStatus | None, refusal: str | None) -> str:
    """Why an approval does not hold, in words: what policy says now, or how many approvals still count."""
    if refusal is not None or needs is None:
        return f"policy no longer allows it: {refusal or 'nothing is staged'}"
    return f"{len(needs.have)} of {needs.count} approvals count now"
