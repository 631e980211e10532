"""The tables. Times are UTC milliseconds since the epoch; JSON columns contain what the domain's `to_json` returned."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, Text, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel


def ms_column(*, nullable: bool = False) -> Any:
    """A column of UTC milliseconds since the epoch."""
    return Field(sa_column=Column(BigInteger, nullable=nullable))


class Row(SQLModel):
    """The base of every table. Rows are written and read, never validated, so no validator is built for them."""

    model_config = {"defer_build": True}


class TaskRow(Row, table=True):
    """One task. `version` is compared by every save; `digest` is the current staged diff's, if any.

    `scope` are the repositories of the conversation in which it was requested (null: all of them). `nudge_ms` is when
    the next reminder is due, or when a paused task's lane may have budget again; `escalated` is set once further
    approvers were asked. `if_failed` is what it does if the task `after` fails (null: it fails too).
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_state", "state", "number"),
        Index("tasks_by_expiry", "state", "expires_ms"),
        Index("tasks_by_nudge", "state", "nudge_ms"),
        Index("tasks_by_repo", "repo", "number"),
        Index("tasks_by_lane", "lane", "number"),
        Index("tasks_by_requester", "requester", "number"),
        Index("tasks_of_requester", "requester", "created_ms"),
        Index("tasks_by_creation", "created_ms", "number"),
        Index("tasks_by_after", "after", sqlite_where=text("after IS NOT NULL")),  # see `_partial`
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    id: str = Field(unique=True)
    version: int = 1
    state: str
    revision: int = 1
    repo: str | None = None
    scope: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    requester: str
    surface: str
    title: str = Field(sa_type=Text)
    asked_lane: str | None = None
    lane: str | None = None
    digest: str | None = None
    priority: int = 0
    after: int | None = None
    if_failed: str | None = None
    deadline_ms: int | None = ms_column(nullable=True)
    created_ms: int = ms_column()
    updated_ms: int = ms_column()
    expires_ms: int | None = ms_column(nullable=True)
    nudge_ms: int | None = ms_column(nullable=True)
    escalated: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    question: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    parameters: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))


class PullRequestRow(Row, table=True):
    """The pull request of a task, as it was last polled; `pull` is its number at the forge, `number` the task's."""

    __tablename__ = "pull_requests"
    __table_args__ = (
        Index("pull_requests_by_number", "repository", "pull"),
        Index("pull_requests_by_head", "repository", "head"),
    )

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    revision: int
    repository: str
    pull: int
    url: str = Field(sa_type=Text)
    branch: str
    head: str
    state: str
    digest: str
    followed: bool
    checks: str = Field(sa_type=Text)
    files: str = Field(sa_type=Text)
    updated_ms: int = ms_column()


class RevisionRow(Row, table=True):
    """One revision of a task; added when it begins, completed as its work proceeds, never changed afterwards."""

    __tablename__ = "revisions"

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    n: int = Field(primary_key=True)
    created_ms: int = ms_column()
    author: str
    lane: str | None = None
    rule: str | None = None
    reason: str = Field(default="", sa_type=Text)
    policy_digest: str | None = None
    basis: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    intent: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    terms: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    staged: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    making: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))


class TurnRow(Row, table=True):
    """One inbound message. `dedup` is the platform's id of it, so that a redelivery has no effect."""

    __tablename__ = "turns"
    __table_args__ = (UniqueConstraint("surface", "dedup", name="turns_once"),)

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    n: int = Field(primary_key=True)
    revision: int
    person: str
    surface: str
    text: str = Field(sa_type=Text)
    dedup: str | None = None
    at_ms: int = ms_column()


class EventRow(Row, table=True):
    """One thing that happened; append-only and chained by hash within its task (0: the whole system)."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("number", "seq", name="events_in_order"),
        Index("events_by_time", "at_ms", "kind"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    number: int
    seq: int
    kind: str
    at_ms: int = ms_column()
    person: str | None = None
    surface: str | None = None
    body: str = Field(sa_type=Text)
    previous: str
    hash: str


_CLAIMABLE = "state = 'ready' AND parked IS NULL"


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index of the rows for which `where` holds; a query must have the same condition with the same literals.

    The migrations create it on both databases. PostgreSQL's option is left out here: naming it imports that dialect.
    """
    return Index(name, *columns, sqlite_where=text(where))


