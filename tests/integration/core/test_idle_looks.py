"""Idle looks: loops that found nothing do not ask again until something is committed, by whichever process."""

from __future__ import annotations

import sqlite3

import pytest

from core.services.idle_looks import IdleLooks
from core.store import switches
from core.store.commit_watch import CommitWatch
from core.store.database import Database


class Loop:
    """A loop that finds what it is told to find, and counts its looks."""

    def __init__(self, database: Database, longest_s: float) -> None:
        self.idle, self.looks, self.finds = IdleLooks(database, longest_s), 0, False

    async def round(self) -> bool:
        async def look() -> bool:
            self.looks += 1
            return self.finds

        return bool(await self.idle.unless_idle(look))


async def commit(database: Database) -> None:
    await database.write(lambda tx: switches.set_value(tx, "surface.test", {"up": True}))


@pytest.fixture
def loop(database: Database) -> Loop:
    return Loop(database, 3600.0)  # so that a slow machine does not count as time that passed


async def test_a_look_that_found_nothing_is_not_repeated_while_nothing_is_committed(loop, database):
    for _ in range(5):
        await loop.round()
    assert loop.looks == (1 if database.location.is_sqlite else 5)


async def test_a_commit_of_this_process_is_looked_at(loop, database):
    await loop.round()
    await commit(database)
    await loop.round()
    assert loop.looks == 2


async def test_a_commit_of_another_process_is_looked_at(loop, database):
    if database.location.file is None:
        pytest.skip("PostgreSQL: every look is made")
    await loop.round()
    with sqlite3.connect(database.location.file) as other:
        other.execute("UPDATE settings SET updated_ms = updated_ms")
        other.execute("INSERT INTO settings (name, value, updated_ms) VALUES ('other', '{}', 0)")
    other.close()
    await loop.round()
    assert loop.looks == 2


async def test_a_commit_during_a_look_is_looked_at(loop, database):
    idle, looks = loop.idle, []

    async def look() -> bool:
        looks.append(1)
        if len(looks) == 1:
            await commit(database)
        return False

    await idle.unless_idle(look)
    await idle.unless_idle(look)
    assert len(looks) == 2


async def test_a_look_that_found_something_is_followed_by_another(loop):
    loop.finds = True
    await loop.round()
    await loop.round()
    assert loop.looks == 2


async def test_a_look_is_made_in_any_case_after_a_while(database):
    loop = Loop(database, 0.0)
    await loop.round()
    await loop.round()
    assert loop.looks == 2


def test_a_file_that_is_not_there_has_no_version(tmp_path):
    assert CommitWatch(tmp_path / "none").version() is None
