"""Linked identities of people, the codes that link them, and channels that got another id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, update
from sqlmodel import col, select

from core.store.message_tables import ChatMoveRow, IdentityCodeRow, IdentityRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """A request to link an identity to `person`, who must enter its code before it expires.

    `shown_as` is the identity's name on its platform.
    """

    surface: str
    identity: str
    person: str
    tries: int
    expires_ms: int
    shown_as: str = ""


async def person_of(tx: Tx, surface: str, identity: str) -> str | None:
    """The person to whom an identity is linked, or None."""
    row = await tx.session.get(IdentityRow, (surface, identity))
    return row.person if row else None


async def links_of(tx: Tx, person: str) -> list[tuple[str, str]]:
    """The linked identities of a person, as (surface, identity), the oldest first."""
    rows = await tx.session.exec(
        select(IdentityRow).where(IdentityRow.person == person).order_by(col(IdentityRow.at_ms))
    )
    return [(row.surface, row.identity) for row in rows]


async def links_of_all(tx: Tx) -> dict[str, list[tuple[str, str]]]:
    """The linked identities of everyone, as (surface, identity), the oldest first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in await tx.session.exec(select(IdentityRow).order_by(col(IdentityRow.at_ms))):
        found.setdefault(row.person, []).append((row.surface, row.identity))
    return found


async def link(tx: Tx, claim: LinkClaim) -> None:
    """Link an identity to the person who claims it."""
    await tx.session.merge(
        IdentityRow(surface=claim.surface, identity=claim.identity, person=claim.person, at_ms=tx.now_ms)
    )


async def unlink(tx: Tx, surface: str, identity: str) -> None:
    """Remove the link of an identity."""
    await tx.session.execute(
        delete(IdentityRow).where(col(IdentityRow.surface) == surface, col(IdentityRow.identity) == identity)
    )


async def open_claim(tx: Tx, code: str, claim: LinkClaim) -> None:
    """Store a code for a claim; earlier codes for the same identity become void."""
    await tx.session.execute(
        delete(IdentityCodeRow).where(
            col(IdentityCodeRow.surface) == claim.surface, col(IdentityCodeRow.identity) == claim.identity
        )
    )
    tx.session.add(
        IdentityCodeRow(
            code_sha256=_hashed(code),
            surface=claim.surface,
            identity=claim.identity,
            person=claim.person,
            expires_ms=claim.expires_ms,
            shown_as=claim.shown_as,
        )
    )
    await tx.session.flush()


async def claim_of(tx: Tx, code: str) -> LinkClaim | None:
    """The claim that a code belongs to, or None."""
    row = await tx.session.get(IdentityCodeRow, _hashed(code))
    if row is None:
        return None
    return LinkClaim(row.surface, row.identity, row.person, row.tries, row.expires_ms, row.shown_as or "")


async def close_claim(tx: Tx, code: str) -> None:
    """Delete the claim of a code, which works once."""
    await tx.session.execute(delete(IdentityCodeRow).where(col(IdentityCodeRow.code_sha256) == _hashed(code)))


async def count_wrong(tx: Tx, person: str, most: int) -> None:
    """Count a wrong code of `person` against each code that waits for them; after `most` wrong ones delete these."""
    for_person = col(IdentityCodeRow.person) == person
    await tx.session.execute(update(IdentityCodeRow).where(for_person).values(tries=col(IdentityCodeRow.tries) + 1))
    await tx.session.execute(delete(IdentityCodeRow).where(for_person, col(IdentityCodeRow.tries) >= most))


async def moved(tx: Tx, surface: str, channel: str, to: str) -> None:
    """Record that a channel got another id."""
    await tx.session.merge(ChatMoveRow(surface=surface, channel=channel, to=to, at_ms=tx.now_ms))


async def moves_of(tx: Tx, surface: str) -> dict[str, str]:
    """The new id of each moved channel, by its old id."""
    rows = await tx.session.exec(select(ChatMoveRow).where(ChatMoveRow.surface == surface))
    return {row.channel: row.to for row in rows}


def _hashed(code: str) -> str:
    return hashlib.sha256(code.strip().upper().encode()).hexdigest()
