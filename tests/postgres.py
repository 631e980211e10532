"""A private PostgreSQL for the tests: one cluster a process on a socket of its own, a fresh database for every test.

The server runs as another user where the tests run as root, because PostgreSQL refuses root. It gives up
durability for speed: what must survive a power loss is tested on SQLite, whose files are ours.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.memory import folder_in_memory

MISSING = "PostgreSQL's server programs are not here: install the Debian package `postgresql`"
_USER = "countersign"
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_QUIET = ("listen_addresses=", "max_connections=200", "shared_buffers=32MB", "log_min_messages=fatal", "jit=off")
_SMALL = ("wal_level=minimal", "max_wal_senders=0", "min_wal_size=32MB", "max_wal_size=64MB", "autovacuum=off")
ROOM_MIB = 1024
"""What must be free in memory for a server's files to lie there; one takes about 150 MiB."""


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, of the newest version where there are several; None when there is none."""
    on_path = shutil.which("pg_ctl")
    if on_path is not None and shutil.which("initdb") is not None:
        return Path(on_path).resolve().parent
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name.split(".")[0]), default=None)


@dataclass(slots=True)
class Cluster:
    """A running server; `database` makes databases in it."""

    socket: Path
    control: Callable[..., None]
    _names: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, name: str) -> str:
        """The address of a database, as countersign.yaml would name it."""
        return f"postgresql://{_USER}@/{name}?host={self.socket}"

    def create(self, *, template: str = "template1") -> str:
        """Make a database like `template`, and return its name."""
        name = f"t{next(self._names)}"
        with self._server() as connection:
            newer = connection.info.server_version >= 150000  # older ones copy files anyway; through the log is slower
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + (" STRATEGY FILE_COPY" if newer else ""))
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        """Remove a database even when clients are connected to it."""
        with self._server() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        """End the server under its clients: open transactions are lost, what was committed is not."""
        self.control("-m", "fast", "stop")  # an immediate stop would lose commits, because of `_FAST`

    def start(self) -> None:
        """Start the server, again or for the first time, and wait until it answers."""
        self.control("start")

    def _server(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("postgres"), autocommit=True)


@contextmanager
def cluster(*, in_memory: bool = False) -> Iterator[Cluster]:
    """Start a server for the length of the block; raises `FileNotFoundError` when it is not installed.

    Where there is room for its files `in_memory`, a database is made there several times as fast.
    """
    found = programs()
    if found is None:
        raise FileNotFoundError(MISSING)
    # not under pytest's own folder: a socket's path may have 107 bytes, and the server's user must reach it
    home = Path(tempfile.mkdtemp(prefix="countersign-pg-", dir=folder_in_memory(ROOM_MIB) if in_memory else None))
    data = home / "data"
    user = _server_user()
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)
    settings = " ".join(f"-c {setting}" for setting in (*_FAST, *_QUIET, *_SMALL, f"unix_socket_directories={home}"))
    try:
        _run(user, home, found / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        control = partial(_run, user, home, found / "pg_ctl", "-D", data, "-l", home / "log", "-o", settings, "-w")
        running = Cluster(home, control)
        with _ended_with_us(user, home, found / "pg_ctl", data):
            running.start()
            try:
                yield running
            finally:
                running.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _server_user() -> pwd.struct_passwd | None:
    """Who runs the server: ourselves (None), or where we are root the user that PostgreSQL's package made."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


@contextmanager
def _ended_with_us(user: pwd.struct_passwd | None, home: Path, control: Path, data: Path) -> Iterator[None]:
    """End the server and remove what it leaves even when we are killed: the watcher's input ends with us."""
    script = 'cat >/dev/null; "$0" -D "$1" -m immediate stop; rm -rf "$2"'
    watcher = subprocess.Popen(
        ["sh", "-c", script, str(control), str(data), str(home)],
        cwd="/",
        **_as(user),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watcher.communicate(timeout=60)


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """How `subprocess` runs something as `user`, with no more of our environment than it needs."""
    environment = {"env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}}
    if user is None:
        return environment
    return {**environment, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(user: pwd.struct_passwd | None, directory: Path, *argv: object) -> None:
    with tempfile.TemporaryFile() as said:  # a file: the server inherits it, and a pipe would never end
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=directory,
            **_as(user),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            check=False,
            timeout=60,
        )
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{argv[0]} ended with {done.returncode}: {said.read().decode()}")
