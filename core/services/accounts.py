"""Local accounts: passwords of people who are configured, and whom a name and a password sign in.

Only the operator at the terminal adds accounts and sets passwords. Guessing is limited by account here, and by address
at the pages; an account that is locked answers like a wrong password, and its person still has links and passkeys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from core.model.errors import ConflictError, NotFoundError, RefusedError
from core.model.turn import WEB, Actor
from core.rules import passwords
from core.settings import SettingsSource
from core.store import accounts, events, web_sessions
from core.store.accounts import Account
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes

ATTEMPTS: Final = 5
"""How many wrong passwords in a row are checked before each further one locks the account."""
LOCK_S: Final = 60
MAX_NAME: Final = 100
_AT_ONCE: Final = 2
"""How many hashes are computed at once; each takes 19 MiB."""


@dataclass(slots=True)
class Accounts:
    """The local accounts of one home; every change is an event, and ends the sessions of its person."""

    database: Database
    settings: SettingsSource
    _computing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def add(self, person: str, password: str, actor: Actor) -> None:
        """Add the account of a configured person; raises `ConflictError` if they have one."""
        await self._write(await self._checked_hash(person, password, actor), person, actor, is_new=True)

    async def set_password(self, person: str, password: str, actor: Actor) -> None:
        """Set the password of an account, which ends the person's sessions; raises `NotFoundError`."""
        await self._write(await self._checked_hash(person, password, actor), person, actor, is_new=False)

    async def _checked_hash(self, person: str, password: str, actor: Actor) -> str:
        _check_operator(actor)
        self.settings().people.named(person)
        passwords.check_password(password, person)
        return await self._compute_hash(password)

    async def _compute_hash(self, password: str) -> str:
        async with self._computing:
            return await asyncio.to_thread(passwords.hash_password, password)

    @writes
    async def _write(self, tx: Tx, password_hash: str, person: str, actor: Actor, *, is_new: bool) -> None:
        known = await accounts.find(tx, person) is not None
        if is_new and known:
            mend = f"Set its password: countersign accounts set-password {person}"
            raise ConflictError("account_exists", f"{person} has an account already", mend)
        if not is_new and not known:
            raise _no_account(person)
        if is_new:
            await accounts.add(tx, person, password_hash)
        else:
            await accounts.set_password(tx, person, password_hash)
        await _end_sessions(tx, person)
        await _record(tx, "account.added" if is_new else "account.password_set", person, actor)

    @writes
    async def remove(self, tx: Tx, person: str, actor: Actor) -> None:
        """Remove an account, which ends the person's sessions; links and passkeys work on. Raises `NotFoundError`."""
        _check_operator(actor)
        if not await accounts.remove(tx, person):
            raise _no_account(person)
        await _end_sessions(tx, person)
        await _record(tx, "account.removed", person, actor)

    @reads
    async def listed(self, tx: Tx) -> Sequence[Account]:
        """All accounts, by name."""
        return await accounts.listed(tx)

    async def signed_in_by(self, name: str, password: str) -> str | None:
        """The person whose name and password these are; None for any other, after as long a time.

        It does not tell an unknown name, a wrong password, a locked account and a removed person from each other.
        """
        name = name.strip()[:MAX_NAME]
        stored = await self._attempt(name)
        async with self._computing:
            is_right = await asyncio.to_thread(passwords.verify_password, stored, password)
        if not is_right or stored is None or self.settings().people.get(name) is None:
            await self._record_failure(name if stored is not None else None)
            return None
        newer = await self._compute_hash(password) if passwords.is_outdated(stored) else None
        return name if await self._record_use(name, stored, newer) else None

    @writes
    async def _attempt(self, tx: Tx, name: str) -> str | None:
        row = await accounts.take_attempt(tx, name, ATTEMPTS, LOCK_S * 1000)
        return row.password_hash if row is not None else None

    @writes
    async def _record_failure(self, tx: Tx, person: str | None) -> None:
        await events.append(
            tx, number=events.SYSTEM, kind="web.sign_in_refused", person=None, surface=WEB, body={"account": person}
        )

    @writes
    async def _record_use(self, tx: Tx, person: str, checked: str, newer: str | None) -> bool:
        """Record the sign-in; False if the password was changed while it was checked."""
        row = await accounts.find(tx, person)
        if row is None or row.password_hash != checked:
            return False
        await accounts.record_use(tx, person, newer)
        return True


def _check_operator(actor: Actor) -> None:
    if not actor.is_operator:
        raise RefusedError("not_the_operator", "only the operator of the home manages accounts", "Ask the operator.")


def _no_account(person: str) -> NotFoundError:
    return NotFoundError("no_such_account", f"{person} has no account", f"Add it: countersign accounts add {person}")


async def _end_sessions(tx: Tx, person: str) -> None:
    for row in await web_sessions.all_of(tx, person, everyone=False):
        await web_sessions.remove(tx, row.id)


async def _record(tx: Tx, kind: str, person: str, actor: Actor) -> None:
    body: dict[str, Any] = {"of": person}
    await events.append(tx, number=events.SYSTEM, kind=kind, person=actor.person, surface=actor.surface, body=body)
