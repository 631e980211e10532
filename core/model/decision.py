"""A decision: what policy says before the work, with the rule's name and the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from core.model.lane import Limits
from core.model.stored import StoredObject
from core.model.turn import Question


class Effect(StrEnum):
    """The effect of a rule on a request."""

    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """The question to policy: who wants to write where, from which surface, and which paths they named.

    `lane` is the requested lane, or None to let policy choose among those that the person may use. `deterministic` is
    True if the edits are known already and need no model; `edited_by_rule` are the lanes whose executor only makes
    known edits, which suit such a request. `suggested` is the lane that a model suggests: it decides only between lanes
    that are open to the person anyway, and only if nothing else does. With `undoes` the lane is that of the change that
    is reverted.
    """

    person: str
    surface: str
    repository: str
    paths: tuple[str, ...]
    lane: str | None = None
    deterministic: bool = True
    suggested: str | None = None
    undoes: bool = False
    edited_by_rule: frozenset[str] = frozenset()


PASSKEY: Final = "passkey"
"""The value of `ApprovalRequirements.step_up` that counts only approvals signed with a passkey."""
TOTP: Final = "totp"
"""The value of `step_up` that counts only approvals given with a code of an authenticator app, or a passkey."""
_STRENGTH: Final = {"": 0, TOTP: 1, PASSKEY: 2}


def is_enough(given: str, needed: str) -> bool:
    """Whether the step-up that was `given` satisfies the one `needed`; an unknown need is never satisfied."""
    return needed in _STRENGTH and _STRENGTH.get(given, 0) >= _STRENGTH[needed]


def stronger(one: str, other: str) -> str:
    """The stronger of two step-ups."""
    return max(one, other, key=lambda value: _STRENGTH.get(value, len(_STRENGTH)))


DEFAULT_EXPIRES_S: Final = 14 * 24 * 3600
"""How long a staged diff may wait if the rule does not say it."""


@dataclass(frozen=True, slots=True)
class RequiredCheck:
    """A check that must be green before a merge, identified by its name and the id of the app that reports it.

    An `app` of None means a commit status, which everyone with a token can set.
    """

    name: str
    app: int | None = None


@dataclass(frozen=True, slots=True)
class MergeRequirements:
    """How pull requests under a rule are merged: by `method`, and with `auto` as soon as all `checks` are green."""

    auto: bool = False
    method: str = "merge"
    checks: tuple[RequiredCheck, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MergeRequirements:
        """The requirements that `ApprovalRequirements.to_json` wrote."""
        checks = tuple(RequiredCheck(check["name"], check.get("app")) for check in value.get("checks", ()))
        return cls(value.get("auto", False), value.get("method", "merge"), checks)


@dataclass(frozen=True, slots=True)
class ApprovalRequirements:
    """The approvals that a change needs before it is published.

    It needs `count` approvals of people who are, or have a role, in `approvers`; `merge_from` names in the same way who
    may merge (empty: those who may approve). A staged diff expires after `expires_s`; people are reminded every
    `remind_s`, and after `escalate_s` those in `escalate_to` may approve too (0: never). `merge` says how a pull
    request is merged, and whether that happens automatically. With the `step_up` `PASSKEY`, only approvals
    count that are signed with the approver's passkey; with `TOTP`, also those that were given with a code of their app.
    """

    rule: str
    count: int
    approvers: tuple[str, ...]
    self_approve: bool = False
    expires_s: int = DEFAULT_EXPIRES_S
    merge_from: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    limits: Limits | None = None
    remind_s: int = 0
    escalate_s: int = 0
    escalate_to: tuple[str, ...] = ()
    merge: MergeRequirements = MergeRequirements()
    step_up: str = ""

    @property
    def first_reminder_s(self) -> int | None:
        """The time from staging to the first reminder or the escalation; None: never."""
        return min((s for s in (self.remind_s, self.escalate_s) if s), default=None)

    def to_json(self) -> dict[str, Any]:
        """The requirements as stored with their revision."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ApprovalRequirements:
        """The requirements that `to_json` wrote."""
        stored = StoredObject(value, "approval requirements")
        limits = stored.get("limits")
        return cls(
            rule=stored["rule"],
            count=stored["count"],
            approvers=tuple(stored["approvers"]),
            self_approve=stored.get("self_approve", False),
            expires_s=stored.get("expires_s", DEFAULT_EXPIRES_S),
            merge_from=tuple(stored.get("merge_from", ())),
            surfaces=tuple(stored.get("surfaces", ())),
            limits=Limits.from_json(limits) if limits else None,
            remind_s=stored.get("remind_s", 0),
            escalate_s=stored.get("escalate_s", 0),
            escalate_to=tuple(stored.get("escalate_to", ())),
            merge=MergeRequirements.from_json(stored.get("merge") or {}),
            step_up=stored.get("step_up", ""),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow with a lane and its requirements, deny with a reason, or ask one question first.

    `why` returns the reason, which takes longer to build than the decision and is often not read. `policy_digest` names
    the policy that decided, so that a later edit of the policy is noticed.
    """

    effect: Effect
    why: Callable[[], str] = field(repr=False, compare=False)
    policy_digest: str
    rule: str | None = None
    lane: str | None = None
    requirements: ApprovalRequirements | None = None
    question: Question | None = None

    @property
    def reason(self) -> str:
        """The reason, in one sentence."""
        return self.why()

    def because(self, reason: str) -> Decision:
        """The same decision with another reason."""
        return replace(self, why=lambda: reason)
