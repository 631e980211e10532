"""Statistics of the queue: waits and runs by group, and what model servers did."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from core.model.endpoint_snapshot import EndpointSnapshot, ResidentModel
from core.model.inventory import ModelFamily, ServerState
from core.model.job import JobState
from core.model.model_lease import LeaseState
from core.services.inventory import Inventory
from core.services.queue_statistics import Grouping, QueueStatistics
from core.store import jobs, model_loads
from core.store.database import Database, Location, from_ms
from core.store.lease_table import ModelLeaseRow
from core.store.migrate import migrate
from core.store.tables import SpendingRow
from core.store.unit_of_work import Tx
from tests import builders, campaign

pytestmark = [pytest.mark.queue, campaign.EITHER]

DAY_MS = 86_400_000


async def finished(tx: Tx, wait_s: float, run_s: float, *, ago_ms: int = 3_600_000, **columns) -> str:
    """A finished job that was ready so long ago."""
    row = builders.job_row(1, tx.now_ms - ago_ms, **columns)
    row.state = JobState.DONE.value
    row.claimed_ms = row.ready_ms + round(wait_s * 1000)
    row.finished_ms = row.claimed_ms + round(run_s * 1000)
    await jobs.add(tx, row)
    return row.id


async def leased(tx: Tx, model: str, ago_s: float, wait_s: float, run_s: float, job: str | None = None) -> None:
    """A request to a model that ended."""
    arrived_ms = tx.now_ms - round(ago_s * 1000)
    granted_ms = arrived_ms + round(wait_s * 1000)
    row = ModelLeaseRow(
        id=tx.new_id("lease"),
        state=LeaseState.ENDED.value,
        model=model,
        job=job,
        is_chat=False,
        arrived_ms=arrived_ms,
        until_ms=arrived_ms,
        granted_ms=granted_ms,
        ended_ms=granted_ms + round(run_s * 1000),
    )
    tx.session.add(row)
    await tx.session.flush()


@pytest.fixture
async def statistics(database):
    await builders.put_task(database)
    return QueueStatistics(database)


async def since(database, **span):
    return (await database.read(_now)) - timedelta(**span)


async def _now(tx: Tx):
    return from_ms(tx.now_ms)


async def test_waits_and_runs_are_grouped_by_lane_person_and_model(database, statistics):
    async def work(tx: Tx) -> None:
        for number in range(20):
            job = await finished(tx, number, 100.0, lane="code", person="ana", kind="change")
            await leased(tx, "gpu/qwen3", 3_000, 10.0, 5.0, job)
            spent = SpendingRow(
                job_id=job,
                part="edit",
                call="1",
                model="gpu/qwen3",
                number=1,
                lane="code",
                person="ana",
                calls=1,
                input_tokens=10,
                output_tokens=5,
                at_ms=tx.now_ms,
            )
            tx.session.add(spent)
        await finished(tx, 1.0, 2.0, lane="docs", person="bo", kind="change")
        await finished(tx, 1.0, 2.0, lane="docs", person="bo", kind="publish")
        await finished(tx, 500.0, 500.0, ago_ms=2 * DAY_MS, lane="docs", person="old", kind="change")

    await database.write(work)
    begin = await since(database, days=1)
    by_lane = await statistics.figures(begin, Grouping.LANE)
    rows = {group.name: group.to_json() for group in by_lane.groups}
    assert rows.keys() == {"code", "docs", "publish"}
    assert rows["code"] == {
        "name": "code",
        "jobs": 20,
        "wait_p50_s": 20.0,  # 10 s for a worker, and 10 s for the model
        "wait_p95_s": 29.0,
        "run_p50_s": 90.0,
        "run_p95_s": 90.0,
    }
    by_person = await statistics.figures(begin, Grouping.PERSON)
    assert [(group.name, len(group.waits)) for group in by_person.groups] == [("ana", 20), ("bo", 2)]
    by_model = await statistics.figures(begin, Grouping.MODEL)
    assert [(group.name, len(group.waits)) for group in by_model.groups] == [("gpu/qwen3", 20)]


async def test_an_endpoint_is_busy_while_any_request_runs_and_its_loads_are_counted_once(database, statistics):
    async def work(tx: Tx) -> None:
        await leased(tx, "gpu/qwen3", 1000, 0.0, 100.0)
        await leased(tx, "gpu/qwen3:latest", 950, 0.0, 100.0)  # 50 s beside the first
        await leased(tx, "gpu/coder", 500, 50.0, 10.0)
        await model_loads.add(tx, "gpu", "coder", None)
        await model_loads.add(tx, "gpu", "coder", 8.0)  # the same load, reported by the one who asked for it

    await database.write(work)
    figures = await statistics.figures(await since(database, seconds=3200), Grouping.LANE)
    assert [endpoint.to_json() for endpoint in figures.endpoints] == [
        {
            "name": "gpu",
            "requests": 3,
            "busy_s": 160.0,
            "use": 0.05,
            "loads": 1,
            "load_s": 8.0,
            "load_share": 0.0025,
            "models": [
                {"name": "coder", "requests": 1, "loads": 1, "load_s": 8.0},
                {"name": "qwen3", "requests": 2, "loads": 0, "load_s": 0.0},
            ],
        }
    ]


async def test_a_load_by_another_program_is_counted_when_it_is_seen(database, statistics):
    inventory = Inventory(database, builders.always(builders.settings()), lambda: {"gpu": "ollama"})
    at = await since(database, seconds=5)
    empty = EndpointSnapshot("gpu", "ollama", ServerState.UP, checked_at=at)
    loaded = replace(empty, residents=(ResidentModel("coder", ModelFamily("sha256:1")),), checked_at=at)
    await inventory.record([loaded])  # the first look says nothing of when it was loaded
    for snapshot in (empty, loaded, loaded):
        await inventory.record([snapshot])
    seen = await database.read(lambda tx: model_loads.since(tx, 0, 10))
    assert [(load.endpoint, load.model, load.seconds) for load in seen] == [("gpu", "coder", None)]


async def test_a_load_from_here_is_not_counted_again_when_it_is_seen(database, statistics):
    inventory = Inventory(database, builders.always(builders.settings()), lambda: {"gpu": "ollama"})
    at = await since(database, seconds=5)
    empty = EndpointSnapshot("gpu", "ollama", ServerState.UP, checked_at=at)
    await inventory.record([empty])
    await inventory.record_load_time("gpu", "coder", 3.0)
    await inventory.record([replace(empty, residents=(ResidentModel("coder", ModelFamily("sha256:1")),))])
    counted = await database.read(lambda tx: model_loads.since(tx, 0, 10))
    assert [(load.endpoint, load.model, load.seconds) for load in counted] == [("gpu", "coder", 3.0)]


async def test_finished_jobs_of_a_time_are_found_by_index(tmp_path):
    location = Location.of("sqlite", tmp_path)
    migrate(location)
    database = Database(location)
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await QueueStatistics(database).figures(await since(database, days=1), Grouping.MODEL)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    asked = [each for each in statements if "FROM jobs" in each[0] or "FROM model_" in each[0]]
    assert len(asked) >= 3

    async def plan(tx: Tx) -> list[str]:
        connection = await tx.session.connection()
        lines: list[str] = []
        for statement, parameters in asked:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            lines += [str(row.detail) for row in rows]
        return lines

    lines = await database.read(plan)
    await database.close()
    assert not [line for line in lines if line.startswith(("SCAN jobs", "SCAN model_"))]
