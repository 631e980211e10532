"""The rows of sign-ins that began at an identity provider; states and cookies are stored as hashes only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func
from sqlmodel import col, select

from core.store.provider_table import ProviderSignInRow
from core.store.unit_of_work import Tx
from core.store.web_sessions import hashed


@dataclass(frozen=True, slots=True)
class OpenSignIn:
    """A sign-in that a browser began at `provider`; `earlier_session` is the one that it had then."""

    provider: str
    earlier_session: str | None


async def add(tx: Tx, state: str, browser: str, sign_in: OpenSignIn, expires_ms: int) -> int:
    """Store a sign-in, and delete those that expired; returns how many are open."""
    await tx.session.execute(delete(ProviderSignInRow).where(col(ProviderSignInRow.expires_ms) <= tx.now_ms))
    row = ProviderSignInRow(
        state_sha256=hashed(state),
        provider=sign_in.provider,
        browser_sha256=hashed(browser),
        earlier_session=sign_in.earlier_session,
        expires_ms=expires_ms,
    )
    tx.session.add(row)
    await tx.session.flush()
    return int((await tx.session.exec(select(func.count()).select_from(ProviderSignInRow))).one())


async def take(tx: Tx, state: str, browser: str) -> OpenSignIn | None:
    """Use up a sign-in; None if it is unknown, used, expired or another browser's. Of two at once, one gets it."""
    row = await tx.session.get(ProviderSignInRow, hashed(state))
    if row is None or row.browser_sha256 != hashed(browser):
        return None
    found, is_over = OpenSignIn(row.provider, row.earlier_session), row.expires_ms <= tx.now_ms
    tx.session.expunge(row)
    taken = await tx.session.execute(
        delete(ProviderSignInRow).where(col(ProviderSignInRow.state_sha256) == hashed(state))
    )
    is_ours = int(getattr(taken, "rowcount", 0)) == 1
    return found if is_ours and not is_over else None