class JobRow(Row, table=True):
    """One unit of queued work. A claim adds one to `fence`; every later write of the claimant compares it.

    `capabilities` are those that a node needs, sorted, one a line; `rank_ms` is the job's place in the scheduler's
    order, `turn_ms` the same without its priority and without manual moves (see `core.store.turns`). `parked` says why
    a ready job may not be claimed now (see `core.model.parking`), NULL if it may. `person` is the author of the
    revision. `write_set` are the globs of what the job may change in `repository`, none for a job that writes no files,
    NULL if that is not known. `result` is what the executor made, until the job ends. `run_key` is the hash of all that
    its run depends on, once that is known: jobs with the same one share a run.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        # these leave out finished jobs, which are most of them, and what may not be claimed
        _partial("jobs_to_claim", "capabilities", "rank_ms", "id", where=_CLAIMABLE),
        _partial("jobs_by_deadline", "capabilities", "deadline_ms", where=f"{_CLAIMABLE} AND deadline_ms IS NOT NULL"),
        _partial("jobs_by_turn", "turn_ms", where=_CLAIMABLE),
        _partial("jobs_of_key", "person", "priority", where="state = 'ready'"),
        _partial("jobs_parked", "parked", "rank_ms", "id", where="state = 'ready' AND parked IS NOT NULL"),
        _partial("jobs_later", "ready_ms", where="state = 'ready' AND parked = 'later'"),
        _partial("jobs_running", "owner", where="state = 'running'"),
        _partial("jobs_of_lane", "lane", where="state = 'ready'"),
        _partial("jobs_of_repository", "repository", where="state = 'ready'"),
        _partial("jobs_by_finish", "finished_ms", "id", where="state = 'done'"),
        _partial("jobs_waiting", "created_ms", where="state = 'waiting'"),
        Index("jobs_by_readiness", "state", "ready_ms"),
        Index("jobs_of_task", "number", "state"),
        Index("jobs_by_run", "run_key", "state"),
    )

    id: str = Field(primary_key=True)
    number: int = Field(foreign_key="tasks.number")
    revision: int
    kind: str
    state: str
    repository: str | None = None
    lane: str | None = None
    person: str = ""
    write_set: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    priority: int = 0
    rank_ms: int = ms_column()
    turn_ms: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    parked: str | None = None
    attempt: int = 1
    fence: int = 0
    rescues: int = 0
    owner: str | None = None
    after: int | None = None
    capabilities: str = ""
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    payload_version: int = 1
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    run_key: str | None = None
    progress: str | None = Field(default=None, sa_type=Text)
    created_ms: int = ms_column()
    ready_ms: int = ms_column()
    deadline_ms: int | None = ms_column(nullable=True)
    claimed_ms: int | None = ms_column(nullable=True)
    finished_ms: int | None = ms_column(nullable=True)


class QueueTurnRow(Row, table=True):
    """The last turn that a key of the queue got at one priority, in waiting or not; see `core.store.turns`.

    `resumed_ms` is the last turn that was given to a job of it which had been parked.
    """

    __tablename__ = "queue_turns"
    __table_args__ = (Index("queue_turns_last", "turn_ms"),)

    person: str = Field(primary_key=True)
    priority: int = Field(primary_key=True)
    turn_ms: int = ms_column()
    resumed_ms: int = ms_column()


class JournalRow(Row, table=True):
    """One finished piece of a job's work, such as a model's answer; `part` names the part of the work it belongs to."""

    __tablename__ = "journal"

    job_id: str = Field(primary_key=True, foreign_key="jobs.id")
    part: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    body: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    at_ms: int = ms_column()


class SpendingRow(Row, table=True):
    """One entry of the spending ledger: what one call of a model cost, charged to a lane and a person.

    Entries are never changed, except for a `lane` that was not known when the entry was added.
    """

    __tablename__ = "spending"
    __table_args__ = (
        Index("spending_of_lane", "lane", "at_ms"),
        Index("spending_of_person", "person", "at_ms"),
        Index("spending_by_time", "at_ms"),
    )

    job_id: str = Field(primary_key=True, foreign_key="jobs.id")
    part: str = Field(primary_key=True)
    call: str = Field(primary_key=True)
    model: str
    number: int = Field(index=True)
    lane: str
    person: str
    calls: int
    input_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    output_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    usd: float | None = None
    at_ms: int = ms_column()


class WorkerRow(Row, table=True):
    """One process that claims jobs, with its last heartbeat by the database's clock."""

    __tablename__ = "workers"
    __table_args__ = (Index("workers_by_heartbeat", "state", "heartbeat_ms"),)

    id: str = Field(primary_key=True)
    node: str
    host: str
    pid: int
    state: str
    started_ms: int = ms_column()
    heartbeat_ms: int = ms_column()


class NodeRow(Row, table=True):
    """A host that runs workers, with the capabilities that the newest worker on it found there.

    `hardware` are its GPUs and its memory as one of its workers measured them at `hardware_ms`.
    """

    __tablename__ = "nodes"

    name: str = Field(primary_key=True)
    offers: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    updated_ms: int = ms_column()
    hardware: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    hardware_ms: int | None = ms_column(nullable=True)


class LeaderRow(Row, table=True):
    """The lease of a duty that one worker has for all, until `until_ms` by the database's clock unless renewed."""

    __tablename__ = "leaders"

    duty: str = Field(primary_key=True)
    worker: str | None = None
    until_ms: int = ms_column()


class ApprovalRow(Row, table=True):
    """One person's verdict on one digest of a task; `signature` is that of their passkey, if they used one.

    `step_up` is what else they proved with it, such as ``totp``.
    """

    __tablename__ = "approvals"
    __table_args__ = (Index("approvals_by_time", "at_ms"),)

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    digest: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    revision: int
    verdict: str
    surface: str
    reason: str = Field(default="", sa_type=Text)
    at_ms: int = ms_column()
    signature: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    step_up: str | None = None


class ArtifactRow(Row, table=True):
    """One file of a revision; its bytes are stored under their sha256."""

    __tablename__ = "artifacts"

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    revision: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    job_id: str | None = Field(default=None, index=True)
    sha256: str
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_ms: int = ms_column()


class SettingRow(Row, table=True):
    """One switch of the whole system, such as the queue's pause."""

    __tablename__ = "settings"

    name: str = Field(primary_key=True)
    value: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    updated_ms: int = ms_column()
