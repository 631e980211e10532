"""Builders: whole valid values from the few words that a test is about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from core.model.approval import Approval, Verdict
from core.model.change import ABSENT, REGULAR, Change, FileChange
from core.model.decision import ApprovalRequirements
from core.model.event import broken_link
from core.model.ids import new_id
from core.model.intent import Intent
from core.model.job import PAYLOAD_VERSION, Job, JobKind, JobState
from core.model.job_order import NodeView, rank_ms_of
from core.model.lane import Lane
from core.model.lifecycle import State
from core.model.limits import Limit
from core.model.part_selection import PartSelection
from core.model.person import People, Person
from core.model.staged_diff import Finding, GuardReport, GuardVerdict, StagedDiff, stage
from core.model.task import PullRequest, Task
from core.model.turn import Actor
from core.ports.policy import Policy
from core.ports.repository import RepositorySpec
from core.queue.claimer import Claimer
from core.settings import Settings, SettingsSource, Timing
from core.store import events, jobs, pull_requests, queue_queries, tasks, workers
from core.store.database import Database, to_ms
from core.store.tables import JobRow, TaskRow, TurnRow, WorkerRow
from core.store.unit_of_work import Tx
from tests.fakes.policy import FakePolicy

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
BASE = "b" * 40
NODE = NodeView("here", frozenset({"sandbox"}))
QUICK = Timing(heartbeat_s=0.05, lease_s=2.0, poll_s=0.02, slots=2)

ANA, BO, LEE, MAX = (Actor(name, "terminal") for name in ("ana", "bo", "lee", "max"))
"""A member and requester, another member, and two maintainers."""


def people(**roles: str) -> People:
    """Everybody by name; by default the four above."""
    known = roles or {"ana": "member", "bo": "member", "lee": "maintainer", "max": "maintainer"}
    return People({name: Person(name, frozenset(role.split())) for name, role in known.items()})


def terms(count: int = 1, **others: Any) -> ApprovalRequirements:
    """One approval of a maintainer who did not write it, unless told otherwise."""
    return ApprovalRequirements(**{"rule": "small-changes", "count": count, "approvers": ("maintainer",), **others})


def part_selection(digest: str) -> PartSelection:
    """One part of two of the diff `digest`; a fake executor does not ask which."""
    return PartSelection(digest, ("1a2b3c4d5e" * 2,), 2, "1")


def lane(name: str = "config", **others: Any) -> Lane:
    """A lane that may write everything with the fake executor."""
    return Lane(**{"name": name, "describe": name, "write": ("**",), "executor": "edit", **others})


def settings(policy: Policy | None = None, **others: Any) -> Settings:
    """One repository, one lane, the four people, and `policy` or one that allows."""
    spec = RepositorySpec("web", "repo-1", "file:///nowhere", "main", "local")
    given: dict[str, Any] = {
        "people": people(),
        "repositories": {"web": spec},
        "lanes": {"config": lane()},
        "policy": policy or FakePolicy(terms()),
        "timing": QUICK,
    }
    return Settings(**{**given, **others})


def always(value: Settings) -> SettingsSource:
    """A source that gives the same settings every time."""
    return lambda: value


def sha256(content: bytes | str) -> str:
    """The digest that a blob of this content has."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def file_change(path: str | bytes = "config/app.yaml", **others: Any) -> FileChange:
    """One changed file."""
    raw = path.encode() if isinstance(path, str) else path
    given: dict[str, Any] = {
        "path": raw,
        "old_mode": REGULAR,
        "mode": REGULAR,
        "old_blob": "1" * 40,
        "new_blob": "2" * 40,
        "old_sha256": sha256(b"old " + raw),
        "new_sha256": sha256(b"new " + raw),
        "old_size": 3,
        "new_size": 3,
        "added": 1,
        "removed": 1,
    }
    return FileChange(**{**given, **others})


def added_file(path: str | bytes, content: bytes = b"new") -> FileChange:
    """One file that was not there before."""
    absent = {"old_mode": ABSENT, "old_blob": None, "old_sha256": None, "old_size": 0, "removed": 0}
    return file_change(path, **absent, new_sha256=sha256(content))


def change(*files: FileChange, base: str = BASE, repository: str = "repo-1") -> Change:
    """A change of `files`, or of one."""
    return Change(repository, base, "c" * 40, files or (file_change(),))


def staged(content: str = "first", *, blocked: bool = False) -> StagedDiff:
    """A staged diff whose digest depends on `content` alone."""
    verdict = GuardVerdict.BLOCK if blocked else GuardVerdict.PASS
    report = GuardReport((Finding("paths", verdict, "inside the lane"),))
    return stage(change(file_change(new_sha256=sha256(content))), report)


def approval(person: str, digest: str, verdict: Verdict = Verdict.APPROVE, surface: str = "terminal") -> Approval:
    """A verdict, said at noon."""
    return Approval(person, verdict, digest, NOON, surface)


def pull_request(number: int = 1, *, state: str = "open", revision: int = 1, digest: str = "d" * 64) -> PullRequest:
    """What the forge has for a task's revision."""
    branch = f"countersign/{number}-change"
    return PullRequest(number, f"forge://web/{number}", branch, "e" * 40, state, revision, digest)


