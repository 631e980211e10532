"""A home's database as a file: creating it, bringing it to this program's schema, and noticing that it is gone."""

from __future__ import annotations

from dataclasses import dataclass

from bot.configuration.home import Home
from core.model.errors import Kind, PermanentError
from core.store.database import Location
from core.store.migrate import HEAD, migrate


@dataclass(frozen=True, slots=True)
class MigrationOutcome:
    """The schema that the database is at, and whether it was at an older one."""

    version: str
    changed: bool


def create_database(home: Home) -> None:
    """Create the SQLite database of a new home."""
    migrate(Location.of("sqlite", home.state))


def migrate_database(home: Home, database: str) -> MigrationOutcome:
    """Bring the database that countersign.yaml's `database` names to this program's schema; raises `PermanentError`."""
    return MigrationOutcome(HEAD, migrate(Location.of(database, home.state)))


def schema_version() -> str:
    """The schema that this program speaks."""
    return HEAD


def check_not_lost(home: Home, location: Location) -> None:
    """Raise `PermanentError` when a home that has been used lost its database: a new one would hide the loss (F24)."""
    if location.file is None or location.file.exists():
        return
    traces = [
        path.name for path in (home.artifacts, home.git, location.file.with_name("engine.sqlite")) if path.exists()
    ]
    if traces:
        raise PermanentError(
            "database_missing",
            f"{location.file} is gone, though {home.state} has been worked in ({', '.join(traces)})",
            "Restore a backup; or begin with an empty database: `countersign migrate`.",
            kind=Kind.UNAVAILABLE,
        )
