"""The table of sign-ins that began at an identity provider and have not come back."""

from __future__ import annotations

from sqlmodel import Field

from core.store.tables import Row, ms_column


class ProviderSignInRow(Row, table=True):
    """A browser that was sent to a provider; `earlier_session` is the session that ends when it comes back."""

    __tablename__ = "provider_sign_ins"

    state_sha256: str = Field(primary_key=True)
    provider: str
    browser_sha256: str
    earlier_session: str | None = None
    expires_ms: int = ms_column()
