"""Decides past revisions again under another policy, and says what is different. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from core.model.decision import ApprovalRequirements, Decision, Effect
from core.model.lifecycle import State
from core.model.task import Revision, Task
from core.rules.lane_availability import LaneAvailability
from core.rules.planning import RequestOrigin, plan_request
from core.settings import Settings


class ReplayVerdict(StrEnum):
    """How a past decision and the same decision under another policy compare."""

    SAME = "same"
    NEWLY_ALLOWED = "newly_allowed"
    NEWLY_DENIED = "newly_denied"
    ASKS_FIRST = "asks_first"
    OTHER_LANE = "other_lane"
    OTHER_APPROVALS = "other_approvals"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True)
class ReplayedDecision:
    """A past revision, decided again.

    `before` are the requirements that it had then, None if it was denied. `after` is the decision now, None if it is
    undecidable; `reason` says why.
    """

    task: Task
    revision: Revision
    verdict: ReplayVerdict
    before: ApprovalRequirements | None
    after: Decision | None
    reason: str


def replay(settings: Settings, availability: LaneAvailability, task: Task, revision: Revision) -> ReplayedDecision:
    """Decide `revision` again under the policy of `settings`; every lane in `availability` counts as able to run."""
    missing = _missing(settings, task, revision)
    if missing or revision.intent is None:
        return ReplayedDecision(task, revision, ReplayVerdict.UNDECIDABLE, revision.requirements, None, missing)
    origin = RequestOrigin(revision.author, task.surface, task.repo or "", task.asked_lane)
    decision = plan_request(settings, replace(availability, assumed=True), origin, revision.intent).decision
    verdict = _verdict(revision, decision)
    return ReplayedDecision(task, revision, verdict, revision.requirements, decision, decision.reason)


def _missing(settings: Settings, task: Task, revision: Revision) -> str:
    """What is not known that the decision depends on, in a sentence; empty if all is."""
    if revision.intent is None:
        return "The request was not read, so its files are not known"
    if task.repo is None:
        return "The request has no repository"
    if task.repo not in settings.repositories:
        return f"There is no repository called {task.repo} any more"
    if settings.people_of(task.repo).get(revision.author) is None:
        return f"{revision.author} is not in countersign.yaml any more, and roles of the past are not kept"
    if revision.requirements is None and not _was_denied(task, revision):
        return "What was decided is not kept"
    return ""


def _was_denied(task: Task, revision: Revision) -> bool:
    """Whether policy refused a revision; only of the current one is that known."""
    is_refused = task.state is State.REFUSED and revision.n == task.current.n
    return is_refused and task.error is not None and task.error.code == "refused_by_policy"


def _verdict(revision: Revision, decision: Decision) -> ReplayVerdict:
    then = revision.requirements
    if decision.effect is Effect.ASK:
        return ReplayVerdict.ASKS_FIRST
    if decision.effect is Effect.DENY:
        return ReplayVerdict.SAME if then is None else ReplayVerdict.NEWLY_DENIED
    if then is None:
        return ReplayVerdict.NEWLY_ALLOWED
    if decision.lane != revision.lane:
        return ReplayVerdict.OTHER_LANE
    now = decision.requirements
    is_same = now is not None and replace(now, rule="") == replace(then, rule="")
    return ReplayVerdict.SAME if is_same else ReplayVerdict.OTHER_APPROVALS
