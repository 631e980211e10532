"""The attention set of a task: whose turn it is, which is exactly those who can act on it now.

A staged diff waits for everyone whose approval would count now and does not count yet. If no approval can count, and
after a refusal, a rejection, a failure or an expiry, the requester can reply. A question waits for the requester, one
about a used-up budget for those who may extend that, an open pull request for those who may merge it. While Countersign
itself works on a task, it waits for no person. The idea is Gerrit's
(https://gerrit-review.googlesource.com/Documentation/user-attention-set.html).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.model.approval import NOWHERE, Approval, QuorumStatus, count_quorum, stricter
from core.model.attention import AttentionAction
from core.model.event import Event
from core.model.job import JobKind
from core.model.lifecycle import State
from core.model.role import Role
from core.model.task import Revision, Task
from core.rules.audit import STAGING_EVENTS, forged_staging
from core.rules.authorization import mergers
from core.rules.budgets import people_who_may_extend
from core.rules.current_requirements import requirements_now
from core.settings import Settings
from core.store import events, queue_queries, tasks
from core.store.unit_of_work import Tx

RECENT: Final = timedelta(days=7)
"""For how long a task that ended without success asks for its requester's attention."""
_UNSUCCESSFUL: Final = (State.REFUSED, State.REJECTED, State.FAILED, State.EXPIRED)

REQUESTERS_TURN: Final = _UNSUCCESSFUL
"""The states in which a task waits for its requester, if for anyone."""

ATTENTION_STATES: Final = (State.STAGED, State.PUBLISHED, State.ASKING, *REQUESTERS_TURN)
"""The states in which a task can wait for a person."""


@dataclass(frozen=True, slots=True)
class TaskAttention:
    """Whose turn it is on a task, with what they can do; `needs` are the approvals of one that is staged."""

    people: Mapping[str, AttentionAction]
    needs: QuorumStatus | None = None


async def attention_of(tx: Tx, settings: Settings, task: Task) -> Mapping[str, AttentionAction]:
    """Everyone whose turn it is on a task, with what they can do; empty if it waits for no person."""
    return (await attention_of_all(tx, settings, [task]))[task.number].people


async def attention_of_all(tx: Tx, settings: Settings, some: Sequence[Task]) -> dict[int, TaskAttention]:
    """Whose turn it is on each of the tasks, by their numbers, with a few queries for all of them."""
    facts = await _facts_of(tx, some)
    return {task.number: _attention(tx.now, settings, task, facts) for task in some}


@dataclass(frozen=True, slots=True)
class _Facts:
    """The rows that decide whose turn it is, beside the tasks themselves, by the numbers of the tasks."""

    active: Mapping[int, Collection[JobKind]]
    approvals: Mapping[int, Sequence[Approval]]
    stagings: Mapping[int, Sequence[Event]]
    published: Mapping[int, Revision | None]


async def _facts_of(tx: Tx, some: Sequence[Task]) -> _Facts:
    staged = [task.number for task in some if task.state is State.STAGED]
    opened = {t.number: t for t in some if t.state is State.PUBLISHED and t.has_open_pull_request}
    published = {}
    for number, task in opened.items():
        assert task.pull_request is not None
        n = task.pull_request.revision
        published[number] = task.current if n == task.revision else await tasks.revision_of(tx, number, n)
    return _Facts(
        active=await queue_queries.active_kinds(tx, [*staged, *opened]),
        approvals=await tasks.approvals_of_all(tx, staged),
        stagings=await events.of_kinds(tx, staged, STAGING_EVENTS),
        published=published,
    )


def _attention(now: datetime, settings: Settings, task: Task, facts: _Facts) -> TaskAttention:
    if task.state is State.STAGED:
        if JobKind.READ in facts.active.get(task.number, ()):
            return TaskAttention({})  # a reply that is being read may supersede the staged diff
        approvers, needs = _approvers(now, settings, task, facts)
        if not approvers:
            return TaskAttention(_requester(settings, task, AttentionAction.REPLY), needs)
        return TaskAttention(dict.fromkeys(approvers, AttentionAction.APPROVE), needs)
    if task.state is State.ASKING:
        if task.question is not None and task.question.budget is not None:
            return TaskAttention(dict.fromkeys(people_who_may_extend(settings, task), AttentionAction.EXTEND))
        return TaskAttention(_requester(settings, task, AttentionAction.ANSWER))
    if task.state in _UNSUCCESSFUL and now - task.updated_at < RECENT:
        return TaskAttention(_requester(settings, task, AttentionAction.REPLY))
    if task.state is State.PUBLISHED:
        return TaskAttention(dict.fromkeys(_mergers(settings, task, facts), AttentionAction.MERGE))
    return TaskAttention({})


def _approvers(
    now: datetime, settings: Settings, task: Task, facts: _Facts
) -> tuple[tuple[str, ...], QuorumStatus | None]:
    """Those whose approval of the staged diff would be accepted now, on one surface at least, and what it needs."""
    if task.staged is None:
        return (), None
    promised, live = requirements_now(settings, task)
    if promised is None or live is None:
        return (), None
    approvals = facts.approvals.get(task.number, ())
    needs = count_quorum(promised, live, settings.people_of(task.repo), task.authors, approvals, task.staged.digest)
    is_over = task.expires_at is not None and task.expires_at <= now
    if is_over or NOWHERE in stricter(promised, live).surfaces:
        return (), needs
    # an approval that counts already is not accepted again
    may = needs.of if needs.met else needs.missing
    if not may or forged_staging(task, facts.stagings.get(task.number, ())):
        return (), needs
    return may, needs


def _mergers(settings: Settings, task: Task, facts: _Facts) -> tuple[str, ...]:
    """Those who may merge the open pull request; no one while a job works on it or where checks merge it."""
    if task.number not in facts.published or facts.active.get(task.number):
        return ()
    published = facts.published[task.number]
    live = requirements_now(settings, task, published)[1]
    return () if live is None or live.merge.auto else mergers(settings, task, published)


def _requester(settings: Settings, task: Task, action: AttentionAction) -> Mapping[str, AttentionAction]:
    """The requester alone, if the configuration still has them, and not as a viewer."""
    requester = settings.people_of(task.repo).get(task.requester)
    return {task.requester: action} if requester is not None and requester.may(Role.REQUESTER) else {}
