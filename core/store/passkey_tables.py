"""The tables of passkeys: the registered ones, and the challenges that browsers have not answered yet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class PasskeyRow(Row, table=True):
    """A registered passkey; `registration` is the home's attestation of it, a DSSE envelope."""

    __tablename__ = "passkeys"

    id: str = Field(primary_key=True)
    credential_id: str = Field(unique=True, sa_type=Text)
    person: str = Field(index=True)
    name: str
    public_key: str = Field(sa_type=Text)
    rp_id: str
    origin: str
    sign_count: int = ms_column()
    created_ms: int = ms_column()
    used_ms: int | None = ms_column(nullable=True)
    registration: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class PasskeyChallengeRow(Row, table=True):
    """A challenge of one ceremony, which one answer uses up; `session` is the browser it was sent to, if signed in."""

    __tablename__ = "passkey_challenges"

    challenge: str = Field(primary_key=True)
    purpose: str
    session: str | None = None
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    expires_ms: int = ms_column()
