"""Whether the rows of a task say what its events say: what the database holds twice must agree (security.md 156).

Events are chained by hash and a receipt signs the chain, so a row that was changed past Countersign is found out here,
before anything is signed and whenever it is verified. Every contradiction is one sentence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.approval import Approval, Verdict
from core.lifecycle import Fact
from core.staged_diff import GuardReport, short_digest
from core.store.events import Event, broken_link, canonical
from core.task import Revision, Task
from core.turn import Turn

_SAID_YES = frozenset(f"task.{fact.value}" for fact in (Fact.COUNTED, Fact.APPROVED, Fact.CONTINUED))
_STAGED = frozenset(f"task.{fact.value}" for fact in (Fact.STAGED, Fact.BLOCKED))


@dataclass(frozen=True, slots=True)
class Rows:
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


def contradictions(rows: Rows, chain: Sequence[Event]) -> tuple[str, ...]:
    """Everything in `rows` that `chain` says otherwise, a sentence each; nothing when they agree."""
    if (broken := broken_link(chain)) is not None:
        return (broken,)
    said = [(event, json.loads(event.body)) for event in chain]
    return (*_asked(rows, said), *_staged(rows, said), *_approved(rows, said), *_stands(rows, said))


_Said = Sequence[tuple[Event, dict[str, Any]]]


def _asked(rows: Rows, said: _Said) -> Iterator[str]:
    """Who asked, and what everybody said."""
    words = [(event, body) for event, body in said if event.kind in ("task.requested", f"task.{Fact.REPLIED.value}")]
    first = words[0][0].person if words else "nobody"
    if first != rows.task.requester:
        yield f"the task says that {rows.task.requester} asked, its events say {first}"
    if len(words) != len(rows.turns):
        yield f"the task has {len(rows.turns)} turns, its events {len(words)}"
    for (event, body), turn in zip(words, rows.turns, strict=False):
        if (event.person, body.get("text")) != (turn.person, turn.text):
            yield f"turn {turn.n} is not what {event.person} said"


def _staged(rows: Rows, said: _Said) -> Iterator[str]:
    """What was staged, what the guard said of it, and whose words are in it."""
    staged, n = rows.revision.staged, rows.revision.n
    if staged is None:
        return
    found = [body for event, body in said if event.kind in _STAGED and body.get("revision") == n]
    if not found:
        yield f"no event says that revision {n} was staged"
        return
    body = found[-1]
    if body.get("digest") != staged.digest:
        yield f"revision {n} has the digest {short_digest(staged.digest)}, which its event does not name"
    if not staged.is_as_digested:
        yield f"the files of revision {n} are not those of its digest"
    if "guard_sha256" in body and body["guard_sha256"] != report_hash(staged.guard):
        yield f"the guard's report on revision {n} is not what the guard said"
    if "authors" in body and sorted(rows.task.authors_of(rows.revision)) != body["authors"]:
        yield f"the authors of revision {n} are not those that its event names"


def _approved(rows: Rows, said: _Said) -> Iterator[str]:
    """Every approval that counts was said by that person, there."""
    clicked = {(event.person, event.surface, body.get("digest")) for event, body in said if event.kind in _SAID_YES}
    for approval in rows.counted:
        key = (approval.person, approval.surface, approval.digest)
        if approval.verdict is Verdict.APPROVE and key not in clicked:
            yield f"no event says that {approval.person} approved {short_digest(approval.digest)}"


def _stands(rows: Rows, said: _Said) -> Iterator[str]:
    """Where the task stands: rows that are ahead of the events betray events that were cut off."""
    steps = [body for event, body in said if event.kind.startswith("task.") and "state" in body]
    last = steps[-1] if steps else {}
    state, revision = last.get("state"), last.get("revision", 1)
    if state != rows.task.state.value or revision != rows.task.revision:
        yield (
            f"the task is {rows.task.state.value} at revision {rows.task.revision}, "
            f"its last event left it {state or 'nowhere'} at revision {revision}"
        )
