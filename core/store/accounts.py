"""The rows of local accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import col, select

from core.store.account_table import AccountRow
from core.store.unit_of_work import Tx, from_ms


@dataclass(frozen=True, slots=True)
class Account:
    """A person who may sign in with a password; `locked_until` is when a password is accepted again."""

    person: str
    created_at: datetime
    changed_at: datetime
    used_at: datetime | None
    locked_until: datetime | None

    def to_json(self) -> dict[str, Any]:
        """The row of ``accounts list --json``."""
        times = {
            "created_at": self.created_at,
            "changed_at": self.changed_at,
            "used_at": self.used_at,
            "locked_until": self.locked_until,
        }
        return {"person": self.person, **{name: at.isoformat() if at else None for name, at in times.items()}}


async def find(tx: Tx, person: str) -> AccountRow | None:
    """The row of a person's account, or None."""
    return await tx.session.get(AccountRow, person)


async def listed(tx: Tx) -> Sequence[Account]:
    """All accounts, by name."""
    rows = await tx.session.exec(select(AccountRow).order_by(col(AccountRow.person)))
    return [_account(row) for row in rows]


async def add(tx: Tx, person: str, password_hash: str) -> None:
    """Add an account."""
    row = AccountRow(person=person, password_hash=password_hash, created_ms=tx.now_ms, changed_ms=tx.now_ms)
    tx.session.add(row)
    await tx.session.flush()


async def set_password(tx: Tx, person: str, password_hash: str) -> None:
    """Replace the hash of a password that was changed, and forget failures."""
    await _set(tx, person, password_hash=password_hash, changed_ms=tx.now_ms, failures=0, locked_ms=None)


async def remove(tx: Tx, person: str) -> bool:
    """Delete an account; False if there is none."""
    removed = await tx.session.execute(delete(AccountRow).where(col(AccountRow.person) == person))
    return int(getattr(removed, "rowcount", 0)) == 1


async def record_use(tx: Tx, person: str, password_hash: str | None) -> None:
    """Record that an account was used, with a hash of newer parameters if there is one; failures are forgotten."""
    newer = {"password_hash": password_hash} if password_hash else {}
    await _set(tx, person, used_ms=tx.now_ms, failures=0, locked_ms=None, **newer)


async def take_attempt(tx: Tx, person: str, allowed: int, lock_ms: int) -> AccountRow | None:
    """Count an attempt before it is checked; the account, or None if there is none or it is locked.

    From attempt number `allowed` + 1 in a row, each locks the account for `lock_ms`. Of attempts at once, each is
    counted by its own statement.
    """
    account = col(AccountRow.person) == person
    is_open = col(AccountRow.locked_ms).is_(None) | (col(AccountRow.locked_ms) <= tx.now_ms)
    counted = await tx.session.execute(
        update(AccountRow).where(account, is_open).values(failures=col(AccountRow.failures) + 1)
    )
    if int(getattr(counted, "rowcount", 0)) != 1:
        return None
    too_many = col(AccountRow.failures) > allowed
    await tx.session.execute(update(AccountRow).where(account, too_many).values(locked_ms=tx.now_ms + lock_ms))
    row = (await tx.session.exec(select(AccountRow).where(AccountRow.person == person))).one()
    await tx.session.refresh(row)
    return row


async def _set(tx: Tx, person: str, **values: Any) -> None:
    await tx.session.execute(update(AccountRow).where(col(AccountRow.person) == person).values(**values))


def _account(row: AccountRow) -> Account:
    return Account(
        person=row.person,
        created_at=from_ms(row.created_ms),
        changed_at=from_ms(row.changed_ms),
        used_at=from_ms(row.used_ms) if row.used_ms is not None else None,
        locked_until=from_ms(row.locked_ms) if row.locked_ms is not None else None,
    )
