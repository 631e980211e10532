"""Backup and restore of a whole home on SQLite, as one file that is consistent even while the home is in use."""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from bot.configuration.config import load_config
from bot.configuration.home import CONFIG, LANES, POLICY, Home
from core.model.advice import DOCTOR
from core.model.errors import ConflictError, PermanentError, TransientError, UsageError
from core.model.turn import Actor

_DATABASES = ("countersign.sqlite", "engine.sqlite")
_SKIPPED = (*(f"{name}{end}" for name in _DATABASES for end in ("", "-wal", "-shm")), "serve.lock", "scratch")


def write_backup(home: Home, file: Path) -> int:
    """Write the backup; returns its size in bytes. Raises `UsageError` on PostgreSQL, which has its own tools."""
    home.check()
    if load_config(home.config).database != "sqlite":
        raise UsageError(
            "not_sqlite", "this home's database is PostgreSQL", "Back it up with pg_dump, and the home with tar."
        )
    if file.exists():
        raise ConflictError("exists", f"{file} already exists", "Name a new file.")
    if not file.absolute().parent.is_dir():
        raise UsageError("no_folder", f"{file.absolute().parent} is not a folder", "Name a file in an existing folder.")
    draft = file.with_name(f".{file.name}.part")
    try:
        with tempfile.TemporaryDirectory(dir=home.state) as scratch, tarfile.open(draft, "w:gz") as archive:
            # the databases first: the artifacts and objects that their rows name exist already and are never deleted
            for name in _DATABASES:
                if (home.state / name).exists():
                    archive.add(_copy(home.state / name, Path(scratch) / name), arcname=f"state/{name}")
            for part in (CONFIG, POLICY, LANES):
                archive.add(home.root / part, arcname=part)
            for entry in sorted(home.state.iterdir()):
                if entry.name not in _SKIPPED and entry != Path(scratch):
                    archive.add(entry, arcname=f"state/{entry.name}")
        draft.chmod(0o600)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return file.stat().st_size


def _copy(source: Path, target: Path) -> Path:
    """A consistent copy of a database in use (SQLite's online backup)."""
    try:
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
    except sqlite3.Error as error:
        raise TransientError("not_copied", f"{source} cannot be copied: {error}", DOCTOR) from error
    return target


async def read_backup(home: Home, file: Path) -> None:
    """Restore into a missing or empty directory, and pause the queue so that the operator can check first (F33)."""
    from bot.wiring.app import opened

    if home.root.exists() and any(home.root.iterdir()):
        raise ConflictError("home_exists", f"{home.root} is not empty", "Name a new directory with --home.")
    home.root.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(file, "r:gz") as archive:
            archive.extractall(home.root, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise PermanentError("bad_backup", f"{file} cannot be restored: {error}", "Use another backup.") from error
    home.state.chmod(0o700)
    async with opened(home) as app:
        reason = f"restored from {file.name}; compare with the forge, then resume"
        await app.queue_control.pause(Actor(is_operator=True), reason)
