"""The rows of authenticator apps and recovery codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from core.model.authenticator import Authenticator
from core.store.authenticator_tables import AuthenticatorRow, RecoveryCodeRow
from core.store.unit_of_work import Tx, from_ms


async def find(tx: Tx, person: str) -> AuthenticatorRow | None:
    """The row of a person's app, confirmed or not; None without one."""
    row = (await tx.session.exec(select(AuthenticatorRow).where(AuthenticatorRow.person == person))).first()
    if row is not None:
        await tx.session.refresh(row)
    return row


async def of_person(tx: Tx, person: str) -> Authenticator | None:
    """The app of a person, if they confirmed it."""
    row = await find(tx, person)
    return _authenticator(row, await recovery_codes_left(tx, person)) if row and row.is_confirmed else None


async def listed(tx: Tx) -> Sequence[Authenticator]:
    """The confirmed apps of everyone, by person."""
    query = select(AuthenticatorRow).where(col(AuthenticatorRow.is_confirmed)).order_by(col(AuthenticatorRow.person))
    rows = (await tx.session.exec(query)).all()
    return [_authenticator(row, await recovery_codes_left(tx, row.person)) for row in rows]


async def put(tx: Tx, person: str, sealed_secret: str) -> None:
    """Store an app that is not confirmed yet, in the place of an earlier one that was not."""
    row = AuthenticatorRow(person=person, sealed_secret=sealed_secret, last_step=0, created_ms=tx.now_ms)
    await tx.session.merge(row)
    await tx.session.flush()


async def remove(tx: Tx, person: str) -> bool:
    """Delete a person's app and recovery codes; False if there was no app."""
    await tx.session.execute(delete(RecoveryCodeRow).where(col(RecoveryCodeRow.person) == person))
    removed = await tx.session.execute(delete(AuthenticatorRow).where(col(AuthenticatorRow.person) == person))
    return int(getattr(removed, "rowcount", 0)) == 1


async def take_attempt(tx: Tx, person: str, allowed: int, lock_ms: int) -> AuthenticatorRow | None:
    """Count an attempt before it is checked; the row, or None if there is none or it is locked.

    From attempt number `allowed` + 1 in a row, each locks the codes for `lock_ms`.
    """
    mine = col(AuthenticatorRow.person) == person
    is_open = col(AuthenticatorRow.locked_ms).is_(None) | (col(AuthenticatorRow.locked_ms) <= tx.now_ms)
    counted = await tx.session.execute(
        update(AuthenticatorRow).where(mine, is_open).values(failures=col(AuthenticatorRow.failures) + 1)
    )
    if int(getattr(counted, "rowcount", 0)) != 1:
        return None
    too_many = col(AuthenticatorRow.failures) > allowed
    await tx.session.execute(update(AuthenticatorRow).where(mine, too_many).values(locked_ms=tx.now_ms + lock_ms))
    return await find(tx, person)


async def use_step(tx: Tx, person: str, step: int) -> bool:
    """Use up the code of a time step and those before it; False if it is used up. Of two at once, one gets it."""
    values: dict[str, Any] = {"last_step": step, "used_ms": tx.now_ms, "failures": 0, "locked_ms": None}
    used = await tx.session.execute(
        update(AuthenticatorRow)
        .where(col(AuthenticatorRow.person) == person, col(AuthenticatorRow.last_step) < step)
        .values(**values, is_confirmed=True)
    )
    return int(getattr(used, "rowcount", 0)) == 1


async def put_recovery_codes(tx: Tx, person: str, hashes: Iterable[str]) -> None:
    """Replace the recovery codes of a person."""
    await tx.session.execute(delete(RecoveryCodeRow).where(col(RecoveryCodeRow.person) == person))
    tx.session.add_all([RecoveryCodeRow(code_sha256=code, person=person) for code in hashes])
    await tx.session.flush()


async def use_recovery_code(tx: Tx, person: str, code_sha256: str) -> bool:
    """Use up a recovery code; False if it is unknown or used."""
    mine = (col(RecoveryCodeRow.person) == person, col(RecoveryCodeRow.code_sha256) == code_sha256)
    used = await tx.session.execute(delete(RecoveryCodeRow).where(*mine))
    if int(getattr(used, "rowcount", 0)) != 1:
        return False
    cleared: dict[str, Any] = {"used_ms": tx.now_ms, "failures": 0, "locked_ms": None}
    await tx.session.execute(update(AuthenticatorRow).where(col(AuthenticatorRow.person) == person).values(**cleared))
    return True


async def recovery_codes_left(tx: Tx, person: str) -> int:
    """How many recovery codes a person has left."""
    query = select(func.count()).select_from(RecoveryCodeRow).where(col(RecoveryCodeRow.person) == person)
    return int((await tx.session.exec(query)).one())


def _authenticator(row: AuthenticatorRow, codes_left: int) -> Authenticator:
    used = from_ms(row.used_ms) if row.used_ms is not None else None
    locked = from_ms(row.locked_ms) if row.locked_ms is not None else None
    return Authenticator(row.person, from_ms(row.created_ms), used, locked, codes_left)
