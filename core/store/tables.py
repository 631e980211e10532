"""The tables. Times are UTC milliseconds since the epoch; JSON columns hold what the domain's `to_json` wrote."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, Text, UniqueConstraint, false
from sqlmodel import Field, SQLModel


def _ms(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(BigInteger, nullable=nullable))


class TaskRow(SQLModel, table=True):
    """One task. `version` is compared by every save; `digest` is the current staged diff's, if any.

    `nudge_ms` is when people are reminded next; `escalated` is set once the next approvers were asked too.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_state", "state", "number"),
        Index("tasks_by_expiry", "state", "expires_ms"),
        Index("tasks_by_nudge", "state", "nudge_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    id: str = Field(unique=True)
    version: int = 1
    state: str
    revision: int = 1
    repo: str | None = None
    requester: str
    surface: str
    title: str = Field(sa_type=Text)
    asked_lane: str | None = None
    lane: str | None = None
    digest: str | None = None
    priority: int = 0
    after: int | None = None
    deadline_ms: int | None = _ms(nullable=True)
    created_ms: int = _ms()
    updated_ms: int = _ms()
    expires_ms: int | None = _ms(nullable=True)
    nudge_ms: int | None = _ms(nullable=True)
    escalated: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    question: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    pull_request: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    parameters: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))


class RevisionRow(SQLModel, table=True):
    """One revision of a task; written when it begins, completed as its work goes on, never edited after."""

    __tablename__ = "revisions"

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    n: int = Field(primary_key=True)
    created_ms: int = _ms()
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


class TurnRow(SQLModel, table=True):
    """One inbound message. `dedup` is the platform's own id of it, so that a redelivery is a no-op."""

    __tablename__ = "turns"
    __table_args__ = (UniqueConstraint("surface", "dedup", name="turns_once"),)

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    n: int = Field(primary_key=True)
    revision: int
    person: str
    surface: str
    text: str = Field(sa_type=Text)
    dedup: str | None = None
    at_ms: int = _ms()


class EventRow(SQLModel, table=True):
    """One thing that happened; append-only and chained by hash within its task (0: the whole system)."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("number", "seq", name="events_in_order"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    number: int
    seq: int
    kind: str
    at_ms: int = _ms()
    person: str | None = None
    surface: str | None = None
    body: str = Field(sa_type=Text)
    previous: str
    hash: str


class JobRow(SQLModel, table=True):
    """One unit of queued work. A claim adds one to `fence`; every later write of the claimant compares it."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_to_claim", "state", "priority", "ready_ms"),
        Index("jobs_by_age", "state", "created_ms"),
        Index("jobs_by_deadline", "state", "deadline_ms"),
        Index("jobs_of_task", "number", "state"),
        Index("jobs_of_owner", "owner", "state"),
    )

    id: str = Field(primary_key=True)
    number: int = Field(foreign_key="tasks.number")
    revision: int
    kind: str
    state: str
    priority: int = 0
    attempt: int = 1
    fence: int = 0
    rescues: int = 0
    owner: str | None = None
    after: int | None = None
    needs: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    payload_version: int = 1
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    progress: str | None = Field(default=None, sa_type=Text)
    created_ms: int = _ms()
    ready_ms: int = _ms()
    deadline_ms: int | None = _ms(nullable=True)
    claimed_ms: int | None = _ms(nullable=True)
    finished_ms: int | None = _ms(nullable=True)


class JournalRow(SQLModel, table=True):
    """One finished turn of a job's work; `part` sets the parts of the work apart."""

    __tablename__ = "journal"

    job_id: str = Field(primary_key=True, foreign_key="jobs.id")
    part: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    body: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    at_ms: int = _ms()


class SpendingRow(SQLModel, table=True):
    """What one model spent on one try of a job, charged to its lane and to whoever asked."""

    __tablename__ = "spending"
    __table_args__ = (Index("spending_of_lane", "lane", "at_ms"),)

    job_id: str = Field(primary_key=True, foreign_key="jobs.id")
    attempt: int = Field(primary_key=True)
    model: str = Field(primary_key=True)
    number: int = Field(index=True)
    lane: str
    person: str
    calls: int
    input_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    output_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    usd: float | None = None
    at_ms: int = _ms()


class WorkerRow(SQLModel, table=True):
    """One process that claims jobs, and when it was last heard of by the database's clock."""

    __tablename__ = "workers"
    __table_args__ = (Index("workers_by_heartbeat", "state", "heartbeat_ms"),)

    id: str = Field(primary_key=True)
    node: str
    host: str
    pid: int
    state: str
    offers: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    started_ms: int = _ms()
    heartbeat_ms: int = _ms()


class ApprovalRow(SQLModel, table=True):
    """One person's verdict on one digest of a task."""

    __tablename__ = "approvals"

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    digest: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    revision: int
    verdict: str
    surface: str
    reason: str = Field(default="", sa_type=Text)
    at_ms: int = _ms()


