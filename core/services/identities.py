"""Identities: whose account on a surface is whose, and how a person links another account.

To link an account, its user names a person and is given a code. That person enters the code with an account that is
linked already, sees which account it is for, and confirms. A code that others see is therefore worthless: only the
named person can use it, and using it gives *their* authority to the account that requested it. Five wrong codes void
all codes that wait for a person; a code is valid for ten minutes and works once (security.md 13).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from core.settings import SettingsSource
from core.store import events, identities
from core.store.database import Database
from core.store.identities import LinkClaim
from core.store.unit_of_work import Tx, reads, writes

MAX_WRONG_CODES: Final = 5
CODE_LIFETIME_S: Final = 600
CODE_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without I, O, 0 and 1, which people mistake."""
CODE_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class ClaimedAccount:
    """An account that wants to act as `person`; `shown_as` is its name on the platform, which proves nothing."""

    surface: str
    identity: str
    person: str
    shown_as: str = ""


def new_code() -> str:
    """A code of 40 random bits, which cannot be guessed with five tries in ten minutes."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))


@dataclass(frozen=True, slots=True)
class Identities:
    """People by their accounts; the configuration is read each time, so that a change applies at once."""

    database: Database
    settings: SettingsSource
    make_code: Callable[[], str] = new_code

    async def person_of(self, surface: str, identity: str) -> str | None:
        """The person of an account; None if it is unknown, or if the configuration no longer names the person."""
        people = self.settings().people
        for person in people.by_name.values():
            if person.identities.get(surface) == identity:
                return person.name
        linked = await self._linked_person(surface, identity)
        return linked if linked is not None and people.get(linked) else None

    @reads
    async def _linked_person(self, tx: Tx, surface: str, identity: str) -> str | None:
        return await identities.person_of(tx, surface, identity)

    async def claim(self, account: ClaimedAccount) -> str:
        """Create a code for an unknown account that only the person it names can confirm; returns the code.

        A name that no one has gets a code too, so that strangers do not learn who is configured.
        """
        code = self.make_code()
        await self._open_claim(code, account)
        return code

    @writes
    async def _open_claim(self, tx: Tx, code: str, account: ClaimedAccount) -> None:
        is_known = self.settings().people.get(account.person) is not None
        if is_known:
            expires_ms = tx.now_ms + CODE_LIFETIME_S * 1000
            claim = LinkClaim(account.surface, account.identity, account.person, 0, expires_ms, account.shown_as)
            await identities.open_claim(tx, code, claim)
        body = {"identity": account.identity, "person": account.person, "known": is_known}
        await _record(tx, "identity.claimed", None, account.surface, body)

    @writes
    async def confirm(
        self, tx: Tx, person: str, surface: str | None, code: str, *, confirmed: bool
    ) -> ClaimedAccount | None:
        """The account that a code belongs to, linked to `person` if they `confirmed` it.

        None for a code that is wrong, used, expired or for someone else; that counts as a wrong code of `person`.
        """
        claim = await identities.claim_of(tx, code)
        if claim is None or claim.person != person or claim.expires_ms <= tx.now_ms or claim.tries >= MAX_WRONG_CODES:
            await identities.count_wrong(tx, person, MAX_WRONG_CODES)
            await _record(tx, "identity.refused", person, surface, {})
            return None
        if confirmed:
            await identities.close_claim(tx, code)
            await identities.link(tx, claim)
            body = {"surface": claim.surface, "identity": claim.identity}
            await _record(tx, "identity.linked", person, surface, body)
        return ClaimedAccount(claim.surface, claim.identity, claim.person, claim.shown_as)

    @reads
    async def linked_to(self, tx: Tx, person: str) -> tuple[tuple[str, str], ...]:
        """The linked accounts of a person, as (surface, identity), the oldest first."""
        return tuple(await identities.links_of(tx, person))

    @writes
    async def unlink(self, tx: Tx, person: str, surface: str, identity: str) -> bool:
        """Remove a linked account from `person`; False if it is not linked to them."""
        if (surface, identity) not in await identities.links_of(tx, person):
            return False
        await identities.unlink(tx, surface, identity)
        await _record(tx, "identity.unlinked", person, surface, {"identity": identity})
        return True

    @writes
    async def record_stranger(self, tx: Tx, surface: str, channel: str, identity: str) -> None:
        """Record that a message of an unknown account was refused."""
        await _record(tx, "stranger.refused", None, surface, {"identity": identity, "channel": channel})


async def _record(tx: Tx, kind: str, person: str | None, surface: str | None, body: dict[str, Any]) -> None:
    await events.append(tx, number=events.SYSTEM, kind=kind, person=person, surface=surface, body=body)
