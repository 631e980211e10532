"""API tokens: creating, listing and revoking them, and finding the one that a request presents."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.model.api_token import ApiToken, TokenScope, WrittenToken, new_token
from core.model.errors import NotFoundError, RefusedError, UsageError
from core.model.turn import Actor
from core.settings import SettingsSource
from core.store import api_tokens, events
from core.store.api_tables import ApiTokenRow
from core.store.api_tokens import StoredToken
from core.store.database import Database, to_ms
from core.store.unit_of_work import Tx, reads, writes

MAX_NAME: Final = 100
RECORD_USE_EVERY_S: Final = 60
"""A token that is used all the time causes one write in this time."""
_NO_SECRET: Final = "0" * 64
"""What the secret of an unknown token is compared with, so that the answer takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedToken:
    """A token to be created for `person`, or for the operator of the home (None); `repositories` None means all."""

    name: str
    person: str | None
    scopes: tuple[str, ...]
    repositories: tuple[str, ...] | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new token; `written` is shown once and stored nowhere."""

    token: ApiToken
    written: WrittenToken


@dataclass(frozen=True, slots=True)
class ApiTokens:
    """The tokens of one home. The operator at the terminal creates them; every change is an event."""

    database: Database
    settings: SettingsSource

    async def create(self, wanted: WantedToken, actor: Actor) -> CreatedToken:
        """Create a token; raises `UsageError` or `NotFoundError` for a name that is not known or not valid."""
        self._check(wanted)
        written = new_token()
        return CreatedToken(await self._create(wanted, written, actor), written)

    def _check(self, wanted: WantedToken) -> None:
        settings = self.settings()
        if not wanted.name.strip() or len(wanted.name) > MAX_NAME or not wanted.name.isprintable():
            raise UsageError("bad_name", "the token's name is not valid", f"Use 1 to {MAX_NAME} printable characters.")
        if wanted.person is not None:
            settings.people.named(wanted.person)
        for name in wanted.repositories or ():
            settings.repository(name)
        known = [scope.value for scope in TokenScope]
        if not wanted.scopes or not set(wanted.scopes) <= set(known):
            raise UsageError("bad_scope", "the token's scopes are not valid", f"Choose from {', '.join(known)}.")

    @writes
    async def _create(self, tx: Tx, wanted: WantedToken, written: WrittenToken, actor: Actor) -> ApiToken:
        if wanted.expires_at is not None and to_ms(wanted.expires_at) <= tx.now_ms:
            raise UsageError("expired", "the token would be expired at once", "Name a time in the future.")
        row = ApiTokenRow(
            id=written.id,
            secret_sha256=written.secret_sha256,
            name=wanted.name.strip(),
            person=wanted.person,
            scopes=[scope.value for scope in TokenScope if scope.value in wanted.scopes],
            repositories=sorted(set(wanted.repositories)) if wanted.repositories is not None else None,
            created_ms=tx.now_ms,
            expires_ms=to_ms(wanted.expires_at) if wanted.expires_at else None,
        )
        token = await api_tokens.add(tx, row)
        await _record(tx, "token.created", token, actor)
        return token

    @reads
    async def list(self, tx: Tx) -> tuple[ApiToken, ...]:
        """All tokens, revoked and expired ones included, the newest first."""
        return tuple(await api_tokens.listed(tx))

    @writes
    async def revoke(self, tx: Tx, token_id: str, actor: Actor) -> ApiToken:
        """Revoke a token for good; revoking a revoked one changes nothing. Raises `NotFoundError`."""
        changed = await api_tokens.revoke(tx, token_id)
        stored = await api_tokens.find(tx, token_id)
        if stored is None:
            raise NotFoundError(
                "no_such_token", f"there is no token {token_id!r}", "List them: countersign tokens list"
            )
        if changed:
            await _record(tx, "token.revoked", stored.token, actor)
        return stored.token

    async def authenticate(self, text: str) -> ApiToken | None:
        """The valid token that `text` is; None for one that is unknown, expired, revoked, or whose owner was removed.

        It takes as long for an unknown id as for a wrong secret, and secrets are compared in constant time.
        """
        written = WrittenToken.parse(text)
        if written is None:
            return None
        stored, now = await self._find(written.id)
        expected = stored.secret_sha256 if stored is not None else _NO_SECRET
        if not hmac.compare_digest(expected, written.secret_sha256) or stored is None:
            return None
        token = stored.token
        if not self._is_in_force(token, now):
            return None
        if token.last_used_at is None or (now - token.last_used_at).total_seconds() >= RECORD_USE_EVERY_S:
            await self._record_use(token.id)
        return token

    async def is_valid(self, token: ApiToken) -> bool:
        """Whether a token that was valid still is; for connections that stay open."""
        stored, now = await self._find(token.id)
        return stored is not None and self._is_in_force(stored.token, now)

    def _is_in_force(self, token: ApiToken, now: datetime) -> bool:
        is_over = token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now)
        return not is_over and (token.person is None or self.settings().people.get(token.person) is not None)

    @reads
    async def _find(self, tx: Tx, token_id: str) -> tuple[StoredToken | None, datetime]:
        return await api_tokens.find(tx, token_id), tx.now

    @writes
    async def _record_use(self, tx: Tx, token_id: str) -> None:
        await api_tokens.record_use(tx, token_id, RECORD_USE_EVERY_S * 1000)


def check_scope(token: ApiToken, scope: TokenScope) -> None:
    """Raise `RefusedError` if a token may not do what `scope` stands for."""
    if scope not in token.scopes:
        mend = f"Ask the operator for a token with the scope {scope.value}."
        raise RefusedError("insufficient_scope", f"this token does not have the scope {scope.value}", mend)


def check_whole_home(token: ApiToken) -> None:
    """Raise `RefusedError` if a token is limited to some repositories; for what concerns all of them at once."""
    if not token.sees_everything:
        mend = "Ask the operator for a token without --repo."
        raise RefusedError("needs_every_repository", "this token is limited to some repositories", mend)


async def _record(tx: Tx, kind: str, token: ApiToken, actor: Actor) -> None:
    body: dict[str, Any] = token.to_json()
    body = {key: body[key] for key in ("id", "name", "scopes", "repositories", "expires_at")} | {"of": token.person}
    await events.append(tx, number=events.SYSTEM, kind=kind, person=actor.person, surface=actor.surface, body=body)
