"""Compares the rows of a task with its events: what the database stores twice must agree (security.md 156).

Events are chained by hash, and a receipt signs the chain. A row that was modified outside Countersign is therefore
noticed here, before anything is signed and whenever a task is verified. Every contradiction is one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.model.approval import Approval, Verdict
from core.model.event import Event, broken_link
from core.model.lifecycle import Fact
from core.model.staged_diff import short_digest
from core.model.task import Revision, Task
from core.model.turn import Turn

_APPROVALS = frozenset(f"task.{fact.value}" for fact in (Fact.COUNTED, Fact.APPROVED, Fact.CONTINUED))
_PLANNED = f"task.{Fact.PLANNED.value}"
STAGING_EVENTS = frozenset(f"task.{fact.value}" for fact in (Fact.STAGED, Fact.BLOCKED))
"""The kinds of events that record a staging; `forged_staging` needs no others."""


@dataclass(frozen=True, slots=True)
class AuditRows:
    """The rows of one revision of a task, without its events."""

    task: Task
    revision: Revision
    turns: tuple[Turn, ...]
    approvals: tuple[Approval, ...]

    @property
    def counted(self) -> tuple[Approval, ...]:
        """The verdicts on what this revision staged."""
        digest = self.revision.staged.digest if self.revision.staged else ""
        return tuple(approval for approval in self.approvals if approval.digest == digest)


def contradictions(rows: AuditRows, chain: Sequence[Event]) -> tuple[str, ...]:
    """Everything in which `rows` and `chain` differ, one sentence each; empty if they agree."""
    if (broken := broken_link(chain)) is not None:
        return (broken,)
    recorded = [(event, json.loads(event.body)) for event in chain]
    checks = (_requests, _picks, _plan, _staging, _approvals, _state)
    return tuple(found for check in checks for found in check(rows, recorded))


_EventBodies = Sequence[tuple[Event, dict[str, Any]]]


def _requests(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """The requester, and the author and text of each turn."""
    turns = [
        (event, body) for event, body in recorded if event.kind in ("task.requested", f"task.{Fact.REPLIED.value}")
    ]
    first = turns[0][0].person if turns else "no one"
    if first != rows.task.requester:
        yield f"the task names {rows.task.requester} as its requester, its events name {first}"
    if len(turns) != len(rows.turns):
        yield f"the task has {len(rows.turns)} turns, its events {len(turns)}"
    for (event, body), turn in zip(turns, rows.turns, strict=False):
        if (event.person, body.get("text")) != (turn.person, turn.text):
            yield f"turn {turn.n} is not what {event.person} wrote"


def _picks(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """Every choice of parts that the revision builds on was made by that person, of a diff that was staged."""
    made = [(event.person, body["picked"]) for event, body in recorded if "picked" in body]
    staged = {(b.get("revision"), b.get("digest")) for event, b in recorded if event.kind in STAGING_EVENTS}
    for part in rows.revision.basis.picked:
        if (part.person, part.to_json()) not in made or (part.revision, part.digest) not in staged:
            yield f"no event records that {part.person} kept those parts of revision {part.revision}"


def _plan(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """The decision of policy; a revision that continues a workflow after an approval has no plan of its own."""
    revision = rows.revision
    bodies = [body for event, body in recorded if event.kind == _PLANNED and body.get("revision") == revision.n]
    if not bodies:
        return
    body = bodies[-1]
    if (body.get("lane"), body.get("rule"), body.get("reason")) != (revision.lane, revision.rule, revision.reason):
        yield f"the lane, rule or reason of revision {revision.n} is not what policy decided"
    if "terms_sha256" in body and body["terms_sha256"] != revision.requirements_sha256:
        yield f"the approval requirements of revision {revision.n} are not those that policy set"


def _staging(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """What was staged, the guard's report on it, and its authors."""
    if rows.revision.staged is None:
        return
    if not any(event.kind in STAGING_EVENTS and body.get("revision") == rows.revision.n for event, body in recorded):
        yield f"no event records that revision {rows.revision.n} was staged"
    yield from _staging_differences(rows.task, rows.revision, recorded)


def forged_staging(task: Task, chain: Sequence[Event]) -> tuple[str, ...]:
    """How the current revision's row differs from the event of its staging; checked at every click."""
    return tuple(_staging_differences(task, task.current, [(event, json.loads(event.body)) for event in chain]))


def _staging_differences(task: Task, revision: Revision, recorded: _EventBodies) -> Iterator[str]:
    staged, n = revision.staged, revision.n
    bodies = [body for event, body in recorded if event.kind in STAGING_EVENTS and body.get("revision") == n]
    if staged is None or not bodies:
        return
    body = bodies[-1]
    if body.get("digest") != staged.digest:
        yield f"revision {n} has the digest {short_digest(staged.digest)}, which its event does not name"
    if not staged.is_as_digested:
        yield f"the files of revision {n} do not match its digest"
    if "guard_sha256" in body and body["guard_sha256"] != revision.guard_sha256:
        yield f"the guard's report on revision {n} was changed"
    if "authors" in body and sorted(task.authors_of(revision)) != body["authors"]:
        yield f"the authors of revision {n} are not those that its event names"


def _approvals(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """Every approval that counts was given by that person, on that surface."""
    recorded_approvals = {
        (event.person, event.surface, body.get("digest"), body.get("signature_sha256"), body.get("step_up", ""))
        for event, body in recorded
        if event.kind in _APPROVALS
    }
    for approval in rows.counted:
        key = (approval.person, approval.surface, approval.digest, approval.signature_sha256, approval.step_up)
        if approval.verdict is Verdict.APPROVE and key not in recorded_approvals:
            yield f"no event records that {approval.person} approved {short_digest(approval.digest)}"


def _state(rows: AuditRows, recorded: _EventBodies) -> Iterator[str]:
    """The task's state: rows that are ahead of the events show that events were removed."""
    steps = [body for event, body in recorded if event.kind.startswith("task.") and "state" in body]
    last = steps[-1] if steps else {}
    state, revision = last.get("state"), last.get("revision", 1)
    if state != rows.task.state.value or revision != rows.task.revision:
        yield (
            f"the task is {rows.task.state.value} at revision {rows.task.revision}, "
            f"its last event left it {state or 'nowhere'} at revision {revision}"
        )
