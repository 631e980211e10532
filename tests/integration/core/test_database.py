"""Transactions: all or nothing, run again where that mends it, and one of two writers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.model.errors import ConflictError, CountersignError, NotFoundError, PermanentError, TransientError
from core.model.lifecycle import Fact, State
from core.store import tasks
from core.store.database import Database, Location
from core.store.tables import SettingRow
from core.store.transition import take_step
from core.store.unit_of_work import Tx
from tests import builders
from tests.clock import clock_ms


async def _clock(tx):
    return tx.now_ms


@pytest.fixture
async def other(location):
    """A second program on the same database."""
    opened = Database(location)
    yield opened
    await opened.close()


async def put_setting(database: Database, name: str, value: int = 0) -> None:
    async def work(tx: Tx) -> None:
        tx.session.add(SettingRow(name=name, value={"n": value}, updated_ms=0))

    await database.write(work)


async def setting(database: Database, name: str) -> int | None:
    row = await database.read(lambda tx: tx.session.get(SettingRow, name))
    return None if row is None else row.value["n"]


async def test_a_transaction_that_raises_leaves_everything_as_it_was(database):
    async def work(tx: Tx) -> None:
        tx.session.add(SettingRow(name="x", updated_ms=0))
        await tx.session.flush()
        raise NotFoundError("gone", "gone")

    with pytest.raises(NotFoundError):
        await database.write(work)
    assert await setting(database, "x") is None


async def test_a_transaction_whose_caller_is_cancelled_ends_whole_and_leaves_the_lock_free(database, other):
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def work(tx: Tx) -> None:
        tx.session.add(SettingRow(name="x", updated_ms=0, value={"n": 1}))
        await tx.session.flush()
        begun.set()
        await may_end.wait()
        tx.session.add(SettingRow(name="y", updated_ms=0, value={"n": 1}))

    writing = asyncio.create_task(database.write(work))
    await begun.wait()
    writing.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await setting(database, "x") == await setting(database, "y")
    async with asyncio.timeout(10):
        await put_setting(other, "z", 7)
    assert await setting(database, "z") == 7


async def test_increments_of_many_writers_are_all_kept(database, other):
    """Read, then write: the lost update that deferred transactions on SQLite had (F21)."""
    await put_setting(database, "x")

    async def increment(tx: Tx) -> None:
        row = await tx.session.get(SettingRow, "x", with_for_update=True)
        assert row is not None
        row.value = {"n": row.value["n"] + 1}

    await asyncio.gather(*(one.write(increment) for _ in range(25) for one in (database, other)))
    assert await setting(database, "x") == 50


class Busy(sqlite3.OperationalError):
    """What SQLite says when the wait for the lock was too long."""


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_busy_database_is_tried_again_from_the_start(database, failures):
    tries = 0

    async def work(tx: Tx) -> int:
        nonlocal tries
        tries += 1
        tx.session.add(SettingRow(name=f"try {tries}", updated_ms=0, value={"n": tries}))
        await tx.session.flush()
        if tries <= failures:
            await raise_in_driver(tx, Busy("database is locked"))
        return tries

    assert await database.write(work) == failures + 1
    assert await setting(database, "try 1") is None
    assert await setting(database, f"try {failures + 1}") == failures + 1


async def test_a_database_that_stays_busy_is_unavailable_for_now(database):
    async def work(tx: Tx) -> None:
        await raise_in_driver(tx, Busy("database is locked"))

    with pytest.raises(TransientError) as caught:
        await database.write(work)
    assert caught.value.problem.code == "database_unavailable"


async def raise_in_driver(tx: Tx, error: Exception) -> None:
    """Fail as a statement fails in its driver."""
    raise OperationalError("SELECT 1", {}, error)


class TestOnSqlite:
    """What only a file on this host does."""

    @pytest.fixture(params=["sqlite"])
    def dialect(self, request):
        return request.param

    async def test_a_writer_waits_for_another_program_that_holds_the_lock(self, location, database):
        """A backup that runs, or another program that writes, is no fault: only a wait."""
        holder = sqlite3.connect(location.file, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, lambda: holder.execute("COMMIT"))
        release.start()
        await put_setting(database, "x", 1)
        release.join()
        assert await setting(database, "x") == 1
        holder.close()

    async def test_decisions_survive_a_power_loss(self, database):
        """FULL: a commit is on the disk before it counts (F23); WAL: readers beside the writer."""

        async def pragma(tx: Tx, name: str) -> object:
            return (await tx.session.execute(text(f"PRAGMA {name}"))).scalar_one()

        for name, wanted in (("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)):
            assert await database.read(lambda tx, name=name: pragma(tx, name)) == wanted


@pytest.mark.postgres
class TestOnPostgresql:
    """What only a server does."""

    @pytest.fixture(params=["postgresql"])
    def dialect(self, request):
        return request.param

    async def test_a_serialization_failure_is_tried_again(self, database, other):
        await put_setting(database, "x")
        tries = 0

        async def increment(tx: Tx) -> None:
            nonlocal tries
            tries += 1
            row = await tx.session.get(SettingRow, "x")
            assert row is not None
            if tries == 1:
                await other.write(lambda tx: tx.session.execute(text("""UPDATE settings SET value = '{"n": 10}'""")))
                await tx.session.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
            row.value = {"n": row.value["n"] + 1}

        await database.write(increment)
        assert tries == 2
        assert await setting(database, "x") == 11

    async def test_a_deadlock_ends_with_both_writes_done(self, database, other):
        await put_setting(database, "a")
        await put_setting(database, "b")
        tries, met = 0, asyncio.Barrier(2)

        async def increment(tx: Tx, first: str, second: str) -> None:
            nonlocal tries
            tries += 1
            for name in (first, second):
                row = await tx.session.get(SettingRow, name, with_for_update=True, populate_existing=True)
                assert row is not None
                row.value = {"n": row.value["n"] + 1}
                await tx.session.flush()
                if name == first and tries <= 2:
                    await met.wait()

        await asyncio.gather(
            database.write(lambda tx: increment(tx, "a", "b")),
            other.write(lambda tx: increment(tx, "b", "a")),
        )
        assert tries == 3
        assert [await setting(database, name) for name in "ab"] == [2, 2]

    async def test_a_connection_that_the_server_ended_is_replaced(self, database, other):
        tries = 0

        async def work(tx: Tx) -> int:
            nonlocal tries
            tries += 1
            mine = (await tx.session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            if tries == 1:
                await other.write(lambda tx: tx.session.execute(text(f"SELECT pg_terminate_backend({mine})")))
            return int((await tx.session.execute(text("SELECT 1"))).scalar_one())

        assert await database.write(work) == 1
        assert tries == 2

    async def test_a_server_that_is_not_there_is_unavailable_for_now(self, tmp_path):
        nowhere = Database(Location.of(f"postgresql://x@/x?host={tmp_path}", tmp_path))
        with pytest.raises(TransientError) as caught:
            await put_setting(nowhere, "x")
        assert caught.value.problem.code == "database_unavailable"
        await nowhere.close()


async def test_a_reader_sees_no_half_of_a_transaction(database, other):
    written, read = asyncio.Event(), asyncio.Event()

    async def write(tx: Tx) -> None:
        tx.session.add(SettingRow(name="a", updated_ms=0, value={"n": 1}))
        await tx.session.flush()
        written.set()
        await read.wait()
        tx.session.add(SettingRow(name="b", updated_ms=0, value={"n": 1}))

    writing = asyncio.create_task(database.write(write))
    await written.wait()
    assert await setting(other, "a") is None
    read.set()
    await writing
    assert [await setting(other, name) for name in "ab"] == [1, 1]


async def test_a_row_that_is_there_already_is_a_conflict(database):
    await put_setting(database, "x")
    with pytest.raises(ConflictError) as caught:
        await put_setting(database, "x")
    assert caught.value.problem.code == "already_there"


async def test_a_statement_that_cannot_be_is_a_problem_and_not_a_traceback(database):
    with pytest.raises(CountersignError) as caught:
        await database.read(lambda tx: tx.session.execute(text("SELECT * FROM no_such_table")))
    assert caught.value.problem.mend


async def test_a_database_that_only_lets_itself_be_read_is_named(location, database, dialect):
    if dialect == "sqlite":
        await database.close()
        await put_setting(database, "before")

        async def work(tx: Tx) -> None:
            await tx.session.execute(text("PRAGMA query_only=ON"))
            tx.session.add(SettingRow(name="x", updated_ms=0))

    else:

        async def work(tx: Tx) -> None:
            await tx.session.execute(text("SET TRANSACTION READ ONLY"))
            tx.session.add(SettingRow(name="x", updated_ms=0))

    with pytest.raises(PermanentError) as caught:
        await database.write(work)
    assert caught.value.problem.code == "read_only"


async def test_the_databases_clock_is_one_for_all(database, other):
    first, second = await database.read(clock_ms), await other.read(clock_ms)
    assert abs(second - first) < 5000
    assert abs(first / 1000 - time.time()) < 5


async def test_of_two_writers_who_read_the_same_version_one_wins(database, other):
    number, _ = await builders.put_staged(database)
    read = await builders.load(database, number)

    async def take(which: Database, fact: Fact) -> State:
        async def work(tx: Tx) -> State:
            return (await take_step(replace(tx, now_ms=1, new_id=lambda prefix: f"{prefix}_{fact}"), read, fact)).state

        return await which.write(work)

    said = await asyncio.gather(take(database, Fact.APPROVED), take(other, Fact.REJECTED), return_exceptions=True)
    lost = [outcome for outcome in said if isinstance(outcome, BaseException)]
    assert len(lost) == 1
    assert isinstance(lost[0], ConflictError)
    assert lost[0].problem.code == "changed_meanwhile"
    after = await builders.load(database, number)
    assert after.state in said
    assert after.version == read.version + 1
    assert len(await builders.kinds_of(database, number)) == 2


async def test_a_step_writes_the_state_one_event_and_the_jobs_it_owes_together(database):
    number, digest = await builders.put_staged(database)
    task = await builders.load(database, number)

    async def work(tx: Tx) -> None:
        await take_step(
            replace(tx, now_ms=5, new_id=lambda prefix: f"{prefix}_1"), task, Fact.APPROVED, body={"digest": digest}
        )

    await database.write(work)
    assert (await builders.load(database, number)).state is State.APPROVED
    assert await builders.kinds_of(database, number) == ["task.requested", "task.approved"]
    (job,) = await builders.active_jobs(database, number)
    assert (job.id, job.kind.value, job.revision) == ("job_1", "publish", 1)


async def test_a_step_that_cannot_write_its_job_writes_nothing(database):
    number, _ = await builders.put_staged(database)
    await builders.put_job(database, number, id="job_taken", state="done")
    task = await builders.load(database, number)

    async def work(tx: Tx) -> None:
        await take_step(replace(tx, now_ms=5, new_id=lambda prefix: f"{prefix}_taken"), task, Fact.APPROVED)

    with pytest.raises(ConflictError):
        await database.write(work)
    assert (await builders.load(database, number)).state is State.STAGED
    assert await builders.kinds_of(database, number) == ["task.requested"]


async def test_a_task_that_is_not_there_is_missing(database):
    with pytest.raises(NotFoundError, match="#99"):
        await database.read(lambda tx: tasks.load(tx, 99))


async def test_closing_goes_to_its_end_though_the_caller_is_cancelled(location, caplog):
    database = Database(location)
    await database.read(_clock)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [record.getMessage() for record in caplog.records if record.name.startswith("sqlalchemy")] == []


async def test_many_more_transactions_at_once_than_connections_all_come_to_their_turn(database):
    async def slow(tx):
        await asyncio.sleep(0.01)
        return tx.now_ms

    found = await asyncio.gather(*(database.read(slow) for _ in range(200)))
    assert len(found) == 200
    assert database.engine.pool.checkedout() == 0
