"""The table of model leases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Index, Text, false
from sqlmodel import Field

from core.store.tables import Row, ms_column


class ModelLeaseRow(Row, table=True):
    """One lease of a model, alive or over; see `core.model.model_lease.ModelLease`."""

    __tablename__ = "model_leases"
    __table_args__ = (Index("ix_model_leases_state", "state", "arrived_ms"),)

    id: str = Field(primary_key=True)
    state: str
    model: str
    job: str | None = Field(default=None, index=True)
    is_chat: bool
    key: str = ""
    kind: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    arrived_ms: int = ms_column()
    until_ms: int = ms_column()
    granted_ms: int | None = ms_column(nullable=True)
    ended_ms: int | None = ms_column(nullable=True)
    due_ms: int | None = ms_column(nullable=True)
    reason: str = Field(default="", sa_type=Text)
    part: str = Field(default="", sa_column_kwargs={"server_default": ""})
    is_agent: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    is_reservation: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    priority: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    deadline_ms: int | None = ms_column(nullable=True)
    place: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
