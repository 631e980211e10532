"""Notified: who was told that a revision waits for them; a row each, so that nobody is told twice."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.dialects import postgresql, sqlite

from core.store.database import Session
from core.store.message_tables import NotifiedApproverRow


async def record(session: Session, number: int, revision: int, names: Sequence[str], now_ms: int) -> set[str]:
    """Those of `names` who were not told of this revision before; they count as told from now on."""
    if not names:
        return set()
    rows = [{"number": number, "revision": revision, "person": name, "at_ms": now_ms} for name in names]
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(NotifiedApproverRow).values(rows)
    keys = ["number", "revision", "person"]
    made = await session.execute(
        insert.on_conflict_do_nothing(index_elements=keys).returning(NotifiedApproverRow.person)
    )
    return {str(name) for (name,) in made}
