"""Verdicts of people on a staged diff, checked at the click against the policy in force."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.approval import Verdict
from core.model.decision import PASSKEY
from core.model.errors import Kind, Problem
from core.model.event import canonical_sha256
from core.model.job import JobKind
from core.model.lifecycle import Fact, State
from core.model.passkey import ApprovalSignature
from core.model.place import Place
from core.model.task import Task
from core.model.turn import NOWHERE, Actor, MessageOrigin
from core.ports.reporting import Milestones
from core.rules.authorization import Authorization, decided_by
from core.rules.conversation import notify_of_outcome
from core.rules.quorum import needs_of
from core.rules.typed_digest_check import digest_problem, not_shown_problem
from core.rules.verdict_checks import bounded_by_role, counts_already, forged, lacks_authority, reply_is_pending
from core.rules.visibility import visible_task
from core.services.budgets import rejected
from core.settings import Settings, SettingsSource
from core.store import events, tasks
from core.store.database import Database, from_ms
from core.store.tables import ApprovalRow
from core.store.transition import owed_again, take_step
from core.store.unit_of_work import Tx, reads, writes


@dataclass(frozen=True, slots=True)
class VerdictOutcome:
    """The outcome of a verdict: the task as it is now and, if the verdict was refused, the reason."""

    task: Task
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class ApprovalProofs:
    """What an approval is given with: the signature of a passkey, or another step-up."""

    signature: ApprovalSignature | None = None
    step_up: str = ""

    @property
    def strongest(self) -> str:
        """The strongest step-up."""
        return PASSKEY if self.signature is not None else self.step_up


class Approvals:
    """Approving and rejecting. A refused verdict changes nothing but is recorded as an event."""

    def __init__(self, database: Database, settings: SettingsSource, milestones: Milestones) -> None:
        self.database = database
        self._settings = settings
        self._milestones = milestones

    async def approve(
        self,
        number: int,
        digest: str,
        actor: Actor,
        typed_in: Place | None = None,
        origin: MessageOrigin = NOWHERE,
        signature: ApprovalSignature | None = None,
        step_up: str = "",
    ) -> VerdictOutcome:
        """Approve `digest` of a task: its 64 hex digits, or a prefix that `core.rules.typed_digest_check` accepts.

        `typed_in` is the conversation where it was typed; None for a button, and for the operator's terminal. The
        sender of the message at `origin` is notified of the outcome there. `signature` is what
        `core.services.passkey_approvals` verified, `step_up` what `core.services.code_approvals` did.
        """
        self._settings().people.named(actor.person or "")
        self._milestones.reached("approve.received", number=number)
        proofs = ApprovalProofs(signature, step_up)
        outcome = await self._approve(number, digest, actor, typed_in, origin, proofs)
        self._milestones.reached("approve.committed", number=number)
        return outcome

    @writes
    async def _approve(
        self,
        tx: Tx,
        number: int,
        digest: str,
        actor: Actor,
        typed_in: Place | None,
        origin: MessageOrigin,
        proofs: ApprovalProofs,
    ) -> VerdictOutcome:
        settings = self._settings()
        task = await visible_task(tx, self._settings(), number, actor, lock=True)
        problem = bounded_by_role(settings, task, actor, Verdict.APPROVE)
        problem = problem or await self._objection(tx, task, digest)
        problem = problem or await not_shown_problem(tx, task, typed_in)
        problem = problem or await forged(tx, task)
        problem = problem or lacks_authority(settings, task, actor, Verdict.APPROVE, proofs.strongest)
        problem = problem or await counts_already(tx, settings, task, actor)
        problem = problem or await reply_is_pending(tx, task)
        if problem is not None:
            return await _refuse(tx, task, problem, actor, "approval")
        await self._count(tx, settings, task, actor, proofs)
        await notify_of_outcome(tx, number, "approve", origin)
        return VerdictOutcome(await tasks.load(tx, number))

    async def reject(self, number: int, reason: str, actor: Actor, digest: str | None = None) -> VerdictOutcome:
        """Reject the current staged diff, or `digest` if that still is the current one; one rejection is enough."""
        self._settings().people.named(actor.person or "")
        return await self._reject(number, reason, actor, digest)

    @writes
    async def _reject(self, tx: Tx, number: int, reason: str, actor: Actor, digest: str | None) -> VerdictOutcome:
        task = await visible_task(tx, self._settings(), number, actor, lock=True)
        if digest is None and task.state is State.ASKING and task.question is not None and task.question.budget:
            return await self._reject_budget(tx, task, reason, actor)
        settings = self._settings()
        problem = bounded_by_role(settings, task, actor, Verdict.REJECT)
        problem = problem or await self._objection(tx, task, digest)
        problem = problem or lacks_authority(settings, task, actor, Verdict.REJECT)
        if problem is not None:
            return await _refuse(tx, task, problem, actor, "rejection")
        row = _row(task, Verdict.REJECT, actor, tx.now_ms, reason)
        await tx.session.merge(row)  # who approved before may still reject
        rejection = Problem(
            Kind.REFUSED,
            "rejected",
            f"{actor.person} rejected revision {task.revision}" + (f": {reason}" if reason else ""),
            advise("Reply to change it: ", Suggestion(CommandName.REPLY, number, (BLANK,)), "."),
        )
        await take_step(
            tx,
            task,
            Fact.REJECTED,
            actor=actor,
            body={"digest": row.digest, "reason": reason},
            changes={"error": rejection.to_json(), "expires_ms": None},
        )
        return VerdictOutcome(await tasks.load(tx, number))

    async def _reject_budget(self, tx: Tx, task: Task, reason: str, actor: Actor) -> VerdictOutcome:
        """Reject the larger budget that a task asks for, which ends its revision."""
        Authorization(self._settings).may_extend(task, actor)
        error = rejected(task, actor, reason).to_json()
        changes = {"error": error, "question": None, "expires_ms": None, "nudge_ms": None}
        await take_step(tx, task, Fact.REJECTED, actor=actor, body={"reason": reason}, changes=changes)
        return VerdictOutcome(await tasks.load(tx, task.number))

    @reads
    async def obstacle(
        self, tx: Tx, number: int, actor: Actor, verdict: Verdict, digest: str | None, *, will_sign: bool = False
    ) -> Problem | None:
        """Why this person's verdict would be refused now, before they are asked for more; nothing is recorded.

        `will_sign` says that they can prove as much as a rule demands.
        """
        settings = self._settings()
        settings.people.named(actor.person or "")
        task = await visible_task(tx, self._settings(), number, actor)
        problem = bounded_by_role(settings, task, actor, verdict)
        problem = problem or await self._objection(tx, task, digest)
        return problem or lacks_authority(settings, task, actor, verdict, PASSKEY if will_sign else "")

    async def _count(self, tx: Tx, settings: Settings, task: Task, actor: Actor, proofs: ApprovalProofs) -> None:
        """Record the approval and, if the quorum is met, owe the publish job or the rest of the lane's workflow."""
        row = _row(task, Verdict.APPROVE, actor, tx.now_ms, "", proofs)
        await tx.session.merge(row)
        needs = await needs_of(tx, settings, task)
        assert needs is not None
        body: dict[str, object] = {"digest": row.digest, "needs": needs.to_json()}
        if row.signature is not None:
            body["signature_sha256"] = canonical_sha256(row.signature)
        if row.step_up is not None:
            body["step_up"] = row.step_up
        if needs.met and task.current.provenance is not None and task.current.provenance.awaits:
            await self._continue(tx, task, actor, body)
            return
        fact = Fact.APPROVED if needs.met else Fact.COUNTED
        await take_step(
            tx,
            task,
            fact,
            actor=actor,
            body=body,
            changes={"expires_ms": None} if needs.met else {},
        )

    async def _continue(self, tx: Tx, task: Task, actor: Actor, body: dict[str, object]) -> None:
        """Owe the steps after the awaited approval, as a revision on exactly the approved tree and base."""
        current = task.current
        assert current.provenance is not None
        owed = await owed_again(tx, task.number, JobKind.CHANGE, range(1, task.revision + 1))
        await take_step(
            tx,
            task,
            Fact.CONTINUED,
            actor=actor,
            body={**body, "passed": current.provenance.awaits},
            changes={"digest": None, "expires_ms": None, "nudge_ms": None, "escalated": False},
            owed=owed,
        )
        continued = replace(current.basis, continue_from=current.n, passed=current.provenance.awaits)
        basis = continued.written_by(current.authors)
        intent = replace(current.intent, pick=None, selection=None) if current.intent else None
        n = task.revision + 1
        await tasks.begin_revision(tx, task.number, n, tx.now_ms, current.author, basis, intent)
        decided = {
            "lane": current.lane,
            "rule": current.rule,
            "reason": current.reason,
            "policy_digest": current.policy_digest,
            "terms": current.requirements.to_json() if current.requirements else None,
        }
        await tasks.save_revision(tx, task.number, n, decided)

    async def _objection(self, tx: Tx, task: Task, digest: str | None) -> Problem | None:
        """Why no one can give a verdict on `digest` now, or None."""
        number = task.number
        if digest is not None and (stale := await digest_problem(tx, task, digest)) is not None:
            return stale
        if task.state is not State.STAGED or task.staged is None:
            return Problem(
                Kind.CONFLICT,
                "wrong_state",
                f"#{number} is {task.state.value}, there is nothing to decide" + await decided_by(tx, task),
                advise("See it with ", Suggestion(CommandName.SHOW, number), "."),
            )
        if task.expires_at is not None and task.expires_at <= from_ms(tx.now_ms):
            return Problem(
                Kind.CONFLICT,
                "expired",
                f"the staged diff of #{number} expired at {task.expires_at:%Y-%m-%d %H:%M} UTC",
                "Reply to it to start its next revision.",
            )
        return None


async def _refuse(tx: Tx, task: Task, problem: Problem, actor: Actor, what: str) -> VerdictOutcome:
    await events.append(
        tx,
        number=task.number,
        kind=f"{what}.refused",
        person=actor.person,
        surface=actor.surface,
        body=dict(problem.to_json()),
    )
    return VerdictOutcome(task, problem)


def _row(
    task: Task,
    verdict: Verdict,
    actor: Actor,
    now_ms: int,
    reason: str,
    proofs: ApprovalProofs | None = None,
) -> ApprovalRow:
    assert task.staged is not None
    return ApprovalRow(
        number=task.number,
        digest=task.staged.digest,
        person=actor.person or "",
        revision=task.revision,
        verdict=verdict.value,
        surface=actor.surface or "",
        reason=reason,
        at_ms=now_ms,
        signature=proofs.signature.to_json() if proofs and proofs.signature else None,
        step_up=(proofs.step_up or None) if proofs else None,
    )
