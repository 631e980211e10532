"""Stepping up a session: its person proves again that it is them, and may then change what they prove with.

A session that stepped up has another cookie from then on, so a copy of the earlier one gains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.model.errors import NotFoundError, RefusedError
from core.model.passkey import RelyingParty
from core.model.turn import Actor
from core.services.authenticators import Authenticators
from core.services.passkeys import Passkeys
from core.services.web_sessions import WebSessions
from core.store import events, web_sessions
from core.store.database import Database
from core.store.unit_of_work import Tx, writes


@dataclass(frozen=True, slots=True)
class StepUps:
    """Proofs within a session, by a code of an authenticator app or by a passkey."""

    database: Database
    authenticators: Authenticators
    passkeys: Passkeys
    sessions: WebSessions

    async def by_code(self, actor: Actor, session: str, code: str) -> str:
        """Step up with a code or a recovery code; returns the new secret of the cookie. Raises `RefusedError`."""
        await self.authenticators.verify(actor, code)
        return await self._done(actor, session, "totp")

    async def begin_passkey(self, actor: Actor, session: str, site: RelyingParty) -> dict[str, Any]:
        """The options for the browser of `session`; raises `RefusedError` without a passkey for `site`."""
        own = await self.passkeys.own(actor, site)
        if not own:
            raise RefusedError(
                "no_passkey", "you have no passkey for this site", "Use a code of your authenticator app."
            )
        return await self.passkeys.begin_step_up(session, site, own)

    async def by_passkey(self, actor: Actor, session: str, site: RelyingParty, credential: str) -> str:
        """Step up with what the browser's passkey answered; returns the new secret. Raises `RefusedError`."""
        passkey = await self.passkeys.answered(session, site, credential)
        if passkey.person != actor.person:
            raise RefusedError("other_passkey", "this passkey is another person's", "Use your own.")
        return await self._done(actor, session, "passkey")

    async def _done(self, actor: Actor, session: str, method: str) -> str:
        secret = await self.sessions.rotate(session)
        await self._record(actor, session, method)
        return secret

    @writes
    async def _record(self, tx: Tx, actor: Actor, session: str, method: str) -> None:
        if not await web_sessions.record_step_up(tx, session):
            raise NotFoundError("no_such_session", "your session has ended", "Sign in again.")
        await events.append(
            tx,
            number=events.SYSTEM,
            kind="web.stepped_up",
            person=actor.person,
            surface=actor.surface,
            body={"session": session, "by": method},
        )
