"""The rows of API tokens."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, update
from sqlmodel import col, select

from core.model.api_token import ApiToken, TokenScope
from core.model.place import RepositoryScope
from core.store.api_tables import ApiTokenRow
from core.store.unit_of_work import Tx, from_ms


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token, and the hash of its secret."""

    token: ApiToken
    secret_sha256: str


async def add(tx: Tx, row: ApiTokenRow) -> ApiToken:
    """Add a token."""
    tx.session.add(row)
    await tx.session.flush()
    return _token(row)


async def find(tx: Tx, token_id: str) -> StoredToken | None:
    """The token with this public id, or None."""
    row = await tx.session.get(ApiTokenRow, token_id)
    return StoredToken(_token(row), row.secret_sha256) if row else None


async def listed(tx: Tx) -> list[ApiToken]:
    """All tokens, the newest first."""
    rows = await tx.session.exec(select(ApiTokenRow).order_by(col(ApiTokenRow.created_ms).desc(), ApiTokenRow.id))
    return [_token(row) for row in rows]


async def revoke(tx: Tx, token_id: str) -> bool:
    """Revoke a token; False if it is revoked already or does not exist."""
    result = await tx.session.execute(
        update(ApiTokenRow)
        .where(col(ApiTokenRow.id) == token_id, col(ApiTokenRow.revoked_ms).is_(None))
        .values(revoked_ms=tx.now_ms)
    )
    return int(getattr(result, "rowcount", 0)) == 1


async def record_use(tx: Tx, token_id: str, not_within_ms: int) -> None:
    """Record that a token was used now, unless that was recorded within the last `not_within_ms`."""
    used = col(ApiTokenRow.last_used_ms)
    await tx.session.execute(
        update(ApiTokenRow)
        .where(col(ApiTokenRow.id) == token_id, or_(used.is_(None), used <= tx.now_ms - not_within_ms))
        .values(last_used_ms=tx.now_ms)
    )


def _token(row: ApiTokenRow) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        person=row.person,
        scopes=frozenset(scope for scope in TokenScope if scope.value in row.scopes),
        repositories=RepositoryScope.from_json(row.repositories),
        created_at=from_ms(row.created_ms),
        expires_at=from_ms(row.expires_ms) if row.expires_ms is not None else None,
        last_used_at=from_ms(row.last_used_ms) if row.last_used_ms is not None else None,
        revoked_at=from_ms(row.revoked_ms) if row.revoked_ms is not None else None,
    )
