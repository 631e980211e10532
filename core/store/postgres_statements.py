"""Single statements on PostgreSQL, each in one round trip.

A claim is one statement. Through a session it takes four round trips: the check of the connection, BEGIN, the clock
and COMMIT beside it. Here it is sent alone, prepared, on a connection that commits by itself.
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


@cache
def _dialect() -> Any:
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg  # noqa: PLC0415 - SQLite homes do without

    return PGDialect_psycopg()  # type: ignore[no-untyped-call]


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


@dataclass(slots=True)
class PostgresStatements:
    """Connections for single statements; each is used by one caller at a time."""

    url: str
    _idle: list[AsyncConnection[Any]] = field(default_factory=list)

    async def first_row(
        self, prepared: PreparedStatement, values: Mapping[str, Any] | None, lock: int | None
    ) -> Mapping[str, Any] | None:
        """Run the statement in a transaction of its own; its first row by column, or None if there is none.

        `values` replace those of some parameters. With `lock` the transaction waits for the advisory lock of that
        number before the statement begins, and so sees what others did under it. Raises `OperationalError` if the
        server cannot be reached.
        """
        from psycopg import Error  # noqa: PLC0415 (as below: a home on SQLite never needs it)

        connection = None
        parameters = {**prepared.parameters, **values} if values else prepared.parameters
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            row = await _run(connection, prepared.text, parameters, lock)
        except Error as error:
            if connection is not None:
                await connection.close()
            raise OperationalError(prepared.text, None, error, connection_invalidated=connection is not None) from error
        except BaseException:
            if connection is not None:
                await connection.close()
            raise
        self._idle.append(connection)
        return row

    async def close(self) -> None:
        """Close all connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _connect(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection  # noqa: PLC0415
        from psycopg.rows import dict_row  # noqa: PLC0415

        url = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        return await AsyncConnection.connect(
            url, autocommit=True, prepare_threshold=0, row_factory=dict_row, options=_OPTIONS
        )


async def _run(
    connection: AsyncConnection[Any], statement: str, parameters: Mapping[str, Any], lock: int | None
) -> Mapping[str, Any] | None:
    if lock is None:
        cursor = await connection.execute(statement, parameters)
        return await cursor.fetchone()
    async with connection.pipeline():  # both statements are one transaction and one round trip
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
        cursor = await connection.execute(statement, parameters)
        return await cursor.fetchone()
