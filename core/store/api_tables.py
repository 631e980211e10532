"""The tables of the API: its tokens, and the responses that are repeated for a repeated request."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Index, Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class ApiTokenRow(Row, table=True):
    """A token by its public `id`; of its secret only the sha256 is stored. Without a `person` it is the operator's.

    `repositories` limits what it can see and do (null: every repository).
    """

    __tablename__ = "api_tokens"

    id: str = Field(primary_key=True)
    secret_sha256: str
    name: str
    person: str | None = None
    scopes: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    repositories: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    created_ms: int = ms_column()
    expires_ms: int | None = ms_column(nullable=True)
    last_used_ms: int | None = ms_column(nullable=True)
    revoked_ms: int | None = ms_column(nullable=True)


class ApiResponseRow(Row, table=True):
    """The response to a request with an Idempotency-Key; `status` is null while the request is being processed."""

    __tablename__ = "api_responses"
    __table_args__ = (Index("api_responses_by_age", "at_ms"),)

    token: str = Field(primary_key=True, foreign_key="api_tokens.id")
    key: str = Field(primary_key=True)
    request_sha256: str
    status: int | None = None
    headers: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    body: str = Field(default="", sa_type=Text)
    at_ms: int = ms_column()
