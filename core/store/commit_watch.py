"""Notices whether anything was committed to a SQLite database, for microseconds instead of a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class CommitWatch:
    """A version that changes when anything is committed but by one connection, which is the one that it asks.

    That connection makes the periodic writes of this process, so that its loops do not look again because of them. See
    https://www.sqlite.org/pragma.html#pragma_data_version. PostgreSQL has nothing that costs as little.
    """

    _connection: sqlite3.Connection | None = None
    _opened: int = 0
    _uses: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the connection was opened."""
        return self._connection is not None

    def open(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        """Open the connection; the parameters are those of `sqlite3.Connection`."""
        self._opened += 1
        self._connection = sqlite3.Connection(*arguments, **options)
        return self._connection

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The connection is in use within the block: it may wait for a lock, and nothing is asked of it."""
        self._uses += 1
        try:
            yield
        finally:
            self._uses -= 1

    def version(self) -> tuple[int, int] | None:
        """The version, or None if it is not known: then anything may have been committed."""
        if self._connection is None or self._uses:
            return None
        try:
            return self._opened, int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:  # it is locked, or being replaced; a look at the database will say so
            return None
