"""The outbox protocol: rows that are owed to the outside, each leased to one process at a time until it is done.

Cards, notes, webhook deliveries and inbound deliveries keep their contents in tables of their own; how a row of any of
them is leased, renewed, released, finished and put off is written here once. A lease lasts `LEASE_MS` unless it is
renewed. Each lease has a new fence number, and a write under an older fence changes nothing: what a process does after
it lost its lease cannot release or finish what another process has begun.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from sqlalchemy import BigInteger, ColumnElement, CursorResult, exists, false, not_, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import Field, col, select

from core.store.tables import Row
from core.store.unit_of_work import Tx

LEASE_MS: Final = 60_000
"""How long a process has a row to itself; whoever works longer on it renews the lease before that."""


class LeaseColumns(Row):
    """What every leased table has beside its contents and its `due_ms`.

    A row is leased while `held_ms` lies in the future. `fence` is the number of its newest lease; `attempt` counts the
    leases since it last went through.
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
        """Whether `begin` would find a row; one look at an index."""
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
        """Renew a lease; False when another process has the row."""
        return await self._write(tx, leased, held_ms=tx.now_ms + self.lease_ms)

    async def release(self, tx: Tx, leased: Leased) -> bool:
        """End a lease whose work was given up, so that another process may begin it at once."""
        return await self._write(tx, leased, held_ms=0)

    async def finish(self, tx: Tx, leased: Leased, **values: Any) -> bool:
        """End a lease and write `values`, after which the row is owed no longer; False when another has the row."""
        return await self._write(tx, leased, held_ms=0, **values)

    async def put_off(self, tx: Tx, leased: Leased, due_ms: int | None, **values: Any) -> bool:
        """End a lease and have the row delivered at `due_ms`; False when another process has the row."""
        return await self._write(tx, leased, held_ms=0, due_ms=due_ms, **values)

    async def revive(self, tx: Tx, *where: ColumnElement[bool]) -> None:
        """Make rows due at once that were put off."""
        await tx.session.execute(
            update(self.table)
            .where(self.is_owed(self.table), self._column("due_ms") > tx.now_ms, self._column("attempt") > 0, *where)
            .values(due_ms=tx.now_ms)
        )

    def _free(self, now_ms: int) -> tuple[ColumnElement[bool], ...]:
        """The conditions on a row that may be leased now."""
        earlier = aliased(self.table)
        held_back = exists().where(
            *(getattr(earlier, name) == self._column(name) for name in self.channel),
            self.is_owed(earlier),
            self.is_ordered(earlier),
            getattr(earlier, self.order) < self._column(self.order),
        )
        return (
            self.is_owed(self.table),
            self._column("due_ms") <= now_ms,
            self._column("held_ms") <= now_ms,
            or_(not_(self.is_ordered(self.table)), ~held_back),
        )

    def _column(self, name: str) -> Any:
        return col(getattr(self.table, name))

    async def _write(self, tx: Tx, leased: Leased, **values: Any) -> bool:
        """Change a row if the lease is its newest one and did not end."""
        done = await tx.session.execute(
            update(self.table)
            .where(self._column("id") == leased.id, self._column("fence") == leased.fence)
            .where(self._column("held_ms") > 0, self.is_owed(self.table))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return cast("CursorResult[Any]", done).rowcount == 1
