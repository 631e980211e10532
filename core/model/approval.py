"""Approvals: verdicts of people on one digest, and whether they suffice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.model.decision import PASSKEY, ApprovalRequirements, is_enough, stronger
from core.model.event import canonical_sha256
from core.model.passkey import ApprovalSignature
from core.model.person import People
from core.model.role import Role
from core.model.stored import StoredObject


class Verdict(StrEnum):
    """A person's decision on a digest."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's verdict on one digest of `revision`, given on one surface, perhaps signed with their passkey.

    `step_up` is what else they proved with it: ``totp``, or empty.
    """

    person: str
    verdict: Verdict
    digest: str
    at: datetime
    surface: str
    reason: str = ""
    revision: int = 0
    signature: ApprovalSignature | None = None
    step_up: str = ""

    @property
    def proof(self) -> str:
        """The strongest step-up that the approval was given with."""
        return PASSKEY if self.is_signed else self.step_up

    @property
    def signature_sha256(self) -> str | None:
        """The hash of the signature, as the event of the approval names it; None without a signature."""
        return canonical_sha256(self.signature.to_json()) if self.signature else None

    @property
    def is_signed(self) -> bool:
        """Whether it has a signature whose statement is this verdict; `core.rules.passkey_proof` checks the rest."""
        if self.signature is None:
            return False
        said = self.signature.statement
        return (said.person, said.digest, said.verdict) == (self.person, self.digest, self.verdict.value)

    def to_json(self) -> dict[str, Any]:
        """The approval as the task document and the receipt show it."""
        shown = {
            "person": self.person,
            "verdict": self.verdict.value,
            "digest": self.digest,
            "at": self.at.isoformat(),
            "surface": self.surface,
        }
        reason = {"reason": self.reason} if self.reason else {}
        signature = {"signature": self.signature.to_json()} if self.signature else {}
        step_up = {"step_up": self.step_up} if self.step_up else {}
        return {**shown, **reason, **step_up, **signature}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Approval:
        """The approval that `to_json` wrote."""
        stored = StoredObject(value, "an approval")
        at, verdict = datetime.fromisoformat(stored["at"]), Verdict(stored["verdict"])
        signature = ApprovalSignature.from_json(stored["signature"]) if stored.get("signature") else None
        texts = {"reason": stored.get("reason", ""), "step_up": stored.get("step_up", "")}
        return cls(stored["person"], verdict, stored["digest"], at, stored["surface"], signature=signature, **texts)


@dataclass(frozen=True, slots=True)
class QuorumStatus:
    """The approvals that a rule needs: `count` of the people `of`, of whom `have` approved, with what `step_up`."""

    rule: str
    count: int
    of: tuple[str, ...]
    have: tuple[str, ...]
    step_up: str = ""

    @property
    def met(self) -> bool:
        """True if enough people approved."""
        return len(self.have) >= self.count

    @property
    def missing(self) -> tuple[str, ...]:
        """The people who may approve and have not."""
        return tuple(name for name in self.of if name not in self.have)

    def to_json(self) -> dict[str, Any]:
        """The row of ``staged.needs`` in the task document."""
        shown = {"rule": self.rule, "count": self.count, "of": list(self.of), "have": list(self.have)}
        return {**shown, "step_up": self.step_up} if self.step_up else shown


def stricter(promised: ApprovalRequirements, live: ApprovalRequirements) -> ApprovalRequirements:
    """The requirements that satisfy both the rule at planning and the rule now (security.md 138).

    Approvers must be eligible under both, which `eligible` checks for people, because roles cannot be intersected.
    """
    return ApprovalRequirements(
        rule=live.rule,
        count=max(promised.count, live.count),
        approvers=live.approvers,
        self_approve=promised.self_approve and live.self_approve,
        expires_s=min(promised.expires_s, live.expires_s),
        merge_from=live.merge_from,
        surfaces=_common_surfaces(promised.surfaces, live.surfaces),
        limits=promised.limits.tightened(live.limits)
        if promised.limits and live.limits
        else promised.limits or live.limits,
        remind_s=live.remind_s,
        escalate_s=live.escalate_s,
        escalate_to=live.escalate_to,
        merge=live.merge,
        step_up=stronger(promised.step_up, live.step_up),
    )


NOWHERE = "nowhere"
"""The name of no surface: what two rules without a common surface allow."""


def _common_surfaces(promised: tuple[str, ...], live: tuple[str, ...]) -> tuple[str, ...]:
    """The surfaces that both rules accept; a rule that names none accepts all of them."""
    if not promised or not live:
        return promised or live
    return tuple(surface for surface in live if surface in promised) or (NOWHERE,)


def eligible(
    promised: ApprovalRequirements, live: ApprovalRequirements, people: People, authors: Collection[str]
) -> tuple[str, ...]:
    """The people who may approve now: by role, by the promised and the live rule, and not one of the `authors`."""
    both = set(people.matching(promised.approvers)) & set(people.matching_with(live.approvers, Role.APPROVER))
    if not (promised.self_approve and live.self_approve):
        both -= set(authors)
    return tuple(sorted(both))


def approvers_of(
    approvals: Iterable[Approval], digest: str, requirements: ApprovalRequirements, may: Collection[str]
) -> frozenset[str]:
    """The people among those who `may` whose approval of `digest` satisfies the `requirements` but for the count.

    Cards, clicks, publishing and verification all count a quorum with this function.
    """
    return frozenset(
        a.person
        for a in approvals
        if a.digest == digest
        and a.verdict is Verdict.APPROVE
        and a.person in may
        and (not requirements.surfaces or a.surface in requirements.surfaces)
        and is_enough(a.proof, requirements.step_up)
    )


def count_quorum(
    promised: ApprovalRequirements,
    live: ApprovalRequirements,
    people: People,
    authors: Collection[str],
    approvals: Iterable[Approval],
    digest: str,
) -> QuorumStatus:
    """Count the approvals of `digest` by people who are eligible now; each person counts once."""
    may = eligible(promised, live, people, authors)
    requirements = stricter(promised, live)
    have = approvers_of(approvals, digest, requirements, may)
    return QuorumStatus(requirements.rule, requirements.count, may, tuple(sorted(have)), requirements.step_up)
