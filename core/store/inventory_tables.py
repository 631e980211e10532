"""The tables of the inventory: endpoints as they were seen last, and what was learned of families on them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, Integer, Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class EndpointRow(Row, table=True):
    """One endpoint: its newest snapshot, whether maintainers drain it, and its circuit breaker.

    `drained_ms` is NULL while it gets work. The breaker is open until `open_until_ms`, 0 while it is
    closed; `openings` is how often it opened in a row, and `cause` why.
    """

    __tablename__ = "endpoints"

    name: str = Field(primary_key=True)
    state: str
    snapshot: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    checked_ms: int = ms_column()
    seen_ms: int | None = ms_column(nullable=True)
    drained_ms: int | None = ms_column(nullable=True)
    drained_by: str | None = None
    drained_reason: str = Field(default="", sa_type=Text)
    failures: int = 0
    openings: int = 0
    open_until_ms: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    is_trial_running: bool = False
    cause: str = Field(default="", sa_type=Text)


class FamilyTimingRow(Row, table=True):
    """How long a family takes to load, wake or unload on an endpoint; `recent` are the newest times, oldest first."""

    __tablename__ = "family_timings"

    endpoint: str = Field(primary_key=True)
    family: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    count: int = Field(sa_column=Column(Integer, nullable=False))
    average_s: float = Field(sa_column=Column(Float, nullable=False))
    recent: list[float] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    updated_ms: int = ms_column()


class FamilyMemoryRow(Row, table=True):
    """By how much the estimates of a family's memory on an endpoint are wrong, and what was observed last."""

    __tablename__ = "family_memory"

    endpoint: str = Field(primary_key=True)
    family: str = Field(primary_key=True)
    count: int = Field(sa_column=Column(Integer, nullable=False))
    factor: float = Field(sa_column=Column(Float, nullable=False))
    observed_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_ms: int = ms_column()
