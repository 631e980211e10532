"""The rows of passkeys and of the challenges that are not answered yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from core.model.passkey import Passkey, RelyingParty
from core.store.passkey_tables import PasskeyChallengeRow, PasskeyRow
from core.store.unit_of_work import Tx, from_ms


async def add(tx: Tx, row: PasskeyRow) -> Passkey:
    """Add a passkey."""
    tx.session.add(row)
    await tx.session.flush()
    return _passkey(row)


async def of_person(tx: Tx, person: str | None) -> Sequence[Passkey]:
    """The passkeys of a person (None: of everyone), oldest first."""
    query = select(PasskeyRow)
    if person is not None:
        query = query.where(PasskeyRow.person == person)
    rows = await tx.session.exec(query.order_by(col(PasskeyRow.created_ms), col(PasskeyRow.id)))
    return [_passkey(row) for row in rows]


async def of_credential(tx: Tx, credential_id: str) -> Passkey | None:
    """The passkey with this credential id, or None."""
    query = select(PasskeyRow).where(PasskeyRow.credential_id == credential_id)
    row = (await tx.session.exec(query)).first()
    return _passkey(row) if row else None


async def of_id(tx: Tx, passkey: str) -> Passkey | None:
    """The passkey with this id, or None."""
    row = await tx.session.get(PasskeyRow, passkey)
    return _passkey(row) if row else None


async def remove(tx: Tx, passkey: str) -> None:
    """Delete a passkey; signatures that it made stay valid."""
    await tx.session.execute(delete(PasskeyRow).where(col(PasskeyRow.id) == passkey))


async def record_use(tx: Tx, passkey: str, sign_count: int) -> None:
    """Record that a passkey signed now, and how many signatures it says to have made."""
    values = {"used_ms": tx.now_ms, "sign_count": sign_count}
    await tx.session.execute(update(PasskeyRow).where(col(PasskeyRow.id) == passkey).values(**values))


async def add_challenge(tx: Tx, row: PasskeyChallengeRow) -> None:
    """Store a challenge, and delete those that expired."""
    expired = col(PasskeyChallengeRow.expires_ms) <= tx.now_ms
    await tx.session.execute(delete(PasskeyChallengeRow).where(expired))
    tx.session.add(row)
    await tx.session.flush()


async def open_challenges(tx: Tx, purpose: str) -> int:
    """How many challenges of a purpose are not answered yet."""
    query = select(func.count()).select_from(PasskeyChallengeRow).where(col(PasskeyChallengeRow.purpose) == purpose)
    return int((await tx.session.exec(query)).one())


async def take_challenge(tx: Tx, challenge: str, purpose: str, session: str | None) -> dict[str, Any] | None:
    """Use up a challenge, and return what was stored with it; None if it is unknown, used, expired or another's."""
    row = await tx.session.get(PasskeyChallengeRow, challenge)
    if row is None:
        return None
    is_meant = row.purpose == purpose and row.session == session and row.expires_ms > tx.now_ms
    body = row.body
    tx.session.expunge(row)
    taken = await tx.session.execute(delete(PasskeyChallengeRow).where(col(PasskeyChallengeRow.challenge) == challenge))
    is_ours = int(getattr(taken, "rowcount", 0)) == 1
    return body if is_ours and is_meant else None


def _passkey(row: PasskeyRow) -> Passkey:
    return Passkey(
        id=row.id,
        person=row.person,
        name=row.name,
        credential_id=row.credential_id,
        public_key=row.public_key,
        site=RelyingParty(row.rp_id, row.origin),
        sign_count=row.sign_count,
        created_at=from_ms(row.created_ms),
        used_at=from_ms(row.used_ms) if row.used_ms is not None else None,
        registration=row.registration,
    )
