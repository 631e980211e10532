"""Tasks that were made by the same schedule."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlmodel import col

from core.model.place import RepositoryScope
from core.store.tables import TaskRow, TurnRow
from core.store.unit_of_work import Tx

_PREFIX: Final = "schedule:"


async def of_schedule(tx: Tx, number: int, limit: int) -> list[tuple[int, int, str | None, RepositoryScope, str]]:
    """(task, revision, repository, scope, requester) of the newest other tasks that the schedule of `number` made."""
    own = select(col(TurnRow.surface), col(TurnRow.dedup)).where(col(TurnRow.number) == number, col(TurnRow.n) == 1)
    turn = (await tx.session.execute(own)).first()
    if turn is None or not (turn[1] or "").startswith(_PREFIX):
        return []
    schedule = turn[1].rpartition(":")[0]  # the rest is the time for which the request was made
    made = (
        select(col(TurnRow.number))
        .where(
            col(TurnRow.surface) == turn[0], col(TurnRow.dedup) > f"{schedule}:", col(TurnRow.dedup) < f"{schedule};"
        )
        .scalar_subquery()
    )
    row = TaskRow
    query = select(col(row.number), col(row.revision), col(row.repo), col(row.scope), col(row.requester))
    query = query.where(col(row.number).in_(made), col(row.number) != number).order_by(col(row.number).desc())
    return [
        (found, revision, repo, RepositoryScope.from_json(scope), requester)
        for found, revision, repo, scope, requester in await tx.session.execute(query.limit(limit))
    ]
