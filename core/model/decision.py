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
    """What a rule does with a request."""

    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """What policy is asked: who wants to write where, from which surface, and which paths they named.

    `lane` is the lane the person asked for, or None to let policy choose among those they may use.
    `deterministic` is True when the edits are known already and need no model; `edited_by_rule` are the lanes whose
    executor makes known edits and nothing else, which suit such a request. `suggested` is the lane that a model would
    take: it decides only between lanes that are open to the person anyway, and only where nothing else does. With
    `undoes` the lane is that of the change that is taken back.
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


DEFAULT_EXPIRES_S: Final = 14 * 24 * 3600
"""How long a staged diff may wait where a rule does not say it."""


@dataclass(frozen=True, slots=True)
class RequiredCheck:
    """A check that must be green before a merge: by its name and the id of the app that reports it.

    `app` None means a commit status, which anybody with a token can set.
    """

    name: str
    app: int | None = None


@dataclass(frozen=True, slots=True)
class MergeRequirements:
    """How pull requests under a rule are merged: `auto` when every one of `checks` is green, by `method`."""

    auto: bool = False
    method: str = "merge"
    checks: tuple[RequiredCheck, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MergeRequirements:
        """What `ApprovalRequirements.to_json` wrote of it."""
        checks = tuple(RequiredCheck(check["name"], check.get("app")) for check in value.get("checks", ()))
        return cls(value.get("auto", False), value.get("method", "merge"), checks)


@dataclass(frozen=True, slots=True)
class ApprovalRequirements:
    """Under which approvals a change may be published.

    `count` approvals of people who are, or have a role, in `approvers`; `merge_from` likewise for merging
    (empty: those who may approve). `expires_s` is how long a staged diff may wait; every `remind_s` of it people are
    reminded, and after `escalate_s` those in `escalate_to` may approve too (0: never). `merge` says how a pull
    request is merged, and whether that happens by itself.
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

    @property
    def nudge_s(self) -> int | None:
        """How long after staging people are first reminded, or others asked; None: never."""
        return min((s for s in (self.remind_s, self.escalate_s) if s), default=None)

    def to_json(self) -> dict[str, Any]:
        """The requirements as stored with the revision they were promised to."""
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
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow with a lane and its requirements, deny with a reason, or ask one question first.

    `why` makes the reason, which takes longer than the decision and is often not read. `policy_digest` names the policy
    that decided, so that a later edit of the policy is noticed.
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
        """Why, in one sentence."""
        return self.why()

    def because(self, reason: str) -> Decision:
        """The same decision with another reason."""
        return replace(self, why=lambda: reason)
