"""Approving several low-risk diffs in one sitting: each is still its own approval of its own digest."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.approval import Verdict
from core.model.attention import AttentionAction
from core.model.errors import Kind, NotFoundError, Problem, reply_pending
from core.model.turn import Actor
from core.rules.attention import attention_of_all
from core.rules.low_risk import MAX_TOGETHER, why_alone
from core.rules.visibility import visible_task
from core.services.approvals import Approvals, VerdictOutcome
from core.services.web_sessions import WebSessions
from core.settings import SettingsSource
from core.store.database import Database
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class JointApprovals:
    """Approves diffs that `core.rules.low_risk` lets people approve together; `limit` at most at a time."""

    database: Database
    settings: SettingsSource
    approvals: Approvals
    sessions: WebSessions
    limit: int = MAX_TOGETHER

    async def objection(self, number: int, digest: str | None, actor: Actor) -> Problem | None:
        """Why `actor` cannot approve a task together with others now; without a `digest`, its current diff.

        Raises `NotFoundError` for a task that does not exist there.
        """
        problem = await self.approvals.obstacle(number, actor, Verdict.APPROVE, digest)
        return problem or await self._objection(number, actor)

    @reads
    async def _objection(self, tx: Tx, number: int, actor: Actor) -> Problem | None:
        task = await visible_task(tx, self.settings(), number, actor)
        attention = (await attention_of_all(tx, self.settings(), [task]))[number]
        if attention.people.get(actor.person or "") is not AttentionAction.APPROVE or task.staged is None:
            counts = attention.needs is not None and actor.person in attention.needs.have
            if not counts:
                return reply_pending(number).problem
            return Problem(Kind.CONFLICT, "already_decided", f"your approval of #{number} counts already")
        if why := why_alone(task.staged, attention.needs):
            return Problem(Kind.REFUSED, "alone", f"#{number} {why}", "Open it, and approve it by itself.")
        return None

    async def approve(self, session: str, number: int, digest: str, actor: Actor) -> VerdictOutcome | Problem:
        """Approve one of several diffs, if `session` was shown all of it; else why it is left out.

        It is refused for the same reasons as by itself, and for those of `objection`. Nothing that happens to one
        concerns the others.
        """
        try:
            is_whole = (await self.sessions.parts_shown(session, digest)).is_whole
            obstacle = await self.approvals.obstacle(number, actor, Verdict.APPROVE, digest)
            if not is_whole:
                what = f"not all of the diff of #{number} was shown to you yet"
                mend = "Open it, and approve it by itself."
                return obstacle or Problem(Kind.CONFLICT, "not_shown", what, mend)
            if obstacle is None and (objection := await self._objection(number, actor)) is not None:
                return objection
            outcome = await self.approvals.approve(number, digest, actor)  # refuses for an obstacle, and records that
        except NotFoundError as error:
            return error.problem
        return outcome.problem or outcome
