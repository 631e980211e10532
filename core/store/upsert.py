"""The INSERT of the database in use, which can skip rows that are there already.

A SQLite home does not import PostgreSQL's dialect, which would take several MiB of an idle server's memory.
"""

from __future__ import annotations

from typing import Any

from sqlmodel import SQLModel

from core.store.unit_of_work import Tx


def insert_into(tx: Tx, table: type[SQLModel]) -> Any:
    """An INSERT into `table` that can skip or change a row that is there, in the same way on both databases."""
    if tx.session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - see above

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - see above

    return sqlite.insert(table)
