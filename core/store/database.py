"""The database: one async engine, immediate transactions on SQLite, and retries of transient errors."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from core.model.advice import DOCTOR
from core.model.errors import ConflictError, CountersignError, Kind, PermanentError, TransientError, unreadable_value
from core.model.ids import NewId, new_id
from core.model.stored import StoredValueError
from core.store.commit_watch import CommitWatch
from core.store.engines import (
    CONNECTIONS,
    Location,
    engine_of,
    watched_engine,
)
from core.store.postgres_statements import PostgresStatements, PreparedStatement
from core.store.unit_of_work import Tx, from_ms, to_ms

T = TypeVar("T")

FULL_BYTES = 256 * 1024
"""A disk with less free space counts as full, because writing one page may need several."""
_TRIES = 6
_RETRYABLE_SQLSTATES = ("40001", "40P01", "08", "25P03", "57P01", "57P02", "57P03", "55P03")
_POSTGRES_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)")


class Database:
    """Runs functions in transactions. `write` takes the write lock first; both end with the function.

    A function may be run again after a serialization failure or a lost connection, so it must have no
    effect but its statements.
    """

    def __init__(self, location: Location, new_id: NewId = new_id) -> None:
        self.location = location
        self._new_id = new_id
        self.engine = engine_of(location)
        self._commits = CommitWatch()
        self._quiet = watched_engine(location, self._commits) if location.is_sqlite else None
        # SQLite has one writer at a time and lets others poll; a lock here is fair and faster
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if location.is_sqlite else nullcontext()
        # a burst waits here without a limit; the pool would fail after 30 s
        self._free = asyncio.Semaphore(CONNECTIONS[location.is_sqlite])
        self._single = None if location.is_sqlite else PostgresStatements(location.url)

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that may write, and commit it."""
        return await self._run(work, self._turn, writes=True)

    async def write_quietly(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` like `write`, but `committed` does not change: for what no loop of this process looks for."""
        if self._quiet is None:
            return await self.write(work)
        return await self._run(work, self._turn, writes=True, engine=self._quiet)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that only reads."""
        return await self._run(work, nullcontext(), writes=False)

    async def committed(self) -> tuple[int, int] | None:
        """A version that changes when any process commits, but for the quiet writes of this one.

        None if it is not known, as always on PostgreSQL: then anything may have been committed.
        """
        if self._quiet is None:
            return None
        if not self._commits.is_open:
            try:
                with self._commits.in_use():
                    await _to_its_end(_opened(self._quiet))
            except DBAPIError:  # a look at the database will say what is wrong
                return None
        return self._commits.version()

    async def write_first_row(
        self, prepared: PreparedStatement, values: Mapping[str, Any] | None = None, lock: int | None = None
    ) -> Mapping[str, Any] | None:
        """Run one statement that writes, in a transaction of its own; its first row by column, or None.

        `values` replace those of some parameters. On PostgreSQL `lock` is an advisory lock for that transaction; SQLite
        has one writer at a time anyway.
        """
        single = self._single
        if single is None:
            return await self.write(lambda tx: _first_row(tx, prepared, values))
        return await self._tried(lambda: single.first_row(prepared, values, lock), nullcontext())

    async def _now_ms(self, session: AsyncSession) -> int:
        """The database's clock, which all hosts share, in UTC milliseconds.

        SQLite is a library in this process, and its clock is this host's, so that it need not be asked.
        """
        if self.location.is_sqlite:
            await session.connection()  # begins the transaction, which may wait for the write lock
            return time.time_ns() // 1_000_000
        return int((await session.execute(_POSTGRES_NOW)).scalar_one())

    async def close(self) -> None:
        """Close all connections."""
        if self._quiet is not None:
            await _to_its_end(self._quiet.dispose())
        if self._single is not None:
            await _to_its_end(self._single.close())
        await _to_its_end(self.engine.dispose())

    async def _run(
        self,
        work: Callable[[Tx], Awaitable[T]],
        turn: AbstractAsyncContextManager[object],
        *,
        writes: bool,
        engine: AsyncEngine | None = None,
    ) -> T:
        return await _to_its_end(self._tried(lambda: self._once(work, engine or self.engine, writes=writes), turn))

    async def _tried(self, once: Callable[[], Awaitable[T]], turn: AbstractAsyncContextManager[object]) -> T:
        for attempt in range(1, _TRIES + 1):
            try:
                async with turn:
                    return await once()
            except StoredValueError as error:
                raise unreadable_value(error) from error
            except DBAPIError as error:
                if attempt == _TRIES or not _retryable(error):
                    raise translated(error, self.location) from error
                await asyncio.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311 (jitter)
        raise AssertionError

    async def _once(self, work: Callable[[Tx], Awaitable[T]], engine: AsyncEngine, *, writes: bool) -> T:
        with self._commits.in_use() if engine is self._quiet else nullcontext():
            async with self._free, engine.connect() as connection:
                await connection.execution_options(countersign_writes=writes)
                async with AsyncSession(connection, expire_on_commit=False) as session, session.begin():
                    return await work(Tx(session, await self._now_ms(session), self._new_id))


async def _opened(engine: AsyncEngine) -> None:
    async with engine.connect():
        pass


async def _first_row(tx: Tx, prepared: PreparedStatement, values: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    row = (await tx.session.execute(prepared.statement, dict(values or {}))).mappings().first()
    return dict(row) if row is not None else None


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Finish `work` even if the caller is cancelled, because the driver's thread must not outlive the loop."""
    whole = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(whole)
    except asyncio.CancelledError:
        await asyncio.wait([whole])
        if not whole.cancelled():
            whole.exception()  # retrieve the exception so that asyncio does not warn
        raise


async def quick_check(tx: Tx) -> str:
    """``ok``, or the damage that SQLite finds in its file."""
    return str((await tx.session.execute(text("PRAGMA quick_check(1)"))).scalar_one())


def is_damaged(error: BaseException) -> bool:
    """True if SQLite reports that a file is not, or no longer, a database."""
    return isinstance(error, DBAPIError) and any(phrase in str(error.orig).lower() for phrase in _DAMAGED)


def set_aside(file: Path) -> Path:
    """Rename a damaged SQLite file and the files that belong to it; returns its new path."""
    aside = file.with_name(f"{file.name}.damaged")
    for suffix in ("-wal", "-shm", ""):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside


def _retryable(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return any(state.startswith(prefix) for prefix in _RETRYABLE_SQLSTATES)
    return error.connection_invalidated or "database is locked" in str(error.orig)


def translated(error: DBAPIError, location: Location) -> CountersignError:
    """The error of a database driver as a `CountersignError` that says what to do."""
    message = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    where = str(location.file) if location.file else "PostgreSQL"
    if isinstance(error, IntegrityError):
        return ConflictError("already_there", f"the database already has this row ({message})")
    for needle, code, mend in _MENDS:
        if needle in message.lower():
            return PermanentError(code, f"{where}: {message}", mend, kind=Kind.UNAVAILABLE)
    if "full" in message.lower() or "no space" in message.lower() or _is_full(location):
        return TransientError("disk_full", f"{where}: {message}", "Free some disk space; nothing was lost.")
    if isinstance(error, DataError):
        return PermanentError("unkeepable", f"{where} cannot hold this value", "Use plainer characters.")
    if isinstance(error, OperationalError):
        mend = "Is PostgreSQL running, and the address right?" if not location.file else "Try again."
        return TransientError("database_unavailable", f"{where}: {message}", mend)
    return PermanentError("database_error", f"{where}: {message}", DOCTOR)


_DAMAGED = ("malformed", "not a database")


def _is_full(location: Location) -> bool:
    """Whether the file's disk is full; SQLite may report an I/O error instead, for want of shared memory."""
    try:
        return location.file is not None and shutil.disk_usage(location.file.parent).free < FULL_BYTES
    except OSError:
        return False


_MENDS = (
    ("readonly", "read_only", "Make the home directory writable, or run as its owner."),
    ("read-only", "read_only", "Make the home directory writable, or run as its owner."),
    ("unable to open", "cannot_open", "Check that the home's state directory exists and is writable."),
    ("malformed", "database_corrupt", "Move it aside and restore a backup; it was not changed."),
    ("not a database", "database_corrupt", "Move it aside and restore a backup; it was not changed."),
)

__all__ = [
    "Database",
    "Location",
    "from_ms",
    "is_damaged",
    "quick_check",
    "set_aside",
    "to_ms",
    "translated",
]
