"""The unit of work: one transaction with its clock and its ids, and the decorators that run a method in one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from sqlmodel.ext.asyncio.session import AsyncSession

from core.model.ids import NewId


def to_ms(at: datetime) -> int:
    """`at` as UTC milliseconds since the epoch."""
    return round(at.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """The aware UTC time of `ms` milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


S = TypeVar("S", bound="HasDatabase")
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tx:
    """One open transaction.

    `now_ms` is the database's clock when the transaction began, in UTC milliseconds, the same for all that it writes.
    `new_id` makes ids that sort by time; its argument is the prefix.
    """

    session: AsyncSession
    now_ms: int
    new_id: NewId

    @property
    def now(self) -> datetime:
        """`now_ms` as an aware UTC time."""
        return from_ms(self.now_ms)


class RunsTransactions(Protocol):
    """Runs a function in one transaction (see `core.store.database.Database`)."""

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that may write, and commit it."""

    async def write_quietly(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that may write, for what no loop of this process looks for."""

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that only reads."""


class HasDatabase(Protocol):
    """A class whose methods are transactions."""

    @property
    def database(self) -> RunsTransactions:
        """The database that they run on."""


def writes(
    method: Callable[Concatenate[S, Tx, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run `method` in one transaction that may write and that is committed when it returns.

    The method may run again after a serialization failure, so it must have no effects but its statements.
    """

    @wraps(method)
    async def run(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.write(lambda tx: method(self, tx, *args, **kwargs))

    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, T]]", run)


def writes_quietly(
    method: Callable[Concatenate[S, Tx, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run `method` like one that `writes`; the idle loops of this process do not look because of it.

    For what is written again and again while nothing happens, such as a heartbeat.
    """

    @wraps(method)
    async def run(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.write_quietly(lambda tx: method(self, tx, *args, **kwargs))

    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, T]]", run)


def reads(method: Callable[Concatenate[S, Tx, P], Awaitable[T]]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run `method` in one transaction that only reads."""

    @wraps(method)
    async def run(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.read(lambda tx: method(self, tx, *args, **kwargs))

    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, T]]", run)
