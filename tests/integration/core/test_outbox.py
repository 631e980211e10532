"""The laws of the outbox: nothing is lost, no two live processes have one row, and each channel keeps its order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from core.model.place import Place
from core.model.webhook_delivery import SENT
from core.store import cards, deliveries, notes
from core.store.database import Database
from core.store.message_tables import CardRow, DeliveryRow, NoteRow
from core.store.outbox import LEASE_MS
from core.store.unit_of_work import Tx
from tests import builders, campaign
from tests.clock import clock_ms, timed

pytestmark = pytest.mark.surfaces

CHANNELS = ("a", "b")
PROCESSES = range(3)


class Notes:
    """Notes: one row a message, in the order of their ids."""

    table = NoteRow
    can_overtake = True

    async def prepare(self, database: Database) -> None:
        del database

    async def add(self, tx: Tx, n: int, channel: str) -> None:
        await notes.add(tx, Place("telegram", channel), f"{n}")

    async def begin(self, tx: Tx, limit: int) -> list[Any]:
        return await notes.begin(tx, "telegram", limit)

    def number_of(self, leased: Any) -> int:
        return int(leased.text)

    async def hold(self, tx: Tx, leased: Any) -> bool:
        return await notes.hold(tx, leased)

    async def release(self, tx: Tx, leased: Any) -> bool:
        return await notes.release(tx, leased)

    async def finish(self, tx: Tx, leased: Any) -> bool:
        return await notes.finish(tx, leased, notes.SENT)

    async def put_off(self, tx: Tx, leased: Any, due_ms: int, *, in_order: bool) -> bool:
        return await notes.put_off(tx, leased, due_ms, in_order=in_order)


class Cards:
    """The first messages of cards, in the order of their tasks."""

    table = CardRow
    can_overtake = True

    def __init__(self) -> None:
        self.tasks: list[int] = []

    async def prepare(self, database: Database) -> None:
        while len(self.tasks) < MOST_ROWS:
            self.tasks.append(await builders.put_task(database))

    async def add(self, tx: Tx, n: int, channel: str) -> None:
        await cards.bind(tx, self.tasks[n], Place("telegram", channel), None)

    async def begin(self, tx: Tx, limit: int) -> list[Any]:
        return await cards.begin(tx, "telegram", limit)

    def number_of(self, leased: Any) -> int:
        return self.tasks.index(leased.number)

    async def hold(self, tx: Tx, leased: Any) -> bool:
        return await cards.hold(tx, leased)

    async def release(self, tx: Tx, leased: Any) -> bool:
        return await cards.release(tx, leased)

    async def finish(self, tx: Tx, leased: Any) -> bool:
        if not await cards.hold(tx, leased):
            return False
        await cards.posted(tx, leased, f"m{leased.number}", 1)
        return await cards.finish(tx, leased)

    async def put_off(self, tx: Tx, leased: Any, due_ms: int, *, in_order: bool) -> bool:
        return await cards.put_off(tx, leased, due_ms, "not now", in_order=in_order)


class Webhooks:
    """Webhook deliveries: each receiver gets its events in order."""

    table = DeliveryRow
    can_overtake = False

    async def prepare(self, database: Database) -> None:
        del database

    async def add(self, tx: Tx, n: int, channel: str) -> None:
        await deliveries.add(tx, [(f"delivery_{n}", channel, n, "{}")])

    async def begin(self, tx: Tx, limit: int) -> list[Any]:
        return await deliveries.begin(tx, limit)

    def number_of(self, leased: Any) -> int:
        return int(leased.event_id)

    async def hold(self, tx: Tx, leased: Any) -> bool:
        return await deliveries.hold(tx, leased)

    async def release(self, tx: Tx, leased: Any) -> bool:
        return await deliveries.release(tx, leased)

    async def finish(self, tx: Tx, leased: Any) -> bool:
        return await deliveries.conclude(tx, leased, SENT, None)

    async def put_off(self, tx: Tx, leased: Any, due_ms: int, *, in_order: bool) -> bool:
        assert in_order
        return await deliveries.put_off(tx, leased, due_ms, "not now")


MOST_ROWS = 12
WAITS = st.sampled_from([1, LEASE_MS // 2, LEASE_MS - 1, LEASE_MS, LEASE_MS + 1])
PROCESS = st.sampled_from(PROCESSES)
ADD = st.tuples(st.just("add"), st.sampled_from(CHANNELS))
BEGIN = st.tuples(st.just("begin"), PROCESS, st.integers(1, 3))
FINISH = st.tuples(st.just("finish"), PROCESS)
PUT_OFF = st.tuples(st.just("put off"), PROCESS, WAITS, st.booleans())
RENEW = st.tuples(st.just("renew"), PROCESS)
RELEASE = st.tuples(st.just("release"), PROCESS)
DIE = st.tuples(st.just("die"), PROCESS)
WAIT = st.tuples(st.just("wait"), WAITS)
STEPS = st.tuples(
    st.lists(ADD, min_size=4, max_size=8),
    st.lists(
        st.one_of(BEGIN, BEGIN, BEGIN, WAIT, WAIT, FINISH, PUT_OFF, RENEW, RELEASE, DIE, ADD), min_size=25, max_size=40
    ),
).map(lambda parts: [*parts[0], *parts[1]])
"""What processes do, and how time passes, in any order."""


@dataclass
class Lease:
    """What a process holds, and until when no one else may have it."""

    row: Any
    number: int
    until_ms: int


@dataclass
class History:
    """Runs steps on one kind of rows, and checks the laws at each."""

    kind: Any
    database: Database
    at_ms: int
    channels: dict[int, str] = field(default_factory=dict)
    leases: dict[int, list[Lease]] = field(default_factory=lambda: defaultdict(list))
    newest: dict[int, int] = field(default_factory=dict)
    finished: list[int] = field(default_factory=list)
    overtaken: set[int] = field(default_factory=set)

    async def write(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.database.write(lambda tx: work(timed(tx, self.at_ms), *args, **kwargs))

    async def run(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("add", channel) if len(self.channels) < MOST_ROWS:
                number = len(self.channels)
                self.channels[number] = channel
                await self.write(self.kind.add, number, channel)
            case ("begin", process, limit):
                await self.begin(process, limit)
            case ("finish", process) if self.leases[process]:
                await self.finish(self.leases[process].pop(0))
            case ("put off", process, wait_ms, in_order) if self.leases[process]:
                await self.put_off(self.leases[process].pop(0), wait_ms, in_order=in_order)
            case ("renew", process):
                for lease in self.leases[process]:
                    renewed = await self.write(self.kind.hold, lease.row)
                    assert renewed is self.is_newest(lease)
                    lease.until_ms = self.at_ms + LEASE_MS if renewed else lease.until_ms
            case ("release", process) if self.leases[process]:
                await self.release(self.leases[process].pop(0))
            case ("die", process):
                self.leases[process].clear()
            case ("wait", wait_ms):
                self.at_ms += wait_ms

    async def begin(self, process: int, limit: int) -> None:
        for row in await self.write(self.kind.begin, limit):
            number = self.kind.number_of(row)
            held = [lease for mine in self.leases.values() for lease in mine if lease.number == number]
            assert all(lease.until_ms <= self.at_ms for lease in held), "another live process has it"
            assert number not in self.finished, "it was finished before"
            self.newest[number] = row.fence
            self.leases[process].append(Lease(row, number, self.at_ms + LEASE_MS))

    async def finish(self, lease: Lease) -> None:
        is_newest = self.is_newest(lease)
        assert await self.write(self.kind.finish, lease.row) is is_newest
        if not is_newest:
            return
        channel = self.channels[lease.number]
        earlier = {n for n in self.channels if n < lease.number and self.channels[n] == channel}
        assert earlier - set(self.finished) <= self.overtaken, "an earlier one was to come first"
        self.finished.append(lease.number)
        del self.newest[lease.number]

    async def put_off(self, lease: Lease, wait_ms: int, *, in_order: bool) -> None:
        in_order = in_order or not self.kind.can_overtake
        is_newest = self.is_newest(lease)
        done = await self.write(self.kind.put_off, lease.row, self.at_ms + wait_ms, in_order=in_order)
        assert done is is_newest
        if is_newest:
            del self.newest[lease.number]
            self.overtaken |= set() if in_order else {lease.number}

    async def release(self, lease: Lease) -> None:
        is_newest = self.is_newest(lease)
        assert await self.write(self.kind.release, lease.row) is is_newest
        if is_newest:
            del self.newest[lease.number]

    async def drain(self) -> None:
        """Every process died, and a new one delivers what is owed."""
        self.leases.clear()
        for _ in range(MOST_ROWS + 2):
            self.at_ms += LEASE_MS + 1
            await self.begin(0, MOST_ROWS)
            while self.leases[0]:
                await self.finish(self.leases[0].pop(0))

    def is_newest(self, lease: Lease) -> bool:
        """Whether no one began this row after `lease`, nor ended it."""
        return bool(self.newest.get(lease.number) == lease.row.fence)


@pytest.fixture(params=[Notes, Cards, Webhooks], ids=["notes", "cards", "webhooks"])
def kind(request: pytest.FixtureRequest) -> Any:
    """The rows that are owed."""
    return request.param()


@settings(
    max_examples=200 if campaign.WHOLE else 15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
async def test_whatever_happens_each_row_is_delivered_once_by_one_live_process_and_in_order(database, kind, steps):
    await kind.prepare(database)
    await database.write(lambda tx: tx.session.execute(delete(kind.table)))
    history = History(kind, database, await database.read(clock_ms))
    for step in steps:
        await history.run(step)
    await history.drain()
    assert sorted(history.finished) == sorted(history.channels), "nothing is lost"


async def test_a_released_row_is_another_processs_at_once(database, kind):
    await kind.prepare(database)
    history = History(kind, database, await database.read(clock_ms))
    for step in (("add", "a"), ("begin", 0, 1), ("release", 0), ("begin", 1, 1)):
        await history.run(step)
    assert history.leases[1]


async def test_an_ended_lease_is_not_renewed(database, kind):
    """A card that changed while it was drawn is due at once, though its last owner still renews its leases."""
    await kind.prepare(database)
    history = History(kind, database, await database.read(clock_ms))
    await history.run(("add", "a"))
    await history.run(("begin", 0, 1))
    (lease,) = history.leases[0]
    await history.run(("put off", 0, 1, True))
    assert not await history.write(kind.hold, lease.row)
    await history.run(("wait", 1))
    await history.run(("begin", 1, 1))
    assert history.leases[1], "another process may have it"
