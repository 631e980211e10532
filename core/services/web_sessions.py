"""Signing in to the web pages: one-time links, sessions that expire and can be revoked, and what they were shown.

A link comes from the terminal (`countersign sign-in`) or from a direct message (`/web`), so a browser gets the identity
that its user already has there. Opening the link changes nothing; only the form on that page uses it up, because
messengers fetch links to preview them. Every session has its own random cookie, made at sign-in and never before.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.model.decision import PASSKEY
from core.model.errors import NotFoundError, RefusedError
from core.model.role import Role
from core.model.turn import WEB, Actor
from core.settings import SettingsSource
from core.store import events, web_sessions
from core.store.database import Database, from_ms
from core.store.unit_of_work import Tx, reads, writes
from core.store.web_sessions import StoredLink
from core.store.web_tables import WebSessionRow

SURFACE: Final = WEB
LINK_LIFETIME_S: Final = 600
IDLE_S: Final = 12 * 3600
ABSOLUTE_S: Final = 7 * 24 * 3600
TOUCH_S: Final = 60
"""A session's last use is recorded at most this often, so that reading a page writes rarely."""
MAX_BROWSER: Final = 200


@dataclass(frozen=True, slots=True)
class BrowserClient:
    """What is known of a browser that signs in: what it says of itself, and the address of its connection."""

    browser: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class WebSession:
    """A signed-in browser; `id` is what people see and revoke, `browser` is what it said of itself.

    `method` is how it signed in, and `address` from where; both are empty for sessions of an older version.
    """

    id: str
    person: str | None
    is_operator: bool
    browser: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    method: str = ""
    address: str = ""
    stepped_up_at: datetime | None = None

    @property
    def actor(self) -> Actor:
        """Who acts in this session; the operator of the home may be no configured person."""
        return Actor(self.person, SURFACE, is_operator=self.is_operator)

    @property
    def shown_name(self) -> str:
        """The person, or ``operator``."""
        return self.person or "operator"

    def to_json(self) -> dict[str, Any]:
        """The row of ``sessions list --json``."""
        return {
            "id": self.id,
            "person": self.person,
            "is_operator": self.is_operator,
            "browser": self.browser,
            "method": self.method,
            "address": self.address,
            "created_at": self.created_at.isoformat(),
            "seen_at": self.seen_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun, with the secret for its cookie, which is stored nowhere."""

    session: WebSession
    secret: str


@dataclass(frozen=True, slots=True)
class ShownParts:
    """The parts of a diff, from 0, that a session was shown, of `of` altogether; 0 if it was shown none."""

    parts: frozenset[int]
    of: int

    @property
    def is_whole(self) -> bool:
        """Whether the session was shown every part."""
        return self.of > 0 and self.parts >= set(range(self.of))

    @property
    def first_missing(self) -> int:
        """The first part that the session was not shown."""
        return min(set(range(self.of)) - self.parts, default=0)


@dataclass(frozen=True, slots=True)
class WebSessions:
    """Makes sign-in links and sessions; the people of the configuration are read at each use."""

    database: Database
    settings: SettingsSource

    async def make_link(self, actor: Actor) -> str:
        """The token of a link that signs in as `actor`, valid once and for `LINK_LIFETIME_S` seconds.

        Raises `NotFoundError` for a person that is not configured.
        """
        if actor.person is not None or not actor.is_operator:
            self.settings().people.named(actor.person or "")
        token = secrets.token_urlsafe(32)
        await self._add_link(token, actor)
        return token

    @writes
    async def _add_link(self, tx: Tx, token: str, actor: Actor) -> None:
        link = StoredLink(actor.person, actor.is_operator, tx.now_ms + LINK_LIFETIME_S * 1000)
        await web_sessions.add_link(tx, token, link)
        await _record(tx, "web.link_made", actor, {"operator": actor.is_operator})

    async def sign_in(self, token: str, client: BrowserClient, earlier: str | None) -> NewSession | None:
        """Use up a link and begin a session; None if the link is unknown, used or expired, or its person is gone.

        The session of the `earlier` cookie ends, so that no cookie from before the sign-in is valid after it.
        """
        return await self._sign_in(token, secrets.token_urlsafe(32), client, earlier)

    @writes
    async def _sign_in(
        self, tx: Tx, token: str, secret: str, client: BrowserClient, earlier: str | None
    ) -> NewSession | None:
        await web_sessions.remove_over(tx, IDLE_S * 1000)
        link = await web_sessions.take_link(tx, token)
        if link is None or (link.person is not None and self.settings().people.get(link.person) is None):
            await _record(tx, "web.sign_in_refused", Actor(None, SURFACE), {})
            return None
        await _end_earlier(tx, earlier)
        return await self._begin(tx, link, secret, client, "link")

    async def sign_in_person(
        self, person: str, method: str, client: BrowserClient, earlier: str | None, earlier_session: str | None = None
    ) -> NewSession:
        """Begin a session of a person who proved who they are by `method`, such as ``passkey``.

        The session of the `earlier` cookie ends, and the one with the id `earlier_session`. Raises `NotFoundError` for
        a person that is not configured.
        """
        self.settings().people.named(person)
        return await self._sign_in_person(person, method, secrets.token_urlsafe(32), client, (earlier, earlier_session))

    @writes
    async def _sign_in_person(
        self,
        tx: Tx,
        person: str,
        method: str,
        secret: str,
        client: BrowserClient,
        earlier: tuple[str | None, str | None],
    ) -> NewSession:
        await web_sessions.remove_over(tx, IDLE_S * 1000)
        await _end_earlier(tx, earlier[0])
        if earlier[1] is not None:
            await web_sessions.remove(tx, earlier[1])
        return await self._begin(tx, StoredLink(person, False, 0), secret, client, method)

    async def rotate(self, session: str) -> str:
        """A new secret for the cookie of a session, after its person proved more; the earlier one is void.

        Raises `NotFoundError` for a session that has ended.
        """
        secret = secrets.token_urlsafe(32)
        await self._rotate(session, secret)
        return secret

    @writes
    async def _rotate(self, tx: Tx, session: str, secret: str) -> None:
        if not await web_sessions.set_secret(tx, session, secret):
            raise NotFoundError("no_such_session", "your session has ended", "Sign in again.")

    async def _begin(self, tx: Tx, who: StoredLink, secret: str, client: BrowserClient, method: str) -> NewSession:
        row = WebSessionRow(
            secret_sha256=web_sessions.hashed(secret),
            id=tx.new_id("ses"),
            person=who.person,
            is_operator=who.is_operator,
            browser=client.browser[:MAX_BROWSER],
            created_ms=tx.now_ms,
            seen_ms=tx.now_ms,
            expires_ms=tx.now_ms + ABSOLUTE_S * 1000,
            method=method,
            address=client.address[:MAX_BROWSER],
            stepped_up_ms=tx.now_ms if method == PASSKEY else None,
        )
        session = _session(row)
        await web_sessions.add(tx, row)
        body = {"session": session.id, "operator": session.is_operator, "by": method}
        await _record(tx, "web.signed_in", session.actor, body)
        return NewSession(session, secret)

    async def of_cookie(self, secret: str) -> WebSession | None:
        """The session of a cookie; None if it ended, expired, or its person is no longer configured."""
        session, is_stale = await self._find(secret)
        if session is not None and is_stale:
            await self._touch(session.id)
        return session

    @reads
    async def _find(self, tx: Tx, secret: str) -> tuple[WebSession | None, bool]:
        row = await web_sessions.of_secret(tx, secret)
        if row is None or row.expires_ms <= tx.now_ms or row.seen_ms <= tx.now_ms - IDLE_S * 1000:
            return None, False
        session = _session(row)
        if session.person is not None and self.settings().people.get(session.person) is None:
            return None, False
        return session, row.seen_ms <= tx.now_ms - TOUCH_S * 1000

    @writes
    async def _touch(self, tx: Tx, session: str) -> None:
        await web_sessions.touch(tx, session)

    @reads
    async def listed(self, tx: Tx, actor: Actor) -> tuple[WebSession, ...]:
        """The sessions that `actor` may end, the newest first: their own.

        Maintainers and the operator may end everyone's.
        """
        rows = await web_sessions.all_of(tx, actor.person, everyone=self._sees_all(actor))
        live = [row for row in rows if row.expires_ms > tx.now_ms and row.seen_ms > tx.now_ms - IDLE_S * 1000]
        return tuple(map(_session, live))

    @writes
    async def revoke(self, tx: Tx, session: str, actor: Actor) -> None:
        """End a session; raises `NotFoundError` for one that does not exist or is not for `actor` to see."""
        row = await web_sessions.of_id(tx, session)
        if row is None or not (self._sees_all(actor) or row.person == actor.person):
            raise NotFoundError("no_such_session", f"there is no session {session}", "List them first.")
        ended = _session(row)
        await web_sessions.remove(tx, ended.id)
        await _record(tx, "web.session_revoked", actor, {"session": ended.id, "of": ended.person})

    @writes
    async def revoke_all(self, tx: Tx, person: str | None, actor: Actor, keep: str | None = None) -> int:
        """End every session of `person` (None: of the operator) but the one with the id `keep`.

        Returns how many ended.
        """
        if not self._sees_all(actor) and person != actor.person:
            raise RefusedError("not_yours", "only the operator may end the sessions of others", "Ask the operator.")
        rows = [_session(row) for row in await web_sessions.all_of(tx, person, everyone=False) if row.id != keep]
        for session in rows:
            await web_sessions.remove(tx, session.id)
            await _record(tx, "web.session_revoked", actor, {"session": session.id, "of": person})
        return len(rows)

    @writes
    async def record_shown(self, tx: Tx, session: str, digest: str, part: int, parts: int) -> None:
        """Record that part number `part` (from 0) of the `parts` of a diff was sent to a session."""
        await web_sessions.add_shown(tx, session, digest, part, parts)

    @reads
    async def parts_shown(self, tx: Tx, session: str, digest: str) -> ShownParts:
        """Which parts of a diff were sent to a session; only one that was shown all may approve it (security.md 42)."""
        divisions: dict[int, set[int]] = {}
        for part, of in await web_sessions.shown(tx, session, digest):  # an earlier version may have divided otherwise
            divisions.setdefault(of, set()).add(part)
        shown = [ShownParts(frozenset(parts), of) for of, parts in sorted(divisions.items())]
        whole = [parts for parts in shown if parts.is_whole]
        return (whole or shown or [ShownParts(frozenset(), 0)])[-1]

    def _sees_all(self, actor: Actor) -> bool:
        """Whether `actor` sees everyone's sessions: the operator and maintainers, who answer for the home."""
        person = self.settings().people.get(actor.person or "")
        return actor.is_operator or (person is not None and person.may(Role.ADMIN))


def _session(row: WebSessionRow) -> WebSession:
    return WebSession(
        id=row.id,
        person=row.person,
        is_operator=row.is_operator,
        browser=row.browser,
        created_at=from_ms(row.created_ms),
        seen_at=from_ms(row.seen_ms),
        expires_at=from_ms(row.expires_ms),
        method=row.method or "",
        address=row.address or "",
        stepped_up_at=from_ms(row.stepped_up_ms) if row.stepped_up_ms is not None else None,
    )


async def _end_earlier(tx: Tx, cookie: str | None) -> None:
    """End the session of an earlier cookie, so that no cookie from before a sign-in is valid after it."""
    if cookie is not None and (row := await web_sessions.of_secret(tx, cookie)) is not None:
        await web_sessions.remove(tx, row.id)


async def _record(tx: Tx, kind: str, actor: Actor, body: dict[str, Any]) -> None:
    await events.append(tx, number=events.SYSTEM, kind=kind, person=actor.person, surface=actor.surface, body=body)
