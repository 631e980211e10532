"""What a revision requires now: the requirements set when it was planned, the current ones, and why it is refused."""

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
    """The policy request about a revision (the current one) of a task whose lane is known."""
    revision = revision or task.current
    origin = RequestOrigin.of_revision(task, revision, person, surface)
    return policy_request(origin, revision.intent or ANYTHING)


def requirements_now(
    settings: Settings, task: Task, revision: Revision | None = None
) -> tuple[ApprovalRequirements | None, ApprovalRequirements | None]:
    """(promised, live): the requirements set when the revision was planned, and the current ones.

    `live` is None if the policy in force denies the revision.
    """
    revision = revision or task.current
    promised, live = _promised_and_live(settings, task, revision)
    return promised, live if _obstacle(settings, revision, promised, live, None) is None else None


def refusal_now(
    settings: Settings,
    task: Task,
    revision: Revision | None = None,
    files: Sequence[FileChange] | None = None,
) -> str | None:
    """Why the policy in force does not allow a revision (the current one), or None if it does.

    Checked at every click, before publishing and before merging. A rule must still allow the request, and the lane must
    allow the staged files, whatever made them (security.md 151): `files` as git has them, else as stored with the
    digest.
    """
    revision = revision or task.current
    promised, live = _promised_and_live(settings, task, revision)
    if live is None:
        return settings.policy.decide(request_of(task, revision.author, task.surface, revision)).reason
    return _obstacle(settings, revision, promised, live, files)


def _obstacle(
    settings: Settings,
    revision: Revision,
    promised: ApprovalRequirements | None,
    live: ApprovalRequirements | None,
    files: Sequence[FileChange] | None,
) -> str | None:
    if promised is None or live is None:
        return "no rule allows it"
    if revision.staged is None:
        return None
    if not revision.staged.is_as_digested:
        return "its stored files do not match its digest; the database was modified outside Countersign"
    staged_files = revision.staged.changes if files is None else files
    return settings.policy.objection_to_files(revision.lane or "", stricter(promised, live), staged_files)


def _promised_and_live(
    settings: Settings, task: Task, revision: Revision
) -> tuple[ApprovalRequirements | None, ApprovalRequirements | None]:
    live = settings.policy.requirements_of(request_of(task, revision.author, task.surface, revision))
    return _escalated(task, revision.requirements), _escalated(task, live)


def _escalated(task: Task, requirements: ApprovalRequirements | None) -> ApprovalRequirements | None:
    """The requirements with the further approvers of an escalated task."""
    if requirements is None or not task.escalated:
        return requirements
    return replace(requirements, approvers=(*requirements.approvers, *requirements.escalate_to))
