"""The table of model leases."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, Text
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
