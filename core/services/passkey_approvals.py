"""Approving with a passkey: the statement that a person signs, and the check of what they signed.

The statement is stored when the browser asks for it and used up by one answer, so a signature counts once, in the
session that asked, within five minutes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

from core.model.approval import Verdict
from core.model.approval_statement import ApprovalStatement
from core.model.errors import ConflictError, RefusedError
from core.model.passkey import ApprovalSignature, Passkey, RelyingParty
from core.model.turn import Actor
from core.rules import passkey_ceremony
from core.rules.visibility import visible_task
from core.services.approvals import Approvals, VerdictOutcome
from core.services.passkeys import Passkeys, challenge_row, expired
from core.settings import SettingsSource
from core.signing import Keys
from core.store import passkeys as rows
from core.store.database import Database
from core.store.unit_of_work import Tx, writes

APPROVE: Final = "approve"


@dataclass(frozen=True, slots=True)
class PasskeyApprovals:
    """Approvals that the approver's own passkey signs."""

    database: Database
    settings: SettingsSource
    passkeys: Passkeys
    approvals: Approvals
    keys: Keys

    async def begin(self, number: int, digest: str, actor: Actor, session: str, site: RelyingParty) -> dict[str, Any]:
        """The options for the browser of `session`, whose challenge is the hash of the statement to sign.

        Raises `RefusedError` without a passkey for `site`, and `ConflictError` for a digest that is not current.
        """
        own = await self.passkeys.own(actor, site)
        if not own:
            mend = "Register one: your name, at the top of the page, then Passkeys."
            raise RefusedError("no_passkey", "you have no passkey for this site", mend)
        statement = await self._begin(number, digest, actor, session)
        return passkey_ceremony.assertion_options(site, statement.challenge, [one.credential_id for one in own])

    @writes
    async def _begin(self, tx: Tx, number: int, digest: str, actor: Actor, session: str) -> ApprovalStatement:
        task = await visible_task(tx, self.settings(), number, actor)
        if task.staged is None or task.staged.digest != digest:
            raise ConflictError("stale", f"#{number} no longer has this diff", "Open its page again.")
        statement = ApprovalStatement(
            task=task.number,
            task_id=task.id,
            digest=digest,
            base=task.staged.base,
            verdict=Verdict.APPROVE.value,
            person=actor.person or "",
            home=self.keys.key_id(),
            at=tx.now.isoformat(),
            nonce=secrets.token_hex(16),
        )
        row = challenge_row(tx, statement.challenge, APPROVE, session, statement.to_json())
        await rows.add_challenge(tx, row)
        return statement

    async def approve(
        self, number: int, digest: str, actor: Actor, session: str, site: RelyingParty, credential: str
    ) -> VerdictOutcome:
        """Approve `digest` with what the browser's passkey signed; raises `RefusedError` if that does not count."""
        signature = await self._signature(number, digest, actor, session, site, credential)
        return await self.approvals.approve(number, digest, actor, signature=signature)

    async def _signature(
        self, number: int, digest: str, actor: Actor, session: str, site: RelyingParty, credential: str
    ) -> ApprovalSignature:
        stored = await self._take(passkey_ceremony.challenge_of(credential), session)
        if stored is None:
            raise expired()
        statement = ApprovalStatement.from_json(stored)
        if (statement.task, statement.digest, statement.person) != (number, digest, actor.person):
            raise RefusedError("other_statement", "your passkey signed something else", "Open the task's page again.")
        passkey: Passkey = await self.passkeys.verified(credential, statement.challenge, site)
        if passkey.person != actor.person:
            raise RefusedError("other_passkey", "this passkey is another person's", "Use your own.")
        assertion = passkey_ceremony.read_assertion(credential)
        return ApprovalSignature(statement, assertion, passkey.public_key, passkey.registration)

    @writes
    async def _take(self, tx: Tx, challenge: str, session: str) -> dict[str, Any] | None:
        return await rows.take_challenge(tx, challenge, APPROVE, session)
