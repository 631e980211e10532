"""What a task's page shows of the work on both databases: jobs of any state, cost by revision, the tasks around it."""

from __future__ import annotations

import pytest

from core.model.job import JobKind, JobState
from core.model.place import RepositoryScope
from core.model.provenance import Usage
from core.model.turn import Actor
from core.services.task_work import MAX_LINKED, TaskWorks
from core.store import spending_ledger
from core.store.spending_ledger import LedgerEntry
from tests import builders, campaign

pytestmark = [pytest.mark.window, campaign.EITHER]


@pytest.fixture
def works(database):
    return TaskWorks(database, builders.always(builders.settings()))


async def test_jobs_and_cost_are_listed_by_revision(database, works):
    number = await builders.put_task(database)
    await builders.put_job(database, number, kind=JobKind.PLAN.value)
    job = await builders.claim(database)
    assert job is not None

    async def spend(tx):
        for call, tokens in (("a", 100), ("b", 50)):
            entry = LedgerEntry("", call, "config", "ana", Usage("qwen", 1, tokens, 10, 0.5))
            assert await spending_ledger.append(tx, job, entry)

    await database.write(spend)
    work = await works.of(number, builders.LEE)
    running = [each for each in work.jobs if each.job.state is JobState.RUNNING]
    assert [each.job.id for each in running] == [job.id]
    assert running[0].claimed_ms is not None
    assert running[0].finished_ms is None
    assert [(cost.revision, cost.usage) for cost in work.costs] == [(1, Usage("qwen", 2, 150, 20, 1.0))]


async def test_the_graph_has_what_a_task_waits_for_and_what_waits_for_it_and_nothing_else(database, works):
    first = await builders.put_task(database)
    second = await builders.put_task(database, columns={"after": first})
    others = [await builders.put_task(database, columns={"after": second}) for _ in range(2)]
    sibling = await builders.put_task(database, columns={"after": first})
    await builders.put_task(database)
    graph = await works.graph(second, builders.LEE)
    assert [(each.number, each.after) for each in graph.tasks] == [
        (first, None),
        (second, first),
        *((n, second) for n in others),
    ]
    assert sibling not in [each.number for each in graph.tasks]
    assert not graph.is_cut
    assert len((await works.graph(first, builders.LEE)).tasks) == 5


async def test_the_graph_is_bounded_and_shows_nothing_outside_the_scope(database, works):
    first = await builders.put_task(database)
    for _ in range(MAX_LINKED + 5):
        await builders.put_task(database, columns={"after": first})
    graph = await works.graph(first, builders.LEE)
    assert len(graph.tasks) == MAX_LINKED
    assert graph.is_cut
    elsewhere = await builders.put_task(database, columns={"after": first, "repo": "api"})
    scoped = Actor("lee", "slack", scope=RepositoryScope(("api",)))
    assert [each.number for each in (await works.graph(elsewhere, scoped)).tasks] == [elsewhere]
