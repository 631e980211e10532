"""Passkeys: registering, listing and removing them, and whom an assertion signs in.

A passkey is registered in a signed-in browser. The home attests whose it is with the key that signs its receipts, so
that each signed approval says which registration it relies on.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from core.model.errors import ConflictError, NotFoundError, RefusedError, UsageError
from core.model.event import canonical
from core.model.passkey import MAX_PASSKEYS, Passkey, RelyingParty
from core.model.role import Role
from core.model.turn import Actor
from core.rules import passkey_ceremony
from core.rules.passkey_ceremony import NewCredential
from core.rules.step_up_check import check_stepped_up
from core.settings import SettingsSource
from core.signing import Keys
from core.store import events, passkeys
from core.store.database import Database
from core.store.passkey_tables import PasskeyChallengeRow, PasskeyRow
from core.store.unit_of_work import Tx, reads, writes

REGISTER: Final = "register"
SIGN_IN: Final = "sign-in"
STEP_UP: Final = "step-up"
CHALLENGE_LIFETIME_S: Final = 300
MAX_OPEN_SIGN_INS: Final = 1000
"""Challenges of sign-ins that are not answered; strangers can ask for them."""
MAX_NAME: Final = 60
ATTESTATION_TYPE: Final = "urn:countersign:passkey:v1"
_PAYLOAD_TYPE: Final = "application/vnd.countersign.passkey+json"


@dataclass(frozen=True, slots=True)
class Passkeys:
    """The passkeys of the people of one home; every change is an event."""

    database: Database
    settings: SettingsSource
    keys: Keys

    async def begin_registration(self, actor: Actor, session: str, site: RelyingParty) -> dict[str, Any]:
        """The options for the browser of `session`.

        Raises `RefusedError` for the operator, who is not a person, and for a session that has to step up first.
        """
        person = self._person(actor)
        challenge = secrets.token_bytes(32)
        existing = await self._add_registration(person, session, challenge)
        ours = [one.credential_id for one in existing if one.site.rp_id == site.rp_id]
        return passkey_ceremony.registration_options(site, person, challenge, ours)

    @writes
    async def _add_registration(self, tx: Tx, person: str, session: str, challenge: bytes) -> list[Passkey]:
        existing = await passkeys.of_person(tx, person)
        _check_count(len(existing))
        await check_stepped_up(tx, person, session)
        await passkeys.add_challenge(tx, challenge_row(tx, challenge, REGISTER, session, {"person": person}))
        return list(existing)

    async def register(self, actor: Actor, session: str, site: RelyingParty, name: str, credential: str) -> Passkey:
        """Register what the browser's authenticator made; raises `RefusedError`, `UsageError` or `ConflictError`."""
        person, name = self._person(actor), name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            mend = f"Use 1 to {MAX_NAME} printable characters."
            raise UsageError("bad_name", "the passkey's name is not valid", mend)
        challenge = passkey_ceremony.challenge_of(credential)
        body = await self._take(challenge, REGISTER, session)
        if body is None or body["person"] != person:
            raise expired()
        made = passkey_ceremony.verify_registration(credential, passkey_ceremony.decoded(challenge), site)
        return await self._register(person, site, name, made, actor)

    @writes
    async def _register(
        self, tx: Tx, person: str, site: RelyingParty, name: str, made: NewCredential, actor: Actor
    ) -> Passkey:
        _check_count(len(await passkeys.of_person(tx, person)))
        if await passkeys.of_credential(tx, made.credential_id) is not None:
            raise ConflictError("passkey_known", "this passkey is registered already", "Use another one.")
        attested = {
            "_type": ATTESTATION_TYPE,
            "home": self.keys.key_id(),
            "person": person,
            "credential_id": made.credential_id,
            "public_key": made.public_key,
            "rp_id": site.rp_id,
            "origin": site.origin,
            "at": tx.now.isoformat(),
        }
        row = PasskeyRow(
            id=tx.new_id("pk"),
            credential_id=made.credential_id,
            person=person,
            name=name,
            public_key=made.public_key,
            rp_id=site.rp_id,
            origin=site.origin,
            sign_count=made.sign_count,
            created_ms=tx.now_ms,
            registration=self.keys.sign(canonical(attested).encode(), _PAYLOAD_TYPE),
        )
        passkey = await passkeys.add(tx, row)
        await _record(tx, "passkey.registered", passkey, actor)
        return passkey

    @reads
    async def listed(self, tx: Tx, actor: Actor) -> tuple[Passkey, ...]:
        """The passkeys that `actor` may remove: their own; maintainers and the operator, everyone's."""
        everyone = self._sees_all(actor)
        return tuple(await passkeys.of_person(tx, None if everyone else actor.person or ""))

    @reads
    async def own(self, tx: Tx, actor: Actor, site: RelyingParty | None) -> tuple[Passkey, ...]:
        """The actor's passkeys that work on `site`; none where passkeys cannot be used."""
        if actor.person is None or site is None:
            return ()
        return tuple(one for one in await passkeys.of_person(tx, actor.person) if one.site == site)

    @writes
    async def revoke(self, tx: Tx, passkey: str, actor: Actor) -> None:
        """Remove a passkey; raises `NotFoundError` for one that is not there, or not the actor's to remove."""
        found = await passkeys.of_id(tx, passkey)
        if found is None or not (self._sees_all(actor) or found.person == actor.person):
            raise NotFoundError("no_such_passkey", f"there is no passkey {passkey}", "List them first.")
        await passkeys.remove(tx, found.id)
        await _record(tx, "passkey.revoked", found, actor)

    async def begin_step_up(self, session: str, site: RelyingParty, own: Iterable[Passkey]) -> dict[str, Any]:
        """The options for the browser of `session`, which one of its person's `own` passkeys answers."""
        challenge = secrets.token_bytes(32)
        await self._add_step_up(challenge, session)
        return passkey_ceremony.assertion_options(site, challenge, [one.credential_id for one in own])

    @writes
    async def _add_step_up(self, tx: Tx, challenge: bytes, session: str) -> None:
        await passkeys.add_challenge(tx, challenge_row(tx, challenge, STEP_UP, session, {}))

    async def answered(self, session: str, site: RelyingParty, credential: str) -> Passkey:
        """The passkey that answered a challenge of `begin_step_up` in `session`; raises `RefusedError`."""
        challenge = passkey_ceremony.challenge_of(credential)
        if await self._take(challenge, STEP_UP, session) is None:
            raise expired()
        return await self.verified(credential, passkey_ceremony.decoded(challenge), site)

    async def begin_sign_in(self, site: RelyingParty) -> dict[str, Any]:
        """The options for a browser that is not signed in; its authenticator knows who its user is."""
        challenge = secrets.token_bytes(32)
        await self._add_sign_in(challenge)
        return passkey_ceremony.assertion_options(site, challenge)

    @writes
    async def _add_sign_in(self, tx: Tx, challenge: bytes) -> None:
        await passkeys.add_challenge(tx, challenge_row(tx, challenge, SIGN_IN, None, {}))
        if await passkeys.open_challenges(tx, SIGN_IN) > MAX_OPEN_SIGN_INS:
            raise RefusedError(
                "too_many_sign_ins", "too many sign-ins were begun", "Wait five minutes, then try again."
            )

    async def signed_in_by(self, site: RelyingParty, credential: str) -> str:
        """The person whose passkey answered a challenge of `begin_sign_in`; raises `RefusedError`."""
        challenge = passkey_ceremony.challenge_of(credential)
        if await self._take(challenge, SIGN_IN, None) is None:
            raise expired()
        passkey = await self.verified(credential, passkey_ceremony.decoded(challenge), site)
        self.settings().people.named(passkey.person)
        return passkey.person

    async def verified(self, credential: str, challenge: bytes, site: RelyingParty) -> Passkey:
        """The registered passkey that signed `challenge` on `site`; its use is recorded. Raises `RefusedError`."""
        assertion = passkey_ceremony.read_assertion(credential)
        passkey = await self._of_credential(assertion.credential_id)
        if passkey is None or passkey.site != site:
            mend = "Register it first: your name, at the top of the page, then Passkeys."
            raise RefusedError("unknown_passkey", "this passkey is not registered here", mend)
        count = passkey_ceremony.verify_assertion(assertion, challenge, passkey.trusted(), passkey.sign_count)
        await self._record_use(passkey.id, count)
        return passkey

    @reads
    async def _of_credential(self, tx: Tx, credential_id: str) -> Passkey | None:
        return await passkeys.of_credential(tx, credential_id)

    @writes
    async def _record_use(self, tx: Tx, passkey: str, sign_count: int) -> None:
        await passkeys.record_use(tx, passkey, sign_count)

    @writes
    async def _take(self, tx: Tx, challenge: str, purpose: str, session: str | None) -> dict[str, Any] | None:
        return await passkeys.take_challenge(tx, challenge, purpose, session)

    def _person(self, actor: Actor) -> str:
        if actor.person is None:
            mend = "Sign in as a person: countersign sign-in --as NAME"
            raise RefusedError("not_a_person", "the operator is not a person who approves", mend)
        return self.settings().people.named(actor.person).name

    def _sees_all(self, actor: Actor) -> bool:
        person = self.settings().people.get(actor.person or "")
        return actor.is_operator or (person is not None and person.may(Role.ADMIN))


def challenge_row(
    tx: Tx, challenge: bytes, purpose: str, session: str | None, body: dict[str, Any]
) -> PasskeyChallengeRow:
    """The row of a challenge that was just sent to a browser."""
    return PasskeyChallengeRow(
        challenge=passkey_ceremony.encoded(challenge),
        purpose=purpose,
        session=session,
        body=body,
        expires_ms=tx.now_ms + CHALLENGE_LIFETIME_S * 1000,
    )


def expired() -> RefusedError:
    """The error for an answer whose challenge is used, expired or another browser's."""
    return RefusedError(
        "challenge_expired", "this was answered already, or took longer than five minutes", "Try again."
    )


def _check_count(count: int) -> None:
    if count >= MAX_PASSKEYS:
        mend = "Remove one that you no longer use."
        raise ConflictError("too_many_passkeys", f"you have {MAX_PASSKEYS} passkeys already", mend)


async def _record(tx: Tx, kind: str, passkey: Passkey, actor: Actor) -> None:
    body = {"id": passkey.id, "name": passkey.name, "of": passkey.person, "fingerprint": passkey.fingerprint}
    await events.append(tx, number=events.SYSTEM, kind=kind, person=actor.person, surface=actor.surface, body=body)
