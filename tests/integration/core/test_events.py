"""The audit trail: what is written stays, and changes behind our back are found out."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.model.errors import CountersignError
from core.model.event import GENESIS, Event, broken_link
from core.model.lifecycle import State
from core.store import events, switches
from core.store.unit_of_work import Tx
from tests import builders
from tests.clock import timed

DROP_TRIGGERS = {
    "sqlite": ("DROP TRIGGER events_no_update", "DROP TRIGGER events_no_delete", "DROP TRIGGER events_no_replace"),
    "postgresql": ("ALTER TABLE events DISABLE TRIGGER USER",),
}


async def say(database, statement: str) -> None:
    await database.write(lambda tx: tx.session.execute(text(statement)))


async def chain_of(database, number) -> list[Event]:
    chain: list[Event] = await database.read(lambda tx: events.chain_of(tx, number))
    return chain


@pytest.fixture
async def number(database):
    """A task with five events, among others that have some."""
    await builders.put_task(database)
    number = await builders.put_task(database, State.STAGED, diff=builders.staged())

    async def work(tx: Tx) -> None:
        for n in range(4):
            await events.append(
                timed(tx, n), number=number, kind=f"thing.{n}", person="lee", surface="web", body={"n": n, "ä": "🖋"}
            )

    await database.write(work)
    await builders.put_task(database)
    return number


async def test_a_chain_as_written_holds(database, number):
    chain = await chain_of(database, number)
    assert [event.seq for event in chain] == [1, 2, 3, 4, 5]
    assert chain[0].previous == GENESIS
    assert broken_link(chain) is None
    assert chain[-1].to_json()["body"] == {"n": 3, "ä": "🖋"}


CHANGING = [
    "UPDATE events SET body = '{}' WHERE seq = 2",
    "DELETE FROM events WHERE seq = 2",
    "DELETE FROM events",
]
REST = "at_ms, person, surface, body, previous, hash FROM events WHERE seq = 2"
BEHIND_THE_BACK = {
    "sqlite": [
        f"INSERT OR REPLACE INTO events SELECT id, number, seq, 'forged', {REST}",
        f"REPLACE INTO events SELECT id + 1000, number, seq, 'forged', {REST}",
        "UPDATE OR REPLACE events SET kind = 'forged'",
    ],
    "postgresql": [
        "TRUNCATE events",
        "INSERT INTO events SELECT * FROM events ON CONFLICT (id) DO UPDATE SET kind = ''",
    ],
}


async def test_the_database_itself_refuses_to_change_or_remove_an_event(database, dialect, number):
    before = await chain_of(database, number)
    for statement in [*CHANGING, *BEHIND_THE_BACK[dialect]]:
        with pytest.raises(CountersignError) as caught:
            await say(database, statement)
        assert isinstance(caught.value.__cause__, DBAPIError)
        assert "append-only" in str(caught.value.__cause__), statement
    assert await chain_of(database, number) == before


COLUMNS = {
    "kind": "'approved'",
    "at_ms": "at_ms + 1",
    "person": "'max'",
    "surface": "NULL",
    "body": "body || ' '",
    "previous": "hash",
    "hash": "previous",
}


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_changed_field_is_named(database, dialect, number, column):
    for statement in DROP_TRIGGERS[dialect]:
        await say(database, statement)
    await say(database, f"UPDATE events SET {column} = {COLUMNS[column]} WHERE number = {number} AND seq = 3")
    found = broken_link(await chain_of(database, number))
    assert found == "event 3 (" + ("approved" if column == "kind" else "thing.1") + ") was changed after it was written"


@pytest.mark.parametrize("seq", [1, 3])
async def test_a_removed_event_is_missed(database, dialect, number, seq):
    for statement in DROP_TRIGGERS[dialect]:
        await say(database, statement)
    await say(database, f"DELETE FROM events WHERE number = {number} AND seq = {seq}")
    assert broken_link(await chain_of(database, number)) == f"event {seq} is missing"


async def test_a_removed_event_is_missed_even_if_the_later_ones_move_up(database, dialect, number):
    for statement in DROP_TRIGGERS[dialect]:
        await say(database, statement)
    await say(database, f"DELETE FROM events WHERE number = {number} AND seq = 3")
    for seq in (4, 5):
        await say(database, f"UPDATE events SET seq = {seq - 1} WHERE number = {number} AND seq = {seq}")
    assert "event 3" in (broken_link(await chain_of(database, number)) or "")


async def test_exchanged_events_are_found(database, dialect, number):
    for statement in DROP_TRIGGERS[dialect]:
        await say(database, statement)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        await say(database, f"UPDATE events SET seq = {new} WHERE number = {number} AND seq = {old}")
    assert "event 2" in (broken_link(await chain_of(database, number)) or "")


async def test_an_event_of_another_task_does_not_pass_for_one_of_this(database, dialect, number):
    other = await builders.put_task(database)
    for statement in DROP_TRIGGERS[dialect]:
        await say(database, statement)
    await say(database, f"DELETE FROM events WHERE number = {other}")
    await say(database, f"UPDATE events SET number = {other} WHERE number = {number}")
    assert broken_link(await chain_of(database, other)) is not None


async def test_events_are_told_in_the_order_in_which_they_were_written(database, number):
    async def page(after_id: int) -> list[Event]:
        found: list[Event] = await database.read(lambda s: events.since(s, after_id=after_id, limit=3))
        return found

    told, page_of = [], await page(0)
    while page_of:
        told += page_of
        page_of = await page(page_of[-1].id)
    assert [event.id for event in told] == sorted({event.id for event in told})
    assert len(told) == 7


async def test_pausing_and_going_on_leave_their_own_chain(database):
    async def work(tx: Tx) -> None:
        assert await switches.paused(tx) is None
        await switches.set_pause(timed(tx, 1), {"reason": "upgrade", "by": "lee"}, "lee")
        assert await switches.paused(tx) == {"reason": "upgrade", "by": "lee"}
        await switches.set_pause(timed(tx, 2), None, "max")
        assert await switches.paused(tx) is None

    await database.write(work)
    assert await builders.kinds_of(database, events.SYSTEM) == ["queue.paused", "queue.resumed"]
