"""Signing in at an identity provider: what binds its answer to the browser that asked, and whom it signs in.

The browser keeps one random value in a cookie; the nonce and the PKCE verifier are derived from it and the state, so
the database holds neither. An answer counts once, within ten minutes, in that browser, for the provider that was asked.
Who it is comes from the provider's immutable id alone, never from a name or an e-mail address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Final

from core.model.errors import RefusedError
from core.model.identity import ProvedIdentity
from core.model.turn import WEB
from core.services.identities import Identities
from core.store import events, provider_sign_ins, web_sessions
from core.store.database import Database
from core.store.provider_sign_ins import OpenSignIn
from core.store.unit_of_work import Tx, writes

LIFETIME_S: Final = 600
MAX_OPEN: Final = 1000
"""Sign-ins that have not come back; strangers can begin them."""


@dataclass(frozen=True, slots=True)
class ProviderChallenge:
    """What one sign-in is bound by; `browser` is the value of the browser's cookie, which derives the rest."""

    state: str
    browser: str

    @property
    def nonce(self) -> str:
        """The value that the provider's ID token must repeat."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """The PKCE code verifier: 43 characters (https://www.rfc-editor.org/rfc/rfc7636#section-4.1)."""
        return self._derived("verifier")

    def _derived(self, purpose: str) -> str:
        digest = hmac.new(self.browser.encode(), f"{purpose} {self.state}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class ReturnedSignIn:
    """A sign-in that came back to the browser that began it."""

    challenge: ProviderChallenge
    earlier_session: str | None


@dataclass(frozen=True, slots=True)
class ProviderSignIns:
    """Begins sign-ins at providers and takes their answers; every refusal is an event."""

    database: Database
    identities: Identities

    async def begin(self, provider: str, cookie: str | None) -> ProviderChallenge:
        """A new challenge for a browser that may have a session by `cookie`; raises `RefusedError` for too many."""
        challenge = ProviderChallenge(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        await self._begin(challenge, provider, cookie)
        return challenge

    @writes
    async def _begin(self, tx: Tx, challenge: ProviderChallenge, provider: str, cookie: str | None) -> None:
        earlier = await web_sessions.of_secret(tx, cookie) if cookie else None
        sign_in = OpenSignIn(provider, earlier.id if earlier else None)
        expires_ms = tx.now_ms + LIFETIME_S * 1000
        if await provider_sign_ins.add(tx, challenge.state, challenge.browser, sign_in, expires_ms) > MAX_OPEN:
            raise RefusedError("too_many_sign_ins", "too many sign-ins were begun", "Wait ten minutes, then try again.")

    async def take(self, provider: str, state: str, browser: str | None) -> ReturnedSignIn:
        """Use up the sign-in that `state` names; raises `RefusedError` unless this browser began it at `provider`."""
        taken = await self._take(state, browser) if browser else None
        if taken is None or taken.provider != provider:
            await self.record_refusal(provider, "state", None)
            message = "this sign-in was not begun in this browser, is used already, or took longer than ten minutes"
            raise RefusedError("bad_state", message, "Begin again on the page of signing in.")
        return ReturnedSignIn(ProviderChallenge(state, browser or ""), taken.earlier_session)

    @writes
    async def _take(self, tx: Tx, state: str, browser: str) -> OpenSignIn | None:
        return await provider_sign_ins.take(tx, state, browser)

    async def person_of(self, provider: str, label: str, identity: ProvedIdentity) -> str:
        """The configured person of a proved identity; raises `RefusedError` for one that belongs to no one.

        `label` is what people call the provider.
        """
        person = await self.identities.person_of(identity.surface, identity.id)
        if person is not None:
            return person
        await self.record_refusal(provider, "unknown", identity)
        message = f"{label} says that you are {identity.id}, which no person here has as an identity"
        mend = f"Ask the operator of Countersign to add it to you in countersign.yaml, as {identity.surface}."
        raise RefusedError("unknown_identity", message, mend)

    @writes
    async def record_refusal(self, tx: Tx, provider: str, why: str, identity: ProvedIdentity | None) -> None:
        """Record that a sign-in at a provider was refused; `why` is a code of ours."""
        body: dict[str, Any] = {"by": provider, "why": why}
        if identity is not None:
            body["identity"] = f"{identity.surface}:{identity.id}"
        await events.append(tx, number=events.SYSTEM, kind="web.sign_in_refused", person=None, surface=WEB, body=body)
