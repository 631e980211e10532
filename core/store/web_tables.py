"""The tables of the web pages: sign-in links, sessions, and the parts of diffs that a session was shown."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class WebLinkRow(Row, table=True):
    """A sign-in link that was not used yet; only the hash of its token is stored."""

    __tablename__ = "web_links"

    token_sha256: str = Field(primary_key=True)
    person: str | None = None
    is_operator: bool = False
    created_ms: int = ms_column()
    expires_ms: int = ms_column()


class WebSessionRow(Row, table=True):
    """A signed-in browser: `secret_sha256` is the hash of its cookie, `id` the name by which people revoke it.

    `method` is how it signed in, `address` from where; `stepped_up_ms` is when its person last proved more.
    """

    __tablename__ = "web_sessions"

    secret_sha256: str = Field(primary_key=True)
    id: str = Field(unique=True)
    person: str | None = None
    is_operator: bool = False
    browser: str = Field(sa_type=Text)
    created_ms: int = ms_column()
    seen_ms: int = ms_column()
    expires_ms: int = ms_column()
    method: str | None = None
    address: str | None = None
    stepped_up_ms: int | None = ms_column(nullable=True)


class WebShownRow(Row, table=True):
    """One part of the diff of `digest`, of `parts` altogether, that the session with this id was shown."""

    __tablename__ = "web_shown"

    session: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    part: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    parts: int
    at_ms: int = ms_column()
