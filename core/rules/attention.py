"""The attention set of a task: whose turn it is, which is exactly those who can act on it now.

A staged diff waits for everyone whose approval would count now and does not count yet. If no approval can count, and
after a refusal, a rejection, a failure or an expiry, the requester can reply. A question waits for the requester, one
about a used-up budget for those who may extend that, an open pull request for those who may merge it. While Countersign
itself works on a task, it waits for no person. The idea is Gerrit's
(https://gerrit-review.googlesource.com/Documentation/user-attention-set.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from core.model.approval import NOWHERE, eligible, stricter
from core.model.attention import AttentionAction
from core.model.lifecycle import State
from core.model.role import Role
from core.model.task import Task
from core.rules.audit import forged_staging
from core.rules.authorization import mergers
from core.rules.budgets import people_who_may_extend
from core.rules.current_requirements import requirements_now
from core.rules.quorum import needs_of
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


async def attention_of(tx: Tx, settings: Settings, task: Task) -> Mapping[str, AttentionAction]:
    """Everyone whose turn it is on a task, with what they can do; empty if it waits for no person."""
    if task.state is State.STAGED:
        if await queue_queries.reads_of(tx, task.number):
            return {}  # a reply that is being read may supersede the staged diff
        approvers = await _approvers(tx, settings, task)
        return dict.fromkeys(approvers, AttentionAction.APPROVE) or _requester(settings, task, AttentionAction.REPLY)
    if task.state is State.ASKING:
        if task.question is not None and task.question.budget is not None:
            return dict.fromkeys(people_who_may_extend(settings, task), AttentionAction.EXTEND)
        return _requester(settings, task, AttentionAction.ANSWER)
    if task.state in _UNSUCCESSFUL and tx.now - task.updated_at < RECENT:
        return _requester(settings, task, AttentionAction.REPLY)
    if task.state is State.PUBLISHED:
        return dict.fromkeys(await _mergers(tx, settings, task), AttentionAction.MERGE)
    return {}


async def _approvers(tx: Tx, settings: Settings, task: Task) -> tuple[str, ...]:
    """Those whose approval of the staged diff would be accepted now, on one surface at least."""
    if task.staged is None or (task.expires_at is not None and task.expires_at <= tx.now):
        return ()
    promised, live = requirements_now(settings, task)
    if promised is None or live is None or NOWHERE in stricter(promised, live).surfaces:
        return ()
    may = eligible(promised, live, settings.people, task.authors)
    needs = await needs_of(tx, settings, task)
    if needs is not None and not needs.met:  # an approval that counts already is not accepted again
        may = tuple(person for person in may if person not in needs.have)
    if not may or forged_staging(task, await events.chain_of(tx, task.number)):
        return ()
    return may


async def _mergers(tx: Tx, settings: Settings, task: Task) -> tuple[str, ...]:
    """Those who may merge the open pull request; no one while a job works on it or where checks merge it."""
    if not task.has_open_pull_request or await queue_queries.active_of(tx, task.number):
        return ()
    assert task.pull_request is not None
    published = await tasks.revision_of(tx, task.number, task.pull_request.revision)
    live = requirements_now(settings, task, published)[1]
    return () if live is None or live.merge.auto else mergers(settings, task, published)


def _requester(settings: Settings, task: Task, action: AttentionAction) -> Mapping[str, AttentionAction]:
    """The requester alone, if the configuration still has them, and not as a viewer."""
    requester = settings.people.get(task.requester)
    return {task.requester: action} if requester is not None and requester.may(Role.REQUESTER) else {}
