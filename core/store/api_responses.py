"""The rows of responses that are repeated for a repeated request of the API."""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from core.store.api_tables import ApiResponseRow
from core.store.unit_of_work import Tx


async def find(tx: Tx, token: str, key: str) -> ApiResponseRow | None:
    """The row of a key of a token, or None."""
    return await tx.session.get(ApiResponseRow, (token, key))


async def begin(tx: Tx, row: ApiResponseRow) -> bool:
    """Add the row of a request that begins; False if another request with the key added one first."""
    try:
        async with tx.session.begin_nested():
            tx.session.add(row)
            await tx.session.flush()
    except IntegrityError:
        return False
    return True


async def restart(tx: Tx, token: str, key: str, begun_before_ms: int) -> bool:
    """Take over a request that began before a time and never ended; False if another process did so first."""
    result = await tx.session.execute(
        update(ApiResponseRow)
        .where(
            col(ApiResponseRow.token) == token,
            col(ApiResponseRow.key) == key,
            col(ApiResponseRow.status).is_(None),
            col(ApiResponseRow.at_ms) <= begun_before_ms,
        )
        .values(at_ms=tx.now_ms)
    )
    return int(getattr(result, "rowcount", 0)) == 1


async def finish(tx: Tx, token: str, key: str, status: int, headers: dict[str, str], body: str) -> None:
    """Store the response."""
    await tx.session.execute(
        update(ApiResponseRow)
        .where(col(ApiResponseRow.token) == token, col(ApiResponseRow.key) == key)
        .values(status=status, headers=headers, body=body)
    )


async def forget(tx: Tx, token: str, key: str) -> None:
    """Delete the row of a request without a lasting outcome, so that it can be sent again."""
    await tx.session.execute(
        delete(ApiResponseRow).where(col(ApiResponseRow.token) == token, col(ApiResponseRow.key) == key)
    )


async def forget_old(tx: Tx, before_ms: int) -> None:
    """Delete the rows of requests that began before a time."""
    await tx.session.execute(delete(ApiResponseRow).where(col(ApiResponseRow.at_ms) < before_ms))
