"""A home's database as a file: creating it, bringing it to this program's schema, and which schema that is."""

from __future__ import annotations

from dataclasses import dataclass

from bot.configuration.home import Home
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
