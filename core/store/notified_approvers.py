"""Notified approvers: who was notified that a revision waits for them, so that each is notified once."""

from __future__ import annotations

from collections.abc import Sequence

from core.store.message_tables import NotifiedApproverRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into


async def record(tx: Tx, number: int, revision: int, names: Sequence[str]) -> set[str]:
    """Those of `names` who were not notified of this revision before; they count as notified from now on."""
    if not names:
        return set()
    rows = [{"number": number, "revision": revision, "person": name, "at_ms": tx.now_ms} for name in names]
    insert = insert_into(tx, NotifiedApproverRow).values(rows)
    keys = ["number", "revision", "person"]
    added = await tx.session.execute(
        insert.on_conflict_do_nothing(index_elements=keys).returning(NotifiedApproverRow.person)
    )
    return {str(name) for (name,) in added}
