"""The tables of authenticator apps: one secret for each person, and recovery codes for a lost device."""

from __future__ import annotations

from sqlalchemy import Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class AuthenticatorRow(Row, table=True):
    """The authenticator app of a person: its sealed secret, and the newest time step whose code was used.

    Codes count once it `is_confirmed`. `failures` are wrong codes in a row; until `locked_ms` none is accepted.
    """

    __tablename__ = "authenticators"

    person: str = Field(primary_key=True)
    sealed_secret: str = Field(sa_type=Text)
    is_confirmed: bool = False
    last_step: int = ms_column()
    failures: int = 0
    locked_ms: int | None = ms_column(nullable=True)
    created_ms: int = ms_column()
    used_ms: int | None = ms_column(nullable=True)


class RecoveryCodeRow(Row, table=True):
    """A recovery code that was not used yet, as a hash."""

    __tablename__ = "recovery_codes"

    code_sha256: str = Field(primary_key=True)
    person: str = Field(index=True)
