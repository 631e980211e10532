"""The table of comments on lines that were not sent yet."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class DiffCommentRow(Row, table=True):
    """What a person wrote on one line of the diff that `digest` names; `quote` is that line as it was shown.

    `path` is the path as people see it, `side` is ``old`` or ``new``, `revision` the one that staged the diff.
    """

    __tablename__ = "diff_comments"

    person: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    digest: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    side: str = Field(primary_key=True)
    line: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    revision: int
    quote: str = Field(sa_type=Text)
    text: str = Field(sa_type=Text)
    at_ms: int = ms_column()
