"""Authenticator apps: enrolling one, checking its codes, recovery codes, and stepping up a session.

A code proves who sits at a session that may be hours old. Each counts once; guessing is limited for each person,
because a thief of a session would guess there. What changes a person's proofs needs a session that stepped up within
ten minutes, as soon as they have a proof to step up with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.model.authenticator import Authenticator, Enrolment
from core.model.errors import ConflictError, NotFoundError, RefusedError
from core.model.turn import Actor
from core.rules import one_time_codes
from core.rules.step_up_check import check_stepped_up
from core.settings import SettingsSource
from core.signing import Keys
from core.store import authenticators, events
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes

ATTEMPTS: Final = 5
"""How many wrong codes in a row are checked before each further one locks the codes."""
LOCK_S: Final = 60
_PURPOSE: Final = "authenticator secret"


@dataclass(frozen=True, slots=True)
class Authenticators:
    """The authenticator apps of the people of one home; every change is an event."""

    database: Database
    settings: SettingsSource
    keys: Keys

    async def begin(self, actor: Actor, session: str, site: str) -> Enrolment:
        """A new secret for the actor's device, which counts once `confirm` saw a code of it.

        Raises `ConflictError` with an app, and `RefusedError` for the operator or a session that has to step up.
        """
        person = self._person(actor)
        secret = one_time_codes.new_secret()
        await self._begin(person, session, self.keys.seal(secret, _PURPOSE))
        return Enrolment(secret, one_time_codes.provisioning_address(secret, person, site))

    @writes
    async def _begin(self, tx: Tx, person: str, session: str, sealed: str) -> None:
        if await authenticators.of_person(tx, person) is not None:
            raise ConflictError("authenticator_known", "you have an authenticator app already", "Remove it first.")
        await check_stepped_up(tx, person, session)
        await authenticators.put(tx, person, sealed)

    async def pending(self, actor: Actor, site: str) -> Enrolment | None:
        """What the actor is enrolling and has not confirmed, or None."""
        person = self._person(actor)
        sealed = await self._pending(person)
        if sealed is None:
            return None
        secret = self.keys.unseal(sealed, _PURPOSE)
        return Enrolment(secret, one_time_codes.provisioning_address(secret, person, site))

    @reads
    async def _pending(self, tx: Tx, person: str) -> str | None:
        row = await authenticators.find(tx, person)
        return row.sealed_secret if row is not None and not row.is_confirmed else None

    async def confirm(self, actor: Actor, code: str) -> tuple[str, ...]:
        """Confirm the new app by a code that it shows; returns the recovery codes, which are shown this once.

        Raises `RefusedError` for a wrong code.
        """
        person = self._person(actor)
        await self._check(person, code, actor, is_enrolling=True)
        codes = one_time_codes.new_recovery_codes()
        await self._confirmed(person, codes, actor)
        return codes

    @writes
    async def _confirmed(self, tx: Tx, person: str, codes: Sequence[str], actor: Actor) -> None:
        hashes = [one_time_codes.hashed_recovery_code(person, code) for code in codes]
        await authenticators.put_recovery_codes(tx, person, hashes)
        await _record(tx, "authenticator.enrolled", person, actor)

    async def verify(self, actor: Actor, code: str) -> None:
        """Use up a code of the actor's app, or a recovery code; raises `RefusedError` for any other."""
        await self._check(self._person(actor), code, actor, is_enrolling=False)

    async def _check(self, person: str, code: str, actor: Actor, *, is_enrolling: bool) -> None:
        sealed = await self._take_attempt(person, is_enrolling=is_enrolling)
        is_recovery = not is_enrolling and one_time_codes.looks_like_recovery_code(code)
        is_right = sealed is not None and await self._use(person, sealed, code, actor, is_recovery=is_recovery)
        if not is_right:
            await self._record_refusal(person, actor)
            mend = "Wait until your app shows the next one. After five wrong codes, wait a minute."
            raise RefusedError("bad_code", "this code is wrong or was used already", mend)

    @writes
    async def _take_attempt(self, tx: Tx, person: str, *, is_enrolling: bool) -> str | None:
        row = await authenticators.take_attempt(tx, person, ATTEMPTS, LOCK_S * 1000)
        return row.sealed_secret if row is not None and row.is_confirmed is not is_enrolling else None

    @writes
    async def _use(self, tx: Tx, person: str, sealed: str, code: str, actor: Actor, *, is_recovery: bool) -> bool:
        if is_recovery:
            hashed = one_time_codes.hashed_recovery_code(person, code)
            if not await authenticators.use_recovery_code(tx, person, hashed):
                return False
            await _record(tx, "authenticator.recovery_code_used", person, actor)
            return True
        step = one_time_codes.step_of(self.keys.unseal(sealed, _PURPOSE), code, tx.now_ms)
        return step is not None and await authenticators.use_step(tx, person, step)

    @writes
    async def _record_refusal(self, tx: Tx, person: str, actor: Actor) -> None:
        await _record(tx, "authenticator.refused", person, actor)

    async def renew_recovery_codes(self, actor: Actor, session: str) -> tuple[str, ...]:
        """New recovery codes in the place of the earlier ones; raises `RefusedError` unless the session stepped up."""
        codes = one_time_codes.new_recovery_codes()
        await self._renew(self._person(actor), session, codes, actor)
        return codes

    @writes
    async def _renew(self, tx: Tx, person: str, session: str, codes: Sequence[str], actor: Actor) -> None:
        if await authenticators.of_person(tx, person) is None:
            raise _none_of(person)
        await check_stepped_up(tx, person, session)
        hashes = [one_time_codes.hashed_recovery_code(person, code) for code in codes]
        await authenticators.put_recovery_codes(tx, person, hashes)
        await _record(tx, "authenticator.recovery_codes_renewed", person, actor)

    @reads
    async def own(self, tx: Tx, actor: Actor) -> Authenticator | None:
        """The actor's confirmed app, or None."""
        return await authenticators.of_person(tx, actor.person) if actor.person is not None else None

    @reads
    async def listed(self, tx: Tx) -> Sequence[Authenticator]:
        """Everyone's confirmed apps, by person."""
        return await authenticators.listed(tx)

    @writes
    async def remove_own(self, tx: Tx, actor: Actor, session: str) -> None:
        """Remove the actor's app; raises `RefusedError` unless their session stepped up within ten minutes."""
        person = self._person(actor)
        await check_stepped_up(tx, person, session)
        await _remove(tx, person, actor)

    @writes
    async def remove(self, tx: Tx, person: str, actor: Actor) -> None:
        """Remove the app of a person who lost the device and the recovery codes; for the operator of the home."""
        if not actor.is_operator:
            message = "only the operator of the home removes an app of others"
            raise RefusedError("not_the_operator", message, "Ask the operator.")
        await _remove(tx, person, actor)

    def _person(self, actor: Actor) -> str:
        if actor.person is None:
            mend = "Sign in as a person: countersign sign-in --as NAME"
            raise RefusedError("not_a_person", "the operator is not a person who approves", mend)
        return self.settings().people.named(actor.person).name


async def _remove(tx: Tx, person: str, actor: Actor) -> None:
    if not await authenticators.remove(tx, person):
        raise _none_of(person)
    await _record(tx, "authenticator.removed", person, actor)


def _none_of(person: str) -> NotFoundError:
    mend = "See who has: countersign authenticators list"
    return NotFoundError("no_authenticator", f"{person} has no authenticator app", mend)


async def _record(tx: Tx, kind: str, person: str, actor: Actor) -> None:
    body: dict[str, Any] = {"of": person}
    await events.append(tx, number=events.SYSTEM, kind=kind, person=actor.person, surface=actor.surface, body=body)
