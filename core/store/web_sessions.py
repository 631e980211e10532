"""Sign-in links and sessions of browsers. Tokens and cookies are stored as hashes only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, update
from sqlmodel import col, select

from core.store.unit_of_work import Tx
from core.store.web_tables import WebLinkRow, WebSessionRow, WebShownRow


@dataclass(frozen=True, slots=True)
class StoredLink:
    """Who a sign-in link is for; `person` is None for the operator of the home."""

    person: str | None
    is_operator: bool
    expires_ms: int


def hashed(secret: str) -> str:
    """The hash under which a token or a cookie is stored; both have 256 random bits, so it needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


async def add_link(tx: Tx, token: str, link: StoredLink) -> None:
    """Store a link, and delete those that expired."""
    await tx.session.execute(delete(WebLinkRow).where(col(WebLinkRow.expires_ms) <= tx.now_ms))
    tx.session.add(
        WebLinkRow(
            token_sha256=hashed(token),
            person=link.person,
            is_operator=link.is_operator,
            created_ms=tx.now_ms,
            expires_ms=link.expires_ms,
        )
    )
    await tx.session.flush()


async def take_link(tx: Tx, token: str) -> StoredLink | None:
    """Use up a link; None if it is unknown, used or expired. Of two transactions at once, one gets it."""
    row = await tx.session.get(WebLinkRow, hashed(token))
    if row is None:
        return None
    link = StoredLink(row.person, row.is_operator, row.expires_ms)
    tx.session.expunge(row)
    taken = await tx.session.execute(delete(WebLinkRow).where(col(WebLinkRow.token_sha256) == hashed(token)))
    is_ours = int(getattr(taken, "rowcount", 0)) == 1
    return link if is_ours and link.expires_ms > tx.now_ms else None


async def add(tx: Tx, row: WebSessionRow) -> None:
    """Store a session."""
    tx.session.add(row)
    await tx.session.flush()


async def of_secret(tx: Tx, secret: str) -> WebSessionRow | None:
    """The session of a cookie, expired or not; None if there is none."""
    return await tx.session.get(WebSessionRow, hashed(secret))


async def of_id(tx: Tx, session: str) -> WebSessionRow | None:
    """The session with this id; None if there is none."""
    return (await tx.session.exec(select(WebSessionRow).where(WebSessionRow.id == session))).first()


async def all_of(tx: Tx, person: str | None, *, everyone: bool) -> Sequence[WebSessionRow]:
    """The sessions of one person (None: of the operator) or of everyone, the newest first."""
    query = select(WebSessionRow)
    if not everyone:
        query = query.where(WebSessionRow.person == person)
    return (await tx.session.exec(query.order_by(col(WebSessionRow.created_ms).desc()))).all()


async def touch(tx: Tx, session: str) -> None:
    """Record that a session was used now."""
    await tx.session.execute(update(WebSessionRow).where(col(WebSessionRow.id) == session).values(seen_ms=tx.now_ms))


async def set_secret(tx: Tx, session: str, secret: str) -> bool:
    """Give a session another cookie; False if there is none with this id."""
    changed = await tx.session.execute(
        update(WebSessionRow).where(col(WebSessionRow.id) == session).values(secret_sha256=hashed(secret))
    )
    return int(getattr(changed, "rowcount", 0)) == 1


async def record_step_up(tx: Tx, session: str) -> bool:
    """Record that the person of a session proved more now; False if there is none with this id."""
    changed = await tx.session.execute(
        update(WebSessionRow).where(col(WebSessionRow.id) == session).values(stepped_up_ms=tx.now_ms)
    )
    return int(getattr(changed, "rowcount", 0)) == 1


async def remove(tx: Tx, session: str) -> bool:
    """End a session; False if there is none with this id."""
    await _remove_shown(tx, col(WebShownRow.session) == session)
    ended = await tx.session.execute(delete(WebSessionRow).where(col(WebSessionRow.id) == session))
    return int(getattr(ended, "rowcount", 0)) == 1


async def remove_over(tx: Tx, idle_ms: int) -> None:
    """Delete the sessions that expired, or were not used for `idle_ms` milliseconds."""
    over = (col(WebSessionRow.expires_ms) <= tx.now_ms) | (col(WebSessionRow.seen_ms) <= tx.now_ms - idle_ms)
    await _remove_shown(tx, col(WebShownRow.session).in_(select(WebSessionRow.id).where(over)))
    await tx.session.execute(delete(WebSessionRow).where(over))


async def _remove_shown(tx: Tx, which: ColumnElement[bool]) -> None:
    await tx.session.execute(delete(WebShownRow).where(which))


async def add_shown(tx: Tx, session: str, digest: str, part: int, parts: int) -> None:
    """Record that a session was shown part number `part` of the `parts` of a diff."""
    await tx.session.merge(WebShownRow(session=session, digest=digest, part=part, parts=parts, at_ms=tx.now_ms))


async def shown(tx: Tx, session: str, digest: str) -> Sequence[tuple[int, int]]:
    """The parts of a diff that a session was shown: (part, how many there are)."""
    query = select(WebShownRow.part, WebShownRow.parts).where(
        col(WebShownRow.session) == session, col(WebShownRow.digest) == digest
    )
    return (await tx.session.exec(query)).all()
