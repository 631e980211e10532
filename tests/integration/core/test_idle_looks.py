"""Idle looks: loops that found nothing do not ask again until something is committed, by whichever process."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial

import pytest

from core.services.idle_looks import IdleLooks
from core.store import switches
from core.store.commit_watch import CommitWatch
from core.store.database import Database, Location
from core.store.tables import WorkerRow
from core.store.unit_of_work import Tx
from tests.worker_harness import eventually


class Loop:
    """A loop that finds what it is told to find, and counts its looks."""

    def __init__(self, database: Database, longest_s: float) -> None:
        self.idle, self.looks, self.finds = IdleLooks(database, longest_s, longest_s), 0, False

    async def round(self) -> bool:
        async def look() -> bool:
            self.looks += 1
            return self.finds

        return bool(await self.idle.unless_idle(look))


async def commit(database: Database) -> None:
    await database.write(lambda tx: switches.set_value(tx, "surface.test", {"up": True}))


async def quiet_commit(database: Database) -> None:
    await database.write_quietly(lambda tx: switches.set_value(tx, "surface.test", {"up": True}))


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


async def test_what_this_process_writes_again_and_again_is_not_looked_at(loop, database):
    await loop.round()
    for _ in range(3):
        await quiet_commit(database)
        await loop.round()
    assert loop.looks == (1 if database.location.is_sqlite else 4)


async def test_what_another_process_writes_again_and_again_is_looked_at(loop, database, location):
    await loop.round()
    other = Database(location)
    await quiet_commit(other)
    await other.close()
    await loop.round()
    assert loop.looks == 2


async def test_a_commit_of_another_process_around_a_quiet_one_is_looked_at(loop, database, location):
    other = Database(location)
    await loop.round()
    for before, after in ((True, False), (False, True), (True, True)):
        looks = loop.looks
        if before:
            await commit(other)
        await quiet_commit(database)
        if after:
            await commit(other)
        await loop.round()
        assert loop.looks == looks + 1
    await other.close()


async def test_during_a_quiet_write_every_look_is_made_and_none_waits_for_its_lock(loop, database, location):
    await loop.round()
    has_lock, may_end = asyncio.Event(), asyncio.Event()
    other = Database(location)

    async def keep_locked(tx: Tx) -> None:
        await switches.set_value(tx, "surface.test", {"up": False})
        has_lock.set()
        await may_end.wait()

    holding = asyncio.create_task(other.write(keep_locked))
    await has_lock.wait()
    waiting = asyncio.create_task(database.write_quietly(keep_locked))
    for _ in range(3):
        await asyncio.sleep(0)  # until it waits for the lock, if there is one
    await loop.round()
    assert loop.looks == 2
    may_end.set()
    await asyncio.gather(holding, waiting)
    await other.close()


async def test_a_quiet_write_is_a_write(database):
    await quiet_commit(database)
    assert await database.read(lambda tx: switches.value_of(tx, "surface.test")) == {"up": True}


async def test_a_database_that_is_closed_or_not_there_has_no_version(database, tmp_path):
    await database.committed()
    await database.close()
    assert await database.committed() is None
    assert CommitWatch().version() is None
    missing = Database(Location.of("sqlite", tmp_path / "no" / "folder"))
    assert await missing.committed() is None
    await missing.close()


async def test_an_idle_worker_commits_nothing_that_its_own_loops_look_at(harness, database):
    async with harness.working() as (worker, _):

        async def beats() -> int:
            rows = await database.read(lambda tx: tx.session.get(WorkerRow, worker.id))
            return rows.heartbeat_ms if rows is not None else 0

        async def has_beaten_since(ms: int) -> bool:
            return await beats() > ms

        async def version() -> tuple[int, int] | None:
            known: list[tuple[int, int]] = []

            async def is_known() -> bool:  # it is not while a heartbeat is written
                known.extend(each for each in [await database.committed()] if each is not None)
                return bool(known) or not database.location.is_sqlite

            await eventually(is_known, within_s=60)
            return known[0] if known else None

        for _ in range(2):  # what it writes when it begins is no heartbeat
            before = await beats()
            await eventually(partial(has_beaten_since, before), within_s=60)
        settled = await version()
        for _ in range(3):
            before = await beats()
            await eventually(partial(has_beaten_since, before), within_s=60)
        assert await version() == settled
