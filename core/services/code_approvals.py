"""Approving with a code of an authenticator app, which is used up; the approval says that it was given with one."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.approval import Verdict
from core.model.decision import TOTP
from core.model.turn import Actor
from core.services.approvals import Approvals, VerdictOutcome
from core.services.authenticators import Authenticators


@dataclass(frozen=True, slots=True)
class CodeApprovals:
    """Approvals that the approver's authenticator app vouches for; the home attests them."""

    authenticators: Authenticators
    approvals: Approvals

    async def approve(self, number: int, digest: str, actor: Actor, code: str) -> VerdictOutcome:
        """Approve `digest` with a code; raises `RefusedError` for a code that does not count.

        An approval that would be refused for another reason is refused for that one, and uses up no code.
        """
        if await self.approvals.obstacle(number, actor, Verdict.APPROVE, digest, will_sign=True) is not None:
            return await self.approvals.approve(number, digest, actor)  # refuses for it, and records that
        await self.authenticators.verify(actor, code)
        return await self.approvals.approve(number, digest, actor, step_up=TOTP)
