"""Where the rows are, and the engines that connect to them: WAL and immediate transactions on SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.store.commit_watch import CommitWatch

BUSY_TIMEOUT_MS = 30_000
IDLE_TIMEOUT_MS = 15_000
"""Transactions take milliseconds; a worker that is suspended in one must not keep its locks (F26)."""
CONNECTIONS = {True: 8, False: 16}
"""The most connections of a process, on SQLite (True) and on PostgreSQL."""


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


def engine_of(location: Location) -> AsyncEngine:
    """The engine of a location."""
    if not location.is_sqlite:
        return create_async_engine(
            location.url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_size=CONNECTIONS[False] // 2,
            max_overflow=CONNECTIONS[False] // 2,
            connect_args={"options": f"-c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS}"},
        )
    return _sqlite_engine(location, pool_size=CONNECTIONS[True] // 2, max_overflow=CONNECTIONS[True] // 2)


def watched_engine(location: Location, commits: CommitWatch) -> AsyncEngine:
    """An engine with one connection, which `commits` opens and asks from another thread."""
    options = {"factory": commits.open, "check_same_thread": False}
    return _sqlite_engine(location, options, pool_size=1, max_overflow=0)


def _sqlite_engine(location: Location, options: Mapping[str, Any] | None = None, **pool: int) -> AsyncEngine:
    connect_args = {"timeout": BUSY_TIMEOUT_MS / 1000, **(options or {})}
    engine = create_async_engine(location.url, connect_args=connect_args, **pool)
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


def durable_engine(file: Path) -> Engine:
    """A blocking engine for the durable-execution library's SQLite file; the library sets neither WAL nor a timeout."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    return engine


def driver_url(location: Location) -> str:
    """The URL of a PostgreSQL location, for libraries that connect themselves."""
    return make_url(location.url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
