"""Notices whether anything was committed to a SQLite database, for microseconds instead of a transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class CommitWatch:
    """A number that changes when any process commits to the database; without a `file` there is none.

    See https://www.sqlite.org/pragma.html#pragma_data_version. PostgreSQL has nothing that costs as little.
    """

    file: Path | None
    _connection: sqlite3.Connection | None = None

    def version(self) -> int | None:
        """The number, or None if it is not known: then anything may have been committed."""
        if self.file is None:
            return None
        try:
            if self._connection is None:
                uri = f"{self.file.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(uri, uri=True, timeout=0, check_same_thread=False)
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:  # it is locked, or being replaced; a look at it will say so
            self.close()
            return None

    def close(self) -> None:
        """Close the connection that the number comes from."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
