"""Links: identities that people said are theirs, the codes they say it with, and channels that moved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, update
from sqlmodel import col, select

from core.store.message_tables import ChatMoveRow, IdentityCodeRow, IdentityRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """An identity that wants to be `person`, until `person` says the code or it runs out.

    `shown_as` is how its platform shows it.
    """

    surface: str
    identity: str
    person: str
    tries: int
    expires_ms: int
    shown_as: str = ""


async def person_of(tx: Tx, surface: str, identity: str) -> str | None:
    """Whose identity this is by a link."""
    row = await tx.session.get(IdentityRow, (surface, identity))
    return row.person if row else None


async def links_of(tx: Tx, person: str) -> list[tuple[str, str]]:
    """The linked identities of a person, as (surface, identity)."""
    rows = await tx.session.exec(
        select(IdentityRow).where(IdentityRow.person == person).order_by(col(IdentityRow.at_ms))
    )
    return [(row.surface, row.identity) for row in rows]


async def link(tx: Tx, claim: LinkClaim) -> None:
    """The identity is the person's from now on."""
    await tx.session.merge(
        IdentityRow(surface=claim.surface, identity=claim.identity, person=claim.person, at_ms=tx.now_ms)
    )


async def unlink(tx: Tx, surface: str, identity: str) -> None:
    """The identity is nobody's."""
    await tx.session.execute(
        delete(IdentityRow).where(col(IdentityRow.surface) == surface, col(IdentityRow.identity) == identity)
    )


async def open_claim(tx: Tx, code: str, claim: LinkClaim) -> None:
    """Remember a code; an identity's earlier ones are void."""
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
    """The claim that a code belongs to."""
    row = await tx.session.get(IdentityCodeRow, _hashed(code))
    if row is None:
        return None
    return LinkClaim(row.surface, row.identity, row.person, row.tries, row.expires_ms, row.shown_as or "")


async def close_claim(tx: Tx, code: str) -> None:
    """A code works once."""
    await tx.session.execute(delete(IdentityCodeRow).where(col(IdentityCodeRow.code_sha256) == _hashed(code)))


async def count_wrong(tx: Tx, person: str, most: int) -> None:
    """A wrong code was said by `person`: every code that waits for them has one try less, and none after `most`."""
    mine = col(IdentityCodeRow.person) == person
    await tx.session.execute(update(IdentityCodeRow).where(mine).values(tries=col(IdentityCodeRow.tries) + 1))
    await tx.session.execute(delete(IdentityCodeRow).where(mine, col(IdentityCodeRow.tries) >= most))


async def moved(tx: Tx, surface: str, channel: str, to: str) -> None:
    """Remember that a channel has another id, as its platform said."""
    await tx.session.merge(ChatMoveRow(surface=surface, channel=channel, to=to, at_ms=tx.now_ms))


async def moves_of(tx: Tx, surface: str) -> dict[str, str]:
    """Old channel ids and the new ones."""
    rows = await tx.session.exec(select(ChatMoveRow).where(ChatMoveRow.surface == surface))
    return {row.channel: row.to for row in rows}


def _hashed(code: str) -> str:
    return hashlib.sha256(code.strip().upper().encode()).hexdigest()
