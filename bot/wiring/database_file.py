"""A home's database: creates and migrates it, and notices if it is missing."""

from __future__ import annotations

from dataclasses import dataclass

from bot.configuration.home import Home
from core.model.errors import Kind, PermanentError
from core.store.database import Location
from core.store.migrate import HEAD, migrate


@dataclass(frozen=True, slots=True)
class MigrationOutcome:
    """The database's schema version, and whether it was migrated."""

    version: str
    changed: bool


def create_database(home: Home) -> None:
    """Create the SQLite database of a new home."""
    migrate(Location.of("sqlite", home.state))


def migrate_database(home: Home, database: str) -> MigrationOutcome:
    """Migrate the database that countersign.yaml's `database` names; raises `PermanentError`."""
    return MigrationOutcome(HEAD, migrate(Location.of(database, home.state)))


def schema_version() -> str:
    """The schema version of this program."""
    return HEAD


def check_not_lost(home: Home, location: Location) -> None:
    """Raise `PermanentError` if a used home has no database: creating a new one would hide the loss (F24)."""
    if location.file is None or location.file.exists():
        return
    traces = [
        path.name for path in (home.artifacts, home.git, location.file.with_name("engine.sqlite")) if path.exists()
    ]
    if traces:
        raise PermanentError(
            "database_missing",
            f"{location.file} is missing, but {home.state} has been used ({', '.join(traces)})",
            "Restore a backup, or start with an empty database: `countersign migrate`.",
            kind=Kind.UNAVAILABLE,
        )
