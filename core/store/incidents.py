"""Incidents: opened once, closed once, by whichever process notices first."""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlmodel import col, select

from core.model.objective import Incident
from core.store.output_tables import IncidentRow, OpenIncidentRow
from core.store.unit_of_work import Tx, from_ms
from core.store.upsert import insert_into


async def open_ones(tx: Tx) -> set[tuple[str, str]]:
    """(kind, name) of every open incident."""
    rows = await tx.session.exec(select(OpenIncidentRow.kind, OpenIncidentRow.name))
    return {(kind, name) for kind, name in rows}


async def begin(tx: Tx, kind: str, name: str, sentence: str) -> bool:
    """Open an incident; False if it is open already."""
    id_ = tx.new_id("incident")
    statement = insert_into(tx, OpenIncidentRow).values(kind=kind, name=name, id=id_)
    statement = statement.on_conflict_do_nothing(index_elements=["kind", "name"]).returning(col(OpenIncidentRow.id))
    if (await tx.session.execute(statement)).first() is None:
        return False
    tx.session.add(IncidentRow(id=id_, kind=kind, name=name, sentence=sentence, opened_ms=tx.now_ms))
    await tx.session.flush()
    return True


async def end(tx: Tx, kind: str, name: str) -> bool:
    """Close an incident; False if it is not open."""
    which = col(OpenIncidentRow.kind) == kind, col(OpenIncidentRow.name) == name
    id_ = (await tx.session.execute(delete(OpenIncidentRow).where(*which).returning(col(OpenIncidentRow.id)))).scalar()
    if id_ is None:
        return False
    await tx.session.execute(update(IncidentRow).where(col(IncidentRow.id) == id_).values(closed_ms=tx.now_ms))
    return True


async def newest(tx: Tx, limit: int) -> list[Incident]:
    """The newest incidents, the open ones first."""
    is_open = col(IncidentRow.closed_ms).is_(None)
    query = select(IncidentRow).order_by(is_open.desc(), col(IncidentRow.opened_ms).desc()).limit(limit)
    return [
        Incident(
            row.kind,
            row.name,
            row.sentence,
            from_ms(row.opened_ms),
            from_ms(row.closed_ms) if row.closed_ms is not None else None,
        )
        for row in await tx.session.exec(query)
    ]
