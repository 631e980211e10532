"""The database: one async engine, immediate transactions on SQLite, retries on what a retry mends."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from core.model.advice import DOCTOR
from core.model.errors import ConflictError, CountersignError, Kind, PermanentError, TransientError
from core.model.ids import NewId, new_id
from core.model.stored import StoredValueError
from core.store.unit_of_work import Tx, from_ms, to_ms

T = TypeVar("T")

BUSY_TIMEOUT_MS = 30_000
IDLE_TIMEOUT_MS = 15_000
"""Ours take milliseconds; a worker suspended in the middle of one must not keep its locks from its heirs (F26)."""
FULL_BYTES = 256 * 1024
"""A disk with less room than this is full: one page more may already need several."""
CONNECTIONS = {True: 8, False: 16}
"""How many connections a process keeps at most, on SQLite and on PostgreSQL."""
_TRIES = 6
_RETRYABLE_SQLSTATES = ("40001", "40P01", "08", "25P03", "57P01", "57P02", "57P03", "55P03")
_NOW = {
    # julianday rather than unixepoch('subsec'), which SQLite before 3.42 lacks
    "sqlite": "SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}


@dataclass(frozen=True, slots=True)
class Location:
    """Where the rows are: a SQLite file of one host, or a PostgreSQL database that hosts share."""

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
        """True when one host holds the rows in a file."""
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
        # SQLite has one writer at a time, and lets the others poll: ours line up here, which is fair and quick
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if location.is_sqlite else nullcontext()
        # a burst waits here for as long as it takes; the pool would give up after 30 s
        self._free = asyncio.Semaphore(CONNECTIONS[location.is_sqlite])

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that may write, and commit it."""
        return await self._run(work, self._turn, writes=True)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction that only reads."""
        return await self._run(work, nullcontext(), writes=False)

    async def _now_ms(self, session: AsyncSession) -> int:
        """The database's clock, which all hosts share, in UTC milliseconds."""
        row = await session.execute(text(_NOW[self.engine.dialect.name]))
        return int(row.scalar_one())

    async def close(self) -> None:
        """Give the connections back."""
        await _to_its_end(self.engine.dispose())

    async def _run(
        self, work: Callable[[Tx], Awaitable[T]], turn: AbstractAsyncContextManager[object], *, writes: bool
    ) -> T:
        return await _to_its_end(self._tried(work, turn, writes=writes))

    async def _tried(
        self, work: Callable[[Tx], Awaitable[T]], turn: AbstractAsyncContextManager[object], *, writes: bool
    ) -> T:
        for attempt in range(1, _TRIES + 1):
            try:
                async with turn:
                    return await self._once(work, writes=writes)
            except StoredValueError as error:
                mend = "Install the newer Countersign, or restore a backup made by this one."
                raise PermanentError("unreadable_row", str(error), mend, kind=Kind.UNAVAILABLE) from error
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


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` to its end even when the caller is cancelled: the driver's thread must not outlive the loop."""
    whole = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(whole)
    except asyncio.CancelledError:
        await asyncio.wait([whole])
        if not whole.cancelled():
            whole.exception()  # nobody is left to be told
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
    connection.isolation_level = None  # the driver must not begin for us: see begin_sqlite
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
    """``ok``, or what SQLite finds wrong with its file."""
    return str((await tx.session.execute(text("PRAGMA quick_check(1)"))).scalar_one())


def durable_engine(file: Path) -> Engine:
    """A blocking engine for the durable-execution library's own SQLite file, which sets neither WAL nor a timeout."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    return engine


def is_damaged(error: BaseException) -> bool:
    """True when SQLite says that a file is not, or no longer, a database."""
    return isinstance(error, DBAPIError) and any(said in str(error.orig).lower() for said in _DAMAGED)


def set_aside(file: Path) -> Path:
    """Move a damaged SQLite file, and what lies beside it, out of the way; returns where it is now."""
    aside = file.with_name(f"{file.name}.damaged")
    for suffix in ("-wal", "-shm", ""):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside


def driver_url(location: Location) -> str:
    """The address of a PostgreSQL location for libraries that connect by themselves."""
    return make_url(location.url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _retryable(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return any(state.startswith(prefix) for prefix in _RETRYABLE_SQLSTATES)
    return error.connection_invalidated or "database is locked" in str(error.orig)


def translated(error: DBAPIError, location: Location) -> CountersignError:
    """A database driver's error as a fault with a mend."""
    said = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    where = str(location.file) if location.file else "PostgreSQL"
    if isinstance(error, IntegrityError):
        return ConflictError("already_there", f"the database already has this row ({said})")
    for needle, code, mend in _MENDS:
        if needle in said.lower():
            return PermanentError(code, f"{where}: {said}", mend, kind=Kind.UNAVAILABLE)
    if "full" in said.lower() or "no space" in said.lower() or _is_full(location):
        return TransientError("disk_full", f"{where}: {said}", "Free some disk space; nothing was lost.")
    if isinstance(error, DataError):
        return PermanentError("unkeepable", f"{where} cannot hold this value", "Say it in plainer characters.")
    if isinstance(error, OperationalError):
        mend = "Is PostgreSQL running, and the address right?" if not location.file else "Try again."
        return TransientError("database_unavailable", f"{where}: {said}", mend)
    return PermanentError("database_error", f"{where}: {said}", DOCTOR)


_DAMAGED = ("malformed", "not a database")


def _is_full(location: Location) -> bool:
    """Whether the file's disk is full, which SQLite also calls an I/O error when it cannot make its shared memory."""
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