class ArtifactRow(SQLModel, table=True):
    """One file kept with a revision; its bytes lie under their own sha256."""

    __tablename__ = "artifacts"

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    revision: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    job_id: str | None = Field(default=None, index=True)
    sha256: str
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_ms: int = _ms()


class SettingRow(SQLModel, table=True):
    """One switch of the whole system, such as the queue's pause."""

    __tablename__ = "settings"

    name: str = Field(primary_key=True)
    value: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    updated_ms: int = _ms()


class InboxRow(SQLModel, table=True):
    """One delivery from a platform, kept before it is acknowledged; `dedup` is the platform's own name of it."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("surface", "dedup", name="inbox_once"),
        Index("inbox_to_hear", "state", "due_ms"),
        Index("inbox_by_age", "state", "done_ms"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    surface: str
    dedup: str
    kind: str
    body: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    state: str
    attempt: int = 0
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    received_ms: int = _ms()
    due_ms: int = _ms()
    done_ms: int | None = _ms(nullable=True)


class CardRow(SQLModel, table=True):
    """One task's card in one place. `due_ms` is set when it must be drawn again, null while it shows what is so.

    `thread` is empty where there is none. `delivered` is the digest whose whole diff was shown or attached there;
    `version` counts what happened that it must show.
    """

    __tablename__ = "cards"
    __table_args__ = (
        UniqueConstraint("number", "surface", "channel", "thread", name="cards_once"),
        Index("cards_to_draw", "surface", "due_ms"),
        Index("cards_in_thread", "surface", "channel", "thread"),
        Index("cards_by_message", "surface", "channel", "message_id"),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    number: int = Field(foreign_key="tasks.number")
    surface: str
    channel: str
    thread: str = ""
    private: bool = False
    reply_to: str | None = None
    message_id: str | None = None
    revision: int = 0
    version: int = 0
    delivered: str | None = None
    due_ms: int | None = _ms(nullable=True)
    held_ms: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    attempt: int = 0
    problem: str | None = Field(default=None, sa_type=Text)
    created_ms: int = _ms()


class ButtonRow(SQLModel, table=True):
    """What an opaque button means: an action on one revision of a task, drawn on one card."""

    __tablename__ = "buttons"
    __table_args__ = (UniqueConstraint("card_id", "revision", "kind", "value", name="buttons_once"),)

    id: str = Field(primary_key=True)
    card_id: int
    number: int = Field(foreign_key="tasks.number")
    revision: int
    kind: str
    value: str = Field(sa_type=Text)


class NoteRow(SQLModel, table=True):
    """One thing to say to somebody, kept until it was said."""

    __tablename__ = "notes"
    __table_args__ = (Index("notes_to_say", "state", "surface", "due_ms"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    surface: str
    place: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    text: str = Field(sa_type=Text)
    reply_to: str | None = None
    only_to: str | None = None
    state: str
    attempt: int = 0
    due_ms: int = _ms()
    held_ms: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    created_ms: int = _ms()


class LinkRow(SQLModel, table=True):
    """An identity on a surface that a person said is theirs."""

    __tablename__ = "links"

    surface: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    person: str = Field(index=True)
    at_ms: int = _ms()


class LinkCodeRow(SQLModel, table=True):
    """A code that was given to an identity, to be said by `person` where we know them; only its hash is kept."""

    __tablename__ = "link_codes"

    code_sha256: str = Field(primary_key=True)
    surface: str
    identity: str
    person: str = Field(index=True)
    tries: int = 0
    expires_ms: int = _ms()


class MoveRow(SQLModel, table=True):
    """A channel that has another id by now, as its platform told us."""

    __tablename__ = "moves"

    surface: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    to: str
    at_ms: int = _ms()


class ScheduleRow(SQLModel, table=True):
    """A request that is made again and again; `next_ms` is compared by whoever makes it, so that it is made once."""

    __tablename__ = "schedules"
    __table_args__ = (Index("schedules_due", "state", "next_ms"),)

    id: str = Field(primary_key=True)
    person: str = Field(index=True)
    surface: str
    place: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    text: str = Field(sa_type=Text)
    repo: str | None = None
    lane: str | None = None
    phrase: str
    zone: str
    state: str
    missed: str
    next_ms: int | None = _ms(nullable=True)
    last_ms: int | None = _ms(nullable=True)
    created_ms: int = _ms()
    updated_ms: int = _ms()


class DeliveryRow(SQLModel, table=True):
    """One event owed to one outbound webhook."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("hook", "event_id", name="deliveries_once"),
        Index("deliveries_due", "state", "due_ms"),
    )

    id: str = Field(primary_key=True)
    hook: str
    event_id: int
    body: str = Field(sa_type=Text)
    state: str
    attempt: int = 0
    problem: str | None = Field(default=None, sa_type=Text)
    due_ms: int = _ms()
    created_ms: int = _ms()
    sent_ms: int | None = _ms(nullable=True)
