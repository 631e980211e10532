"""Compares the rows of a task with its events: what the database holds twice must agree (security.md 156).

Events are chained by hash and a receipt signs the chain. So a row that was modified outside Countersign is noticed
here, before anything is signed and whenever a task is verified. Every contradiction is one sentence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.model.approval import Approval, Verdict
from core.model.decision import ApprovalRequirements
from core.model.event import Event, broken_link, canonical
from core.model.lifecycle import Fact
from core.model.staged_diff import GuardReport, short_digest
from core.model.task import Revision, Task
from core.model.turn import Turn

_SAID_YES = frozenset(f"task.{fact.value}" for fact in (Fact.COUNTED, Fact.APPROVED, Fact.CONTINUED))
_PLANNED = f"task.{Fact.PLANNED.value}"
_STAGED = frozenset(f"task.{fact.value}" for fact in (Fact.STAGED, Fact.BLOCKED))


@dataclass(frozen=True, slots=True)
class AuditRows:
    """What the database holds of one revision of a task, beside its events."""

    task: Task
    revision: Revision
    turns: tuple[Turn, ...]
    approvals: tuple[Approval, ...]

    @property
    def counted(self) -> tuple[Approval, ...]:
        """The verdicts on what this revision staged."""
        digest = self.revision.staged.digest if self.revision.staged else ""
        return tuple(approval for approval in self.approvals if approval.digest == digest)


def report_hash(report: GuardReport) -> str:
    """What the event of a staged diff says of its guard report."""
    return hashlib.sha256(canonical(report.to_json()).encode()).hexdigest()


def terms_hash(requirements: ApprovalRequirements | None) -> str:
    """What the event of a decision says of the requirements that it promised."""
    return hashlib.sha256(canonical(requirements.to_json() if requirements else None).encode()).hexdigest()


def contradictions(rows: AuditRows, chain: Sequence[Event]) -> tuple[str, ...]:
    """Everything in which `rows` and `chain` differ, one sentence each; empty when they agree."""
    if (broken := broken_link(chain)) is not None:
        return (broken,)
    recorded = [(event, json.loads(event.body)) for event in chain]
    about = (_asked, _planned, _staged, _approved, _stands)
    return tuple(wrong for check in about for wrong in check(rows, recorded))


_EventBodies = Sequence[tuple[Event, dict[str, Any]]]


def _asked(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """Who asked, and what each turn says."""
    words = [
        (event, body) for event, body in recorded if event.kind in ("task.requested", f"task.{Fact.REPLIED.value}")
    ]
    first = words[0][0].person if words else "nobody"
    if first != rows.task.requester:
        yield f"the task says that {rows.task.requester} asked, its events say {first}"
    if len(words) != len(rows.turns):
        yield f"the task has {len(rows.turns)} turns, its events {len(words)}"
    for (event, body), turn in zip(words, rows.turns, strict=False):
        if (event.person, body.get("text")) != (turn.person, turn.text):
            yield f"turn {turn.n} is not what {event.person} said"


def _planned(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """What policy decided; a revision that goes on after an approval was planned as the one before it."""
    revision = rows.revision
    bodies = [body for event, body in recorded if event.kind == _PLANNED and body.get("revision") == revision.n]
    if not bodies:
        return
    body = bodies[-1]
    if (body.get("lane"), body.get("rule"), body.get("reason")) != (revision.lane, revision.rule, revision.reason):
        yield f"the lane, rule or reason of revision {revision.n} is not what policy said"
    if "terms_sha256" in body and body["terms_sha256"] != terms_hash(revision.terms):
        yield f"the terms of revision {revision.n} are not those that policy promised"


def _staged(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """What was staged, what the guard said of it, and whose words are in it."""
    if rows.revision.staged is None:
        return
    if not any(event.kind in _STAGED and body.get("revision") == rows.revision.n for event, body in recorded):
        yield f"no event says that revision {rows.revision.n} was staged"
    yield from _staged_otherwise(rows.task, rows.revision, recorded)


def forged_staging(task: Task, chain: Sequence[Event]) -> tuple[str, ...]:
    """How the current revision's row differs from the event of its staging; compared at every click."""
    return tuple(_staged_otherwise(task, task.current, [(event, json.loads(event.body)) for event in chain]))


def _staged_otherwise(task: Task, revision: Revision, recorded: _EventBodies) -> Iterator[str]:
    staged, n = revision.staged, revision.n
    bodies = [body for event, body in recorded if event.kind in _STAGED and body.get("revision") == n]
    if staged is None or not bodies:
        return
    body = bodies[-1]
    if body.get("digest") != staged.digest:
        yield f"revision {n} has the digest {short_digest(staged.digest)}, which its event does not name"
    if not staged.is_as_digested:
        yield f"the files of revision {n} are not those of its digest"
    if "guard_sha256" in body and body["guard_sha256"] != report_hash(staged.guard):
        yield f"the guard's report on revision {n} is not what the guard said"
    if "authors" in body and sorted(task.authors_of(revision)) != body["authors"]:
        yield f"the authors of revision {n} are not those that its event names"


def _approved(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """Every approval that counts was given by that person, on that surface."""
    clicked = {(event.person, event.surface, body.get("digest")) for event, body in recorded if event.kind in _SAID_YES}
    for approval in rows.counted:
        key = (approval.person, approval.surface, approval.digest)
        if approval.verdict is Verdict.APPROVE and key not in clicked:
            yield f"no event says that {approval.person} approved {short_digest(approval.digest)}"


def _stands(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """The task's state: rows that are ahead of the events show that events were cut off."""
    steps = [body for event, body in recorded if event.kind.startswith("task.") and "state" in body]
    last = steps[-1] if steps else {}
    state, revision = last.get("state"), last.get("revision", 1)
    if state != rows.task.state.value or revision != rows.task.revision:
        yield (
            f"the task is {rows.task.state.value} at revision {rows.task.revision}, "
            f"its last event left it {state or 'nowhere'} at revision {revision}"
        )
