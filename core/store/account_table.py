"""The table of local accounts."""

from __future__ import annotations

from sqlalchemy import Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class AccountRow(Row, table=True):
    """The password of a person, as a hash; `failures` in a row, and until when no password is accepted."""

    __tablename__ = "accounts"

    person: str = Field(primary_key=True)
    password_hash: str = Field(sa_type=Text)
    failures: int = 0
    locked_ms: int | None = ms_column(nullable=True)
    created_ms: int = ms_column()
    changed_ms: int = ms_column()
    used_ms: int | None = ms_column(nullable=True)
