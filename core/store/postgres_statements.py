"""Single statements on PostgreSQL, each in one round trip.

A claim is one statement. Through a session it takes four round trips: the check of the connection, BEGIN, the clock
and COMMIT beside it. Here it is sent alone, prepared, on a connection that commits by itself. One that has to wait for
a lock is sent behind it in the same query, which the server runs as one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Executable, literal_column, make_url
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from psycopg import AsyncConnection

POSTGRES_NOW_MS: Final = literal_column("CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)", BigInteger)
"""The server's clock when the statement began; nothing can be looked up in an index by a time that moves."""

_OPTIONS: Final = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"
"""Each statement is planned once; its plan must use indexes also if the tables were empty then."""

_MOST_NAMED: Final = 8
"""How many statements that wait for a lock stay prepared on a connection: each worker has one at a time."""


@cache
def _dialect() -> Any:
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg  # noqa: PLC0415 - SQLite homes do without

    return PGDialect_psycopg()  # type: ignore[no-untyped-call]


@cache
def _numbered() -> Any:
    """The dialect that writes parameters as PREPARE takes them, as $1."""
    from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg  # noqa: PLC0415 - as above

    return PGDialect_asyncpg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class PreparedStatement:
    """A statement in the words of one dialect; `statement` is what it was made from."""

    statement: Executable
    text: str
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, statement: Any) -> PreparedStatement:
        """Compile `statement` once, with the values of its parameters."""
        compiled = statement.compile(dialect=_dialect(), compile_kwargs={"render_postcompile": True})
        return cls(statement, str(compiled), dict(compiled.params))

    def numbered(self) -> tuple[str, list[Any]]:
        """The text with numbers in place of the names of its parameters, and their values by number."""
        statement: Any = self.statement
        compiled = statement.compile(dialect=_numbered(), compile_kwargs={"render_postcompile": True})
        return str(compiled), [compiled.params[name] for name in compiled.positiontup]


@dataclass(frozen=True, slots=True)
class _BehindLock:
    """A query that waits for a lock and then runs `prepared`, which has this name on one connection."""

    prepared: PreparedStatement
    name: str
    query: str


@dataclass(slots=True)
class _Connection:
    """A connection, and what it has prepared to run behind a lock, by the lock and the statement's identity."""

    driver: AsyncConnection[Any]
    _named: dict[tuple[int, int], _BehindLock] = field(default_factory=dict)
    _names: int = 0

    async def first_row(self, statement: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        cursor = await self.driver.execute(statement, parameters)
        return await cursor.fetchone()

    async def first_row_behind(self, lock: int, prepared: PreparedStatement) -> Mapping[str, Any] | None:
        """Wait for `lock` and run the statement, in one query: its snapshot is taken once the lock is held."""
        named = self._named.get((lock, id(prepared))) or await self._prepare(lock, prepared)
        cursor = await self.driver.execute(named.query, prepare=False)
        cursor.nextset()
        return await cursor.fetchone()

    async def _prepare(self, lock: int, prepared: PreparedStatement) -> _BehindLock:
        from psycopg import sql  # noqa: PLC0415 (as below)

        while len(self._named) >= _MOST_NAMED:
            oldest = self._named.pop(next(iter(self._named)))
            await self.driver.execute(f"DEALLOCATE {oldest.name}", prepare=False)
        self._names += 1
        name = f"countersign_{self._names}"
        text, values = prepared.numbered()
        await self.driver.execute(f"PREPARE {name} AS {text}", prepare=False)
        query = sql.SQL("SELECT pg_advisory_xact_lock({}); EXECUTE {}({})").format(
            sql.Literal(lock), sql.Identifier(name), sql.SQL(", ").join(map(sql.Literal, values))
        )
        named = self._named[lock, id(prepared)] = _BehindLock(prepared, name, query.as_string(self.driver))
        return named


@dataclass(slots=True)
class PostgresStatements:
    """Connections for single statements; each is used by one caller at a time."""

    url: str
    _idle: list[_Connection] = field(default_factory=list)

    async def first_row(
        self, prepared: PreparedStatement, values: Mapping[str, Any] | None, lock: int | None
    ) -> Mapping[str, Any] | None:
        """Run the statement in a transaction of its own; its first row by column, or None if there is none.

        `values` replace those of some parameters, of a statement without `lock`. With it the transaction waits for the
        advisory lock of that number before the statement begins, and so sees what others did under it. Raises
        `OperationalError` if the server cannot be reached.
        """
        from psycopg import Error  # noqa: PLC0415 (as below: a home on SQLite never needs it)

        connection = None
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            if lock is None:
                row = await connection.first_row(prepared.text, {**prepared.parameters, **(values or {})})
            else:
                assert not values
                row = await connection.first_row_behind(lock, prepared)
        except Error as error:
            if connection is not None:
                await connection.driver.close()
            raise OperationalError(prepared.text, None, error, connection_invalidated=connection is not None) from error
        except BaseException:
            if connection is not None:
                await connection.driver.close()
            raise
        self._idle.append(connection)
        return row

    async def close(self) -> None:
        """Close all connections."""
        while self._idle:
            await self._idle.pop().driver.close()

    async def _connect(self) -> _Connection:
        from psycopg import AsyncConnection  # noqa: PLC0415
        from psycopg.rows import dict_row  # noqa: PLC0415

        url = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        return _Connection(
            await AsyncConnection.connect(
                url, autocommit=True, prepare_threshold=0, row_factory=dict_row, options=_OPTIONS
            )
        )
