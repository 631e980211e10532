"""Filtered and searched lists: what they find, on both databases, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from core.model.errors import UsageError
from core.model.lifecycle import State
from core.model.place import RepositoryScope
from core.model.search_query import SearchQuery, index_words
from core.model.task_filter import TaskFilter
from core.model.turn import Actor
from core.services.requests import NewRequest
from core.services.task_search import TaskSearch
from core.store import search, tasks
from tests.builders import ANA, BO, put_staged

TITLES = (
    "set server.timeout to 30 in config/app.yaml",
    "rename docs/install.md to docs/Setup.md",
    "replace Größe with SIZE in src/a.py",
    "bump ruff to 0.14.0 in requirements.txt",
)


@pytest.fixture
async def found(services):
    """Finds the numbers of tasks by the words of a query and other conditions."""
    for n, title in enumerate(TITLES):
        await services.requests.ask(NewRequest(text=title, actor=BO if n % 2 else ANA))
    listing = TaskSearch(services.database, lambda: services.settings)

    async def find(query: str | None = None, actor: Actor = ANA, **more) -> list[int]:
        parsed = SearchQuery.parse(query) if query is not None else None
        page = await listing.page(TaskFilter(search=parsed, **more), 50, actor)
        assert page.next_before is None
        return [task.number for task in page.tasks]

    return find


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("timeout", [1]),
        ("TIMEOUT config", [1]),
        ('"config app"', [1]),
        ('"app config"', []),
        ("config/app.yaml", [1]),
        ("app.yaml", [1]),
        ("time*", [1]),
        ("time", []),
        ("docs -install", []),
        ("to -timeout", [4, 2]),
        ("größe", [3]),
        ("GRÖßE", [3]),
        ("gr*", [3]),
        ("web", [4, 3, 2, 1]),
        ("nothing", []),
        ("setup", [2]),
        ("NOT", []),
        ('title: "x" OR 1', []),
    ],
)
async def test_a_search_finds_words_phrases_and_beginnings_and_leaves_out_what_is_excluded(found, query, numbers):
    assert await found(query) == numbers


async def test_filters_and_searches_are_combined(found, services):
    await services.requests.cancel(2, BO)
    assert await found(person="bo") == [4, 2]
    assert await found("to", person="bo", state=State.CANCELLED) == [2]
    assert await found(state=State.CANCELLED) == [2]
    assert await found("ruff", before=4) == []
    assert await found(repo="web", lane="config") == []
    assert await found(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert await found(since=datetime.now(UTC) - timedelta(hours=1)) == [4, 3, 2, 1]


async def test_what_is_written_staged_and_decided_later_is_found_in_the_same_transaction(found, services):
    await services.requests.reply(1, "make it forty instead of kestrel", ANA)
    assert await found("kestrel") == [1]
    number, _ = await put_staged(services.database)
    staged = (await services.task(number)).staged
    assert staged is not None
    assert await found(f'"{staged.files[0]["path"]}"') == [number, 1]  # the first names it in its title

    async def rename(tx):
        await tasks.save(tx, await tasks.load(tx, 3), {"title": "osprey", "repo": "heron", "lane": "falcon"})

    await services.database.write(rename)
    for word in ("osprey", "heron", "falcon"):
        assert await found(word) == [3]
    assert await found("größe") == [3]  # still in its turn

    async def fail(tx):
        await search.add_turn(tx, 1, "merlin")
        raise UsageError("x", "rolled back")

    with pytest.raises(UsageError):
        await services.database.write(fail)
    assert await found("merlin") == []


async def test_a_search_does_not_leave_the_scope_of_who_asks(found):
    elsewhere = Actor("ana", "api", scope=RepositoryScope(("other",)))
    assert await found("timeout", actor=elsewhere) == []
    assert await found(actor=elsewhere) == []
    assert await found("timeout", actor=Actor("ana", "api", scope=RepositoryScope(("web",)))) == [1]


@pytest.mark.parametrize("limit", [1, 3, 7])
@pytest.mark.parametrize("query", [None, "web"])
async def test_pages_hold_every_task_once_also_while_new_ones_arrive(services, limit, query):
    for n in range(20):
        await services.requests.ask(NewRequest(text=TITLES[n % 4], actor=ANA))
    listing, seen, before = TaskSearch(services.database, lambda: services.settings), [], None
    while True:
        wanted = TaskFilter(search=SearchQuery.parse(query) if query else None, before=before)
        page = await listing.page(wanted, limit)
        seen += [task.number for task in page.tasks]
        assert len(page.tasks) <= limit
        if page.next_before is None:
            break
        before = page.next_before
        await services.requests.ask(NewRequest(text=TITLES[0], actor=ANA))
    assert seen == list(range(20, 0, -1))


HOSTILE = st.text(st.sampled_from(list("ab'\"*-():^{}|&!<>%_\\/\0;é\u202e 1")), max_size=40)


async def test_no_text_that_a_person_can_type_breaks_a_search(found):
    listed: list[str] = []

    @given(st.lists(HOSTILE | st.text(max_size=60), max_size=20))
    def collect(texts):
        listed.extend(texts)

    collect()
    for query in [
        *listed[:300],
        "'; DROP TABLE task_search; --",
        'x" OR task_search MATCH "y',
        "NEAR(a b)",
        "a:*",
        "''::x",
    ]:
        try:
            parsed = SearchQuery.parse(query)
        except UsageError:
            continue
        assert isinstance(await found(query), list), parsed
    assert await found("timeout") == [1]


@given(st.text(max_size=200))
def test_indexing_its_own_result_changes_nothing(words):
    once = index_words(words)
    assert index_words(once) == once


async def test_a_secret_is_not_found_by_its_beginning(found, services):
    """What people are shown is masked; the search must not reveal it a character at a time."""
    secret = "ghp" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    await services.requests.ask(NewRequest(text=f"set token to {secret} in config/app.yaml", actor=ANA))
    for end in range(3, len(secret), 6):
        assert await found(f"{secret[:end]}*") == []
    assert await found(secret) == []
    assert await found("token") == [5]


async def test_a_person_with_many_long_replies_stays_searchable_and_breaks_nothing(services, found):
    long = " ".join(f"word{n}" for n in range(6500))
    for _ in range(20):
        await services.requests.reply(1, long, ANA)
    assert await found("word17") == [1]


async def test_the_index_is_used_and_no_list_reads_the_whole_table(services, found):
    """The plans of SQLite; PostgreSQL chooses by its statistics."""
    if services.database.engine.dialect.name != "sqlite":
        pytest.skip("the plans of SQLite are looked at")

    async def plans(tx):
        statements = (
            "SELECT rowid FROM task_search WHERE task_search MATCH '\"x\"' AND rowid < 5 ORDER BY rowid DESC LIMIT 3",
            "SELECT * FROM tasks WHERE repo = 'x' AND number < 5 ORDER BY number DESC LIMIT 3",
            "SELECT * FROM tasks WHERE requester = 'x' ORDER BY number DESC LIMIT 3",
            "SELECT number FROM tasks WHERE created_ms >= 5 ORDER BY created_ms, number LIMIT 1",
        )
        return [str((await tx.session.execute(text(f"EXPLAIN QUERY PLAN {each}"))).all()) for each in statements]

    for plan in await services.database.read(plans):
        assert "TEMP B-TREE" not in plan
        assert "INDEX" in plan or "SEARCH" in plan


async def test_a_search_in_some_repositories_counts_no_match_of_another(services, dialect):
    numbers = [await services.requests.ask(NewRequest(text=f"set kestrel to {n}", actor=ANA)) for n in range(3)]

    async def move(tx):
        await tx.session.execute(text("UPDATE tasks SET repo = 'docs' WHERE number = :number"), {"number": numbers[1]})

    await services.database.write(move)
    words = SearchQuery.parse("kestrel")
    for names, found in ((["web"], [2, 0]), (["docs"], [1]), (["web", "docs"], [2, 1, 0]), ([], []), (None, [2, 1, 0])):
        matching = await services.database.read(lambda tx, names=names: search.matching(tx, words, 10_000, 10, names))
        assert matching == [numbers[n] for n in found], names