def job(**others: Any) -> Job:
    """A ready job as placement sees it."""
    given: dict[str, Any] = {
        "id": "job_1",
        "number": 1,
        "revision": 1,
        "kind": JobKind.CHANGE,
        "state": JobState.READY,
        "priority": 0,
        "attempt": 1,
        "fence": 0,
        "rescues": 0,
        "created_at": NOON,
        "ready_at": NOON,
        "deadline_at": None,
        "owner": None,
        "needs": frozenset(),
        "payload": {},
        "payload_version": PAYLOAD_VERSION,
        **others,
    }
    return Job(**{"rank_ms": rank_ms_of(to_ms(given["ready_at"]), given["priority"]), **given})


# What lies in the store. Everything here is written as core writes it: a task always has its revision,
# its first turn, an unbroken chain of events and, in a working state, its job.


async def put_task(
    database: Database,
    state: State = State.RECEIVED,
    *,
    requester: str = "ana",
    diff: StagedDiff | None = None,
    promised: ApprovalRequirements | None = None,
    opened: PullRequest | None = None,
    columns: Mapping[str, Any] | None = None,
    owes: Iterable[JobKind] = (),
) -> int:
    """A task in `state`; returns its number. `diff` is staged, `promised` its terms, `opened` its pull request."""
    planned = state not in (State.RECEIVED, State.ASKING)

    async def work(tx: Tx) -> int:
        row = TaskRow(
            **{
                "id": new_id("task"),
                "state": state.value,
                "repo": "web",
                "requester": requester,
                "surface": "terminal",
                "title": "set a to 1",
                "digest": diff.digest if diff else None,
                "created_ms": tx.now_ms,
                "updated_ms": tx.now_ms,
                **(columns or {}),
            }
        )
        number = await tasks.create(tx, row, Intent("set a to 1"))
        if opened is not None:
            await pull_requests.save(tx, await tasks.load(tx, number), opened)
        if planned:
            decided = {
                "lane": "config",
                "rule": "small-changes",
                "policy_digest": "0" * 64,
                "terms": (promised or terms()).to_json(),
                "staged": diff.to_json() if diff else None,
            }
            await tasks.save_revision(tx, number, 1, decided)
        said: dict[str, Any] = {"number": number, "n": 1, "revision": 1, "person": requester, "surface": "terminal"}
        await tasks.add_turn(tx, TurnRow(**said, text="set a to 1", at_ms=tx.now_ms))
        await events.append(tx, number=number, kind="task.requested", person=requester)
        for kind in owes:
            await jobs.add(tx, job_row(number, tx.now_ms, kind=kind.value))
        return number

    return await database.write(work)


async def put_staged(database: Database, content: str = "first", **others: Any) -> tuple[int, str]:
    """A task that waits for a verdict; returns its number and its digest."""
    diff = staged(content)
    return await put_task(database, State.STAGED, diff=diff, **others), diff.digest


def job_row(number: int, now_ms: int, **columns: Any) -> JobRow:
    """A ready row of the queue; `needs` are the capabilities that a node must have."""
    capabilities = jobs.capability_key(columns.pop("needs", ()))
    given: dict[str, Any] = {
        "capabilities": capabilities,
        "id": new_id("job"),
        "number": number,
        "revision": 1,
        "kind": JobKind.CHANGE.value,
        "state": JobState.READY.value,
        "created_ms": now_ms,
        "ready_ms": now_ms,
    }
    row = JobRow(**{**given, **columns})
    row.turn_ms = row.ready_ms
    row.rank_ms = rank_ms_of(row.turn_ms, row.priority)
    return row


async def put_job(database: Database, number: int, *, ready_in: timedelta = timedelta(0), **columns: Any) -> str:
    """One more job of a task; returns its id."""

    async def work(tx: Tx) -> str:
        row = job_row(number, tx.now_ms + round(ready_in.total_seconds() * 1000), **columns)
        await jobs.add(tx, row)
        return row.id

    return await database.write(work)


async def put_worker(
    database: Database, worker: str, *, silent_s: float = 0, offers: Iterable[str] = (), **columns: Any
) -> None:
    """A worker that was last heard of `silent_s` ago; below nothing, one that no sweep will find silent."""

    async def work(tx: Tx) -> None:
        told: dict[str, Any] = {
            "node": worker,
            "host": "here",
            "pid": 1,
            "state": workers.ALIVE,
            "started_ms": tx.now_ms,
            **columns,
        }
        row = WorkerRow(id=worker, **told, heartbeat_ms=tx.now_ms - round(silent_s * 1000))
        await workers.register(tx, row, offers)

    await database.write(work)


def claimer(database: Database, worker: str = "w1", node: NodeView = NODE, limits: Iterable[Limit] = ()) -> Claimer:
    """What claims jobs for `worker` under `limits`."""
    return Claimer(database, node, worker, always(settings(limits=tuple(limits))))


async def claim(database: Database, worker: str = "w1", node: NodeView = NODE) -> Job | None:
    """What `worker` claims on `node`; it is registered with its first claim, and no sweep will find it silent."""
    if not await database.read(lambda tx: tx.session.get(WorkerRow, worker)):
        await put_worker(database, worker, silent_s=-3600, offers=node.offers)
    return await claimer(database, worker, node).claim()


async def load(database: Database, number: int) -> Task:
    """The task as it is now."""
    return await database.read(lambda tx: tasks.load(tx, number))


async def kinds_of(database: Database, number: int) -> list[str]:
    """What happened to a task, in order; fails when its chain of events is broken."""
    chain = await database.read(lambda tx: events.chain_of(tx, number))
    assert broken_link(chain) is None
    return [event.kind for event in chain]


async def active_jobs(database: Database, number: int) -> list[Job]:
    """What a task still has in the queue."""
    return await database.read(lambda tx: queue_queries.active_of(tx, number))
