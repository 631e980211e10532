"""The tables of conversations: inbound deliveries, cards, notes, links, schedules and webhook deliveries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Text, UniqueConstraint, true
from sqlmodel import Field

from core.store.outbox import LeaseColumns
from core.store.tables import Row, ms_column


class InboxRow(LeaseColumns, table=True):
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
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    received_ms: int = ms_column()
    due_ms: int = ms_column()
    done_ms: int | None = ms_column(nullable=True)


class CardRow(LeaseColumns, table=True):
    """One task's card in one place. `due_ms` is set when it must be drawn again, null while it is up to date.

    `thread` is empty where there is none. `delivered` is the digest whose whole diff was shown or attached there;
    `version` counts the changes that it must show. While `in_order`, a card that has no message yet holds back the
    first messages of later cards in its channel. `former` is the message that showed the card before it was asked for
    again, until that message says so.
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
    former: str | None = None
    revision: int = 0
    version: int = 0
    delivered: str | None = None
    due_ms: int | None = ms_column(nullable=True)
    problem: str | None = Field(default=None, sa_type=Text)
    in_order: bool = Field(default=True, sa_column=Column(Boolean, nullable=False, server_default=true()))
    created_ms: int = ms_column()


class ButtonRow(Row, table=True):
    """What an opaque button means: an action on one revision of a task, drawn on one card."""

    __tablename__ = "buttons"
    __table_args__ = (UniqueConstraint("card_id", "revision", "kind", "value", name="buttons_once"),)

    id: str = Field(primary_key=True)
    card_id: int
    number: int = Field(foreign_key="tasks.number")
    revision: int
    kind: str
    value: str = Field(sa_type=Text)


class TaskMessageRow(Row, table=True):
    """A message of ours that is about a task: a card, a file or an answer. It stays so for ever."""

    __tablename__ = "task_messages"

    surface: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    message_id: str = Field(primary_key=True)
    number: int = Field(foreign_key="tasks.number", index=True)
    at_ms: int = ms_column()


class ChoiceRow(Row, table=True):
    """A button below a question of ours: `line` is the command that it stands for, typed by `identity` alone.

    `dedup` is that of the message that led to the question, so that its buttons have one effect between them.
    """

    __tablename__ = "choices"

    id: str = Field(primary_key=True)
    surface: str
    channel: str
    identity: str
    line: str = Field(sa_type=Text)
    dedup: str
    created_ms: int = ms_column()


class OutcomeRow(Row, table=True):
    """Somebody who asked for something by typing, where no card shows it: they are told there what became of it."""

    __tablename__ = "outcomes"

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    number: int = Field(foreign_key="tasks.number", index=True)
    asked: str
    place: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    reply_to: str | None = None
    only_to: str | None = None
    created_ms: int = ms_column()


class NotifiedApproverRow(Row, table=True):
    """A person who was told that a revision waits for them: once for each, wherever its cards are."""

    __tablename__ = "notified"

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    revision: int = Field(primary_key=True)
    person: str = Field(primary_key=True)
    at_ms: int = ms_column()


class NoteRow(LeaseColumns, table=True):
    """One message that is owed to a place, kept until it was sent.

    While `in_order`, it holds back later notes of its channel until it was sent. `number` is the task that it is about,
    `choices` are its buttons as [label, id], `mentions` those whom it must reach as [name, identity].
    """

    __tablename__ = "notes"
    __table_args__ = (
        Index("notes_to_say", "state", "surface", "due_ms"),
        Index("notes_in_order", "surface", "channel", "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    surface: str
    place: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    channel: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    text: str = Field(sa_type=Text)
    reply_to: str | None = None
    only_to: str | None = None
    number: int | None = None
    choices: list[list[str]] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    mentions: list[list[str]] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    state: str
    due_ms: int = ms_column()
    in_order: bool = Field(default=True, sa_column=Column(Boolean, nullable=False, server_default=true()))
    created_ms: int = ms_column()


class IdentityRow(Row, table=True):
    """An identity on a surface that a person said is theirs."""

    __tablename__ = "links"

    surface: str = Field(primary_key=True)
    identity: str = Field(primary_key=True)
    person: str = Field(index=True)
    at_ms: int = ms_column()


class IdentityCodeRow(Row, table=True):
    """A code that was given to an identity, to be said by `person` where we know them; only its hash is kept."""

    __tablename__ = "link_codes"

    code_sha256: str = Field(primary_key=True)
    surface: str
    identity: str
    person: str = Field(index=True)
    tries: int = 0
    expires_ms: int = ms_column()
    shown_as: str | None = Field(default=None, sa_type=Text)


class ChatMoveRow(Row, table=True):
    """A channel that has another id by now, as its platform told us."""

    __tablename__ = "moves"

    surface: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    to: str
    at_ms: int = ms_column()


class ScheduleRow(Row, table=True):
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
    parameters: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    problem: str | None = None
    phrase: str
    zone: str
    state: str
    missed: str
    next_ms: int | None = ms_column(nullable=True)
    last_ms: int | None = ms_column(nullable=True)
    created_ms: int = ms_column()
    updated_ms: int = ms_column()


class DeliveryRow(LeaseColumns, table=True):
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
    problem: str | None = Field(default=None, sa_type=Text)
    due_ms: int = ms_column()
    created_ms: int = ms_column()
    sent_ms: int | None = ms_column(nullable=True)
