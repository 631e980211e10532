"""The database: one async engine, immediate transactions on SQLite, and retries of transient errors."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from core.model.advice import DOCTOR
from core.model.errors import ConflictError, CountersignError, Kind, PermanentError, TransientError, unreadable_value
from core.model.ids import NewId, new_id
from core.model.stored import StoredValueError
from core.store.commit_watch import CommitWatch
from core.store.postgres_statements import PostgresStatements, PreparedStatement
from core.store.unit_of_work import Tx, from_ms, to_ms

T = TypeVar("T")

BUSY_TIMEOUT_MS = 30_000
IDLE_TIMEOUT_MS = 15_000
"""Transactions take milliseconds; a worker that is suspended in one must not keep its locks (F26)."""
FULL_BYTES = 256 * 1024
"""A disk with less free space counts as full, because writing one page may need several."""
CONNECTIONS = {True: 8, False: 16}
"""The most connections of a process, on SQLite (True) and on PostgreSQL."""
_TRIES = 6
_RETRYABLE_SQLSTATES = ("40001", "40P01", "08", "25P03", "57P01", "57P02", "57P03", "55P03")
_NOW = {
    # julianday rather than unixepoch('subsec'), which SQLite before 3.42 lacks
    "sqlite": "SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}


@dataclass(frozen=True, slots=True)
class Location:
    """Where the rows are: a SQLite file on one host, or a PostgreSQL database that hosts share."""

    url: str
    file: Path | None

    @classmethod
    def of(cls, database: str, state: Path) -> Location:
        """The location that countersign.yaml's `database` names; `sqlite` is a file under `state`."""
        if database == "sqlite":
            file = state / "countersign.sqlite"
            return cls(f"sqlite+aiosqlite:///{file}", file)
        url = make_url(database).set(drivername="postgresql+psycopg")
        return cls(url.render_as_string(hide_password=False), None)

    @property
    def is_sqlite(self) -> bool:
        """True for a SQLite file."""
        return self.file is not None


class Database:
    """Runs functions in transactions. `write` takes the write lock first; both end with the function.

    A function may be run again after a serialization failure or a lost connection, so it must have no
    effect but its statements.
    """

    def __init__(self, location: Location, new_id: NewId = new_id) -> None:
        self.location = location
        self._new_id = new_id
        self.engine = _engine(location)
        # SQLite has one writer at a time and lets others poll; a lock here is fair and faster
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if location.is_sqlite else nullcontext()
        # a burst waits here without a limit; the pool would fail after 30 s
        self._free = asyncio.Semaphore(CONNECTIONS[location.is_sqlite])
        self._single = None if location.is_sqlite else PostgresStatements(location.url)
        self.commits = CommitWatch(location.file)

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that may write, and commit it."""
        return await self._run(work, self._turn, writes=True)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that only reads."""
        return await self._run(work, nullcontext(), writes=False)

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
        """The database's clock, which all hosts share, in UTC milliseconds."""
        row = await session.execute(text(_NOW[self.engine.dialect.name]))
        return int(row.scalar_one())

    async def close(self) -> None:
        """Close all connections."""
        self.commits.close()
        if self._single is not None:
            await _to_its_end(self._single.close())
        await _to_its_end(self.engine.dispose())

    async def _run(
        self, work: Callable[[Tx], Awaitable[T]], turn: AbstractAsyncContextManager[object], *, writes: bool
    ) -> T:
        return await _to_its_end(self._tried(lambda: self._once(work, writes=writes), turn))

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

    async def _once(self, work: Callable[[Tx], Awaitable[T]], *, writes: bool) -> T:
        async with self._free, self.engine.connect() as connection:
            await connection.execution_options(countersign_writes=writes)
            async with AsyncSession(connection, expire_on_commit=False) as session, session.begin():
                return await work(Tx(session, await self._now_ms(session), self._new_id))


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


def _engine(location: Location) -> AsyncEngine:
    if not location.is_sqlite:
        return create_async_engine(
            location.url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_size=CONNECTIONS[False] // 2,
            max_overflow=CONNECTIONS[False] // 2,
            connect_args={"options": f"-c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS}"},
        )
    engine = create_async_engine(
        location.url,
        pool_size=CONNECTIONS[True] // 2,
        max_overflow=CONNECTIONS[True] // 2,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """WAL for readers beside a writer, FULL so that a committed decision survives a power loss (F23)."""
    connection.isolation_level = None  # the driver must not begin transactions: see begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin_sqlite(connection: Any) -> None:
    """Take the write lock before the first read: deferred read-then-write loses decisions (F21)."""
    writes = connection.get_execution_options().get("countersign_writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def quick_check(tx: Tx) -> str:
    """``ok``, or the damage that SQLite finds in its file."""
    return str((await tx.session.execute(text("PRAGMA quick_check(1)"))).scalar_one())


def durable_engine(file: Path) -> Engine:
    """A blocking engine for the durable-execution library's SQLite file; the library sets neither WAL nor a timeout."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    return engine


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


def driver_url(location: Location) -> str:
    """The URL of a PostgreSQL location, for libraries that connect themselves."""
    return make_url(location.url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


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
    "driver_url",
    "durable_engine",
    "from_ms",
    "is_damaged",
    "quick_check",
    "set_aside",
    "to_ms",
    "translated",
]
