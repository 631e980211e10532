"""The version of the schema: an older one is migrated, a newer one is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from sqlalchemy import create_engine, event, inspect, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from core.model.errors import Kind, PermanentError
from core.store.database import Location, translated
from core.store.engines import begin_sqlite

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0026"
"""The schema version of this program; a test compares it with the newest file of `migrations/versions`."""

_ADVISORY_LOCK = 0x636F756E74657273  # "counters": one migrator at a time on PostgreSQL


def migrations_directory() -> Path:
    """Where the migrations are: beside this file in an installed wheel, else in the checkout."""
    shipped = Path(__file__).parent / "migrations"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "migrations"


def current_version(location: Location) -> str | None:
    """The version of the database, or None if it is empty or does not exist yet."""
    if location.file and not location.file.exists():
        return None
    with _connection(location) as connection:
        return _version(connection.execution_options(countersign_writes=False))


def migrate(location: Location) -> bool:
    """Bring the database to `HEAD`; True if it changed anything.

    Raises `PermanentError` if the database is newer than this program, or is a file that lost its content.
    """
    if location.file is None:
        return _migrate(location)
    if current_version(location) == HEAD:  # the common case needs no lock and no Alembic
        return False
    try:
        location.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(location.file.with_suffix(".migrating")):
            return _migrate(location) if location.file.exists() else _create(location.file)
    except OSError as error:
        raise PermanentError(
            "read_only",
            f"{location.file.parent}: {error.strerror}",
            "Make the home directory writable, or run as its owner.",
            kind=Kind.UNAVAILABLE,
        ) from error


def _create(file: Path) -> bool:
    """Create a database under another name and rename it, so that an empty file is never an unfinished new one."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    _migrate(Location(f"sqlite+aiosqlite:///{new}", new))
    new.replace(file)
    return True


def _migrate(location: Location) -> bool:
    if location.file and location.file.exists() and not location.file.stat().st_size:
        raise PermanentError(
            "database_empty",
            f"{location.file} has 0 bytes, so its content is lost",
            "Restore a backup; or, if the database was never used, delete the file.",
            kind=Kind.UNAVAILABLE,
        )
    with _connection(location) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        version = _version(connection)
        if version == HEAD:
            return False
        if version is not None and version not in _known_versions():
            raise PermanentError(
                "database_newer",
                f"the database is at version {version}, which this Countersign (schema {HEAD}) does not know",
                "Install the newer Countersign, or restore a backup made by this one.",
                kind=Kind.UNAVAILABLE,
            )
        _upgrade(connection)
        connection.commit()
    return True


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 (slow to import and rarely needed)

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file."""
    from alembic.config import Config  # noqa: PLC0415 (slow to import and rarely needed)

    config = Config()
    config.set_main_option("script_location", str(migrations_directory()))
    return config


def _known_versions() -> set[str]:
    return {file.name.split("_")[0] for file in (migrations_directory() / "versions").glob("[0-9]*.py")}


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(version) if version else None


@contextmanager
def _connection(location: Location) -> Iterator[Any]:
    driver = "sqlite" if location.is_sqlite else "postgresql+psycopg"
    engine = create_engine(make_url(location.url).set(drivername=driver))
    if location.is_sqlite:  # its driver commits before every CREATE TABLE, which leaves half a schema after a crash
        event.listen(engine, "connect", _disable_driver_transactions)
        event.listen(engine, "begin", begin_sqlite)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise translated(error, location) from error
    finally:
        engine.dispose()


def _disable_driver_transactions(connection: Any, _record: object) -> None:
    connection.isolation_level = None
