"""The outbox protocol: rows that must be delivered, each leased to one process at a time until it is done.

Cards, notes, webhook deliveries and inbound deliveries have their own tables; how their rows are leased, renewed,
released, finished and put off is implemented here once. A lease lasts `LEASE_MS` unless it is renewed. Each lease has a
new fence number, and a write under an older fence changes nothing: a process that lost its lease cannot release or
finish the work of another process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from sqlalchemy import BigInteger, ColumnElement, CursorResult, exists, false, not_, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import Field, col, select

from core.store.tables import Row
from core.store.unit_of_work import Tx

LEASE_MS: Final = 60_000
"""The length of a lease; a process that works longer on a row renews its lease before it expires."""


class LeaseColumns(Row):
    """The columns of every leased table, beside its contents and its `due_ms`.

    A row is leased while `held_ms` is in the future. `fence` is the number of its newest lease; `attempt` counts the
    leases since its last success.
    """

    attempt: int = 0
    held_ms: int = Field(default=0, sa_type=BigInteger, nullable=False)
    fence: int = Field(default=0, sa_type=BigInteger, nullable=False)


class Leased(Protocol):
    """A value that was read under a lease."""

    @property
    def id(self) -> int | str:
        """The primary key of its row."""

    @property
    def fence(self) -> int:
        """The lease under which it was read."""


R = TypeVar("R", bound=LeaseColumns)
Condition = Callable[[type[R]], ColumnElement[bool]]


def _never(_table: type[LeaseColumns]) -> ColumnElement[bool]:
    return false()


@dataclass(frozen=True, slots=True)
class Outbox(Generic[R]):
    """The lease protocol on one table.

    `is_owed` holds for rows that still have to be delivered. Rows of one `channel` (the values of these columns) for
    which `is_ordered` holds are leased in the order of the column `order`: while an earlier one is owed, later ones
    wait.
    """

    table: type[R]
    is_owed: Condition[R]
    is_ordered: Condition[R] = _never
    channel: tuple[str, ...] = ()
    order: str = "id"
    lease_ms: int = LEASE_MS

    async def any_due(self, tx: Tx, *where: ColumnElement[bool]) -> bool:
        """Whether `begin` would lease a row; one index lookup."""
        rows = await tx.session.exec(select(self._column("id")).where(*self._free(tx.now_ms), *where).limit(1))
        return rows.first() is not None

    async def begin(self, tx: Tx, limit: int, *where: ColumnElement[bool]) -> list[R]:
        """Lease up to `limit` rows that are due, the longest due first; returns them in their order."""
        due = (
            select(self._column("id"))
            .where(*self._free(tx.now_ms), *where)
            .order_by(self._column("due_ms"), self._column(self.order))
            .limit(limit)
        )
        leased = await tx.session.execute(
            update(self.table)
            .where(self._column("id").in_(due.with_for_update(skip_locked=True)))
            .where(self._column("held_ms") <= tx.now_ms)
            .values(
                held_ms=tx.now_ms + self.lease_ms,
                fence=self._column("fence") + 1,
                attempt=self._column("attempt") + 1,
            )
            .returning(self.table)
            .execution_options(populate_existing=True)
        )
        return sorted(leased.scalars(), key=lambda row: cast("Any", getattr(row, self.order)))

    async def hold(self, tx: Tx, leased: Leased) -> bool:
        """Renew a lease; False if another process has the row."""
        return await self._write(tx, leased, held_ms=tx.now_ms + self.lease_ms)

    async def release(self, tx: Tx, leased: Leased) -> bool:
        """End a lease whose work was cancelled, so that another process may begin it at once."""
        return await self._write(tx, leased, held_ms=0)

    async def finish(self, tx: Tx, leased: Leased, **values: Any) -> bool:
        """End a lease and write `values`, after which the row is no longer owed; False if another process has it."""
        return await self._write(tx, leased, held_ms=0, **values)

    async def put_off(self, tx: Tx, leased: Leased, due_ms: int | None, **values: Any) -> bool:
        """End a lease and have the row delivered at `due_ms`; False if another process has it."""
        return await self._write(tx, leased, held_ms=0, due_ms=due_ms, **values)

    async def revive(self, tx: Tx, *where: ColumnElement[bool]) -> None:
        """Make rows that were put off due at once."""
        await tx.session.execute(
            update(self.table)
            .where(self.is_owed(self.table), self._column("due_ms") > tx.now_ms, self._column("attempt") > 0, *where)
            .values(due_ms=tx.now_ms)
        )

    def _free(self, now_ms: int) -> tuple[ColumnElement[bool], ...]:
        """The conditions on a row that may be leased now."""
        return (*_owed_in_turn(self), self._column("due_ms") <= now_ms, self._column("held_ms") <= now_ms)

    def _column(self, name: str) -> Any:
        return col(getattr(self.table, name))

    async def _write(self, tx: Tx, leased: Leased, **values: Any) -> bool:
        """Change a row if the lease is its newest one and has not ended."""
        result = await tx.session.execute(
            update(self.table)
            .where(self._column("id") == leased.id, self._column("fence") == leased.fence)
            .where(self._column("held_ms") > 0, self.is_owed(self.table))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return cast("CursorResult[Any]", result).rowcount == 1


@lru_cache(maxsize=16)
def _owed_in_turn(outbox: Outbox[Any]) -> tuple[ColumnElement[bool], ...]:
    """The conditions on a row that is owed and whose turn it is; making them takes longer than the query."""
    table, earlier = outbox.table, aliased(outbox.table)
    held_back = exists().where(
        *(getattr(earlier, name) == getattr(table, name) for name in outbox.channel),
        outbox.is_owed(earlier),
        outbox.is_ordered(earlier),
        getattr(earlier, outbox.order) < getattr(table, outbox.order),
    )
    return outbox.is_owed(table), or_(not_(outbox.is_ordered(table)), ~held_back)
