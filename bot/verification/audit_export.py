"""The audit export: every change that came onto a branch, whether it was countersigned, and what proves it.

The population is read from git and not from our rows: each commit on the branch's own line of first parents is a
change, so that one that did not come through Countersign is in it too, and named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bot.verification.verify import VerifySources, verify_task
from core.model.errors import CountersignError, NotFoundError
from core.model.staged_diff import short_digest
from core.rules import receipt

if TYPE_CHECKING:
    from core.services.event_chains import EventChain, EventChains
    from core.services.home_checks import StoredTask
    from lanes.repository.clone import LandedCommit

FORMAT = "countersign.audit/1"
_MERGED = "task.merged"


class AuditSources(VerifySources, Protocol):
    """What an export reads; `bot.wiring.app.App` has it."""

    @property
    def event_chains(self) -> EventChains:
        """All events."""


@dataclass(frozen=True, slots=True)
class AuditedTime:
    """The time that an export is about: from `since` on and before `until`."""

    since: datetime
    until: datetime

    def to_json(self) -> dict[str, str]:
        """Both ends, in ISO 8601."""
        return {"since": self.since.isoformat(), "until": self.until.isoformat()}


@dataclass(frozen=True, slots=True)
class AuditedChange:
    """One commit on a branch, with the task that it came from, who had a part in it, and what is wrong, if anything."""

    repository: str
    commit: LandedCommit
    task: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The row of the export."""
        return {
            "repository": self.repository,
            "commit": self.commit.id,
            "landed_at": self.commit.at.isoformat(),
            "subject": self.commit.subject,
            "committed_by": self.commit.author,
            "task": self.task,
            **{name: self.facts.get(name) for name in FACTS},
            "countersigned": self.task is not None and not self.gaps,
            "gaps": list(self.gaps),
        }


FACTS = (
    "requested_by",
    "requested_at",
    "authors",
    "approved_by",
    "approved_at",
    "merged_by",
    "rule",
    "lane",
    "policy_digest",
    "digest",
    "segregated",
    "receipt_sha256",
)
"""What a row says of its task; None where the change has no task."""


async def population(
    app: AuditSources, repository: str, time: AuditedTime, clone: Path | None
) -> tuple[AuditedChange, ...]:
    """Every change that came onto a repository's branch in this time, oldest first; each task is verified."""
    from lanes.repository.clone import Clone

    own = app.repository(repository)
    git = Clone.at(own, clone)
    tip = await git.tip_of(own.spec.branch)
    if tip is None:
        mend = "Fetch it, or name a clone with --repo-path."
        raise NotFoundError("no_branch", f"{git.path} has no branch {own.spec.branch}", mend)
    landed = [commit for commit in await git.landed(tip, time.since) if commit.at < time.until]
    tasks = await _merged_tasks(app, repository, time, landed)
    return tuple([await _audited(app, repository, commit, tasks, clone) for commit in landed])


async def _merged_tasks(
    app: AuditSources, repository: str, time: AuditedTime, landed: Sequence[LandedCommit]
) -> Mapping[str, StoredTask]:
    """The tasks of a repository by the commit that merged them and by the head that was merged."""
    found: dict[str, StoredTask] = {}
    heads = {oid for commit in landed for oid in (commit.id, *commit.parents[1:])}
    numbers = {*await app.event_chains.numbers(time.since, time.until), *await app.event_chains.numbers_of_heads(heads)}
    for number in sorted(numbers - {0}):
        stored = await app.home_checks.stored_task(number)
        if stored.task.repo != repository or stored.task.pull_request is None:
            continue
        merges = [json.loads(event.body) for event in stored.chain if event.kind == _MERGED]
        for commit in (stored.task.pull_request.head, *(body.get("commit") for body in merges)):
            if commit:
                found[commit] = stored
    return found


