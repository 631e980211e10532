"""What a revision requires now: what was promised, what the policy in force says, and why it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.model.approval import stricter
from core.model.change import FileChange
from core.model.decision import ApprovalRequirements, PolicyRequest
from core.model.task import Revision, Task
from core.rules.planning import ANYTHING, RequestOrigin, policy_request
from core.settings import Settings


def request_of(task: Task, person: str, surface: str, revision: Revision | None = None) -> PolicyRequest:
    """What policy is asked about a revision (the current one) of a task whose lane is known."""
    asked = revision or task.current
    return policy_request(RequestOrigin.of_revision(task, asked, person, surface), asked.intent or ANYTHING)


def terms_now(
    settings: Settings, task: Task, revision: Revision | None = None
) -> tuple[ApprovalRequirements | None, ApprovalRequirements | None]:
    """What was required when the revision was planned, and what the policy in force requires (None: it denies)."""
    asked = revision or task.current
    promised, live = _terms(settings, task, asked)
    return promised, live if _obstacle(settings, asked, promised, live, None) is None else None


def refusal_now(
    settings: Settings,
    task: Task,
    revision: Revision | None = None,
    files: Sequence[FileChange] | None = None,
) -> str | None:
    """Why the policy in force does not allow a revision (the current one), or None when it does.

    Asked at the click, at publishing and at merging. A rule must still let the request in, and the lane must allow
    what was staged, whatever made it (security.md 151): `files` as git has them, else those stored with the digest.
    """
    asked = revision or task.current
    promised, live = _terms(settings, task, asked)
    if live is None:
        return settings.policy.decide(request_of(task, asked.author, task.surface, asked)).reason
    return _obstacle(settings, asked, promised, live, files)


def _obstacle(
    settings: Settings,
    asked: Revision,
    promised: ApprovalRequirements | None,
    live: ApprovalRequirements | None,
    files: Sequence[FileChange] | None,
) -> str | None:
    if promised is None or live is None:
        return "no rule lets it in"
    if asked.staged is None:
        return None
    if not asked.staged.is_as_digested:
        return "its stored files are not those of its digest; the database was modified outside Countersign"
    staged = asked.staged.changes if files is None else files
    return settings.policy.hindrance(asked.lane or "", stricter(promised, live), staged)


def _terms(
    settings: Settings, task: Task, asked: Revision
) -> tuple[ApprovalRequirements | None, ApprovalRequirements | None]:
    live = settings.policy.requirements_of(request_of(task, asked.author, task.surface, asked))
    return _escalated(task, asked.terms), _escalated(task, live)


def _escalated(task: Task, requirements: ApprovalRequirements | None) -> ApprovalRequirements | None:
    """The requirements with those who were asked too, once nobody else answered in time."""
    if requirements is None or not task.escalated:
        return requirements
    return replace(requirements, approvers=(*requirements.approvers, *requirements.escalate_to))