async def _audited(
    app: AuditSources, repository: str, commit: LandedCommit, tasks: Mapping[str, StoredTask], clone: Path | None
) -> AuditedChange:
    # the head of a merge by hand is its second parent, and that of a fast-forward is the commit itself
    stored = next((tasks[oid] for oid in (commit.id, *commit.parents[1:]) if oid in tasks), None)
    if stored is None:
        return AuditedChange(repository, commit, gaps=("it did not come through Countersign: no task has this commit",))
    facts, gaps = _facts(stored), []
    if not facts["segregated"]:
        gaps.append("everyone who approved it also wrote it")
    try:
        checks = await verify_task(app, stored.task.number, clone)
        gaps += [f"{check['name']}: {check['detail']}" for check in checks if check["verdict"] == "fail"]
    except CountersignError as error:
        gaps.append(error.problem.message)
    return AuditedChange(repository, commit, stored.task.number, facts, tuple(gaps))


def _facts(stored: StoredTask) -> dict[str, Any]:
    """Who asked, wrote, approved and merged, under which rule, of the revision that was published."""
    task = stored.task
    opened = task.pull_request
    assert opened is not None
    revision = next((each for each in stored.revisions if each.n == opened.revision), task.current)
    approvals = [each for each in stored.approvals if each.digest == opened.digest and each.verdict.value == "approve"]
    authors = task.authors_of(revision)
    merged = [event for event in stored.chain if event.kind in (_MERGED, "task.merge_asked")]
    merged_by = next((_who(event.person, json.loads(event.body)) for event in merged), None)
    receipts = [artifact.sha256 for artifact in stored.artifacts if artifact.name == receipt.ARTIFACT]
    return {
        "requested_by": task.requester,
        "requested_at": stored.chain[0].at.isoformat() if stored.chain else None,
        "authors": sorted(authors),
        "approved_by": sorted({each.person for each in approvals}),
        "approved_at": max((each.at.isoformat() for each in approvals), default=None),
        "merged_by": merged_by,
        "rule": revision.rule,
        "lane": revision.lane,
        "policy_digest": revision.policy_digest,
        "digest": short_digest(opened.digest),
        "segregated": bool({each.person for each in approvals} - authors),
        "receipt_sha256": receipts[-1] if receipts else None,
    }


def _who(person: str | None, body: Mapping[str, Any]) -> str | None:
    return person or body.get("by")


async def trails(app: AuditSources, time: AuditedTime) -> tuple[EventChain, ...]:
    """The whole chain of each task that has an event in this time."""
    numbers = await app.event_chains.numbers(time.since, time.until)
    return tuple([await app.event_chains.of_task(number) for number in numbers])


def soc2_document(time: AuditedTime, changes: Sequence[AuditedChange], chains: Sequence[EventChain]) -> dict[str, Any]:
    """The export for auditors of change management: the population, who had which part in it, and all gaps."""
    rows = [change.to_json() for change in changes]
    return {
        "format": FORMAT,
        "profile": "soc2",
        **time.to_json(),
        "population": len(rows),
        "countersigned": sum(row["countersigned"] for row in rows),
        "chains": _chain_status(chains),
        "gaps": _gaps(changes, chains),
        "changes": rows,
    }


def events_document(time: AuditedTime, chains: Sequence[EventChain]) -> dict[str, Any]:
    """The export of all events in this time, each with its links, and the status of every chain."""
    return {
        "format": FORMAT,
        "profile": "events",
        **time.to_json(),
        "chains": _chain_status(chains),
        "gaps": _gaps((), chains),
        "events": [event.to_json() for trail in chains for event in trail.happened(time.since, time.until)],
    }


def _chain_status(chains: Sequence[EventChain]) -> list[dict[str, Any]]:
    return [
        {
            "task": trail.number or None,
            "events": len(trail.events),
            "head": trail.events[-1].hash if trail.events else None,
            "fault": trail.fault,
        }
        for trail in chains
    ]


def _gaps(changes: Sequence[AuditedChange], chains: Sequence[EventChain]) -> list[str]:
    """Every gap in one sentence, the worst kind first: broken chains, then changes."""
    broken = [f"{_named(trail)}: {trail.fault}" for trail in chains if trail.fault]
    return broken + [
        f"{change.commit.id[:12]} on {change.repository}: {gap}" for change in changes for gap in change.gaps
    ]


def _named(trail: EventChain) -> str:
    return f"#{trail.number}" if trail.number else "events of the home"
