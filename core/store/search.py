"""The full-text index of tasks, and the lists that people filter.

The index has one row for each task: the words of its title, its turns, its repository, its lane and its staged files.
`core.store.tasks` changes it in the transaction that changes those. SQLite indexes it with FTS5, PostgreSQL with a
tsvector; the words are the same, see `core.model.search_query`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, text
from sqlmodel import col, select

from core.model.search_query import MAX_INDEXED_CHARS, SearchQuery, SearchTerm, index_words
from core.model.task_filter import TaskFilter
from core.store.tables import TaskRow
from core.store.unit_of_work import Tx, to_ms

MAX_TURNS_CHARS: Final = 16 * MAX_INDEXED_CHARS
"""The words of all turns of a task that are indexed."""
_CLOCK_SLACK: Final = 1000
"""Tasks whose numbers and times may be out of order, because their transactions ran at the same time."""
_TASK_COLUMNS: Final = ("title", "repo", "lane")


def _is_sqlite(tx: Tx) -> bool:
    return bool(tx.session.get_bind().dialect.name == "sqlite")


def _key(tx: Tx) -> str:
    return "rowid" if _is_sqlite(tx) else "number"


async def add_task(tx: Tx, row: TaskRow) -> None:
    """Index a new task without turns."""
    values = {"title": index_words(row.title), "repo": index_words(row.repo or ""), "lane": index_words(row.lane or "")}
    columns = f"INSERT INTO task_search ({_key(tx)}, title, turns, repo, lane, files)"
    await tx.session.execute(
        text(f"{columns} VALUES (:number, :title, '', :repo, :lane, '')"), {**values, "number": row.number}
    )


async def update_task(tx: Tx, number: int, changes: Mapping[str, Any]) -> None:
    """Index changed columns of a task; others than its title, repository and lane have no effect."""
    values = {name: index_words(changes[name] or "") for name in _TASK_COLUMNS if name in changes}
    if values:
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        statement = f"UPDATE task_search SET {assignments} WHERE {_key(tx)} = :number"  # noqa: S608 (our own names)
        await tx.session.execute(text(statement), {**values, "number": number})


async def add_turn(tx: Tx, number: int, words: str) -> None:
    """Index what a person wrote; past `MAX_TURNS_CHARS` the later turns of a task are left out."""
    statement = (
        f"UPDATE task_search SET turns = turns || ' ' || :words "  # noqa: S608 (our own names)
        f"WHERE {_key(tx)} = :number AND length(turns) < :most"
    )
    values = {"words": index_words(words), "number": number, "most": MAX_TURNS_CHARS}
    await tx.session.execute(text(statement), values)


async def set_files(tx: Tx, number: int, staged: Mapping[str, Any] | None) -> None:
    """Index the paths of a staged diff in its stored form."""
    if staged is None:
        return
    paths = index_words("\n".join(str(file.get("path", "")) for file in staged.get("files", ())))
    statement = f"UPDATE task_search SET files = :paths WHERE {_key(tx)} = :number"  # noqa: S608 (our own names)
    await tx.session.execute(text(statement), {"paths": paths, "number": number})


async def matching(
    tx: Tx, query: SearchQuery, before: int, limit: int, names: Collection[str] | None = None
) -> list[int]:
    """The numbers of tasks that match a query and are below `before`, the newest first, at most `limit`.

    `names` are as for `listed`: what another team wrote is not even counted.
    """
    values: dict[str, Any] = {"before": before, "most": limit}
    among, repos = _among(names)
    values |= repos
    if _is_sqlite(tx):
        values["query"] = fts5_query(query)
        statement = (
            "SELECT rowid FROM task_search WHERE task_search MATCH :query AND rowid < :before"  # noqa: S608
            f"{among('task_search.rowid')} "
            "ORDER BY rowid DESC LIMIT :most"
        )
    else:
        condition, words = tsquery(query)
        values |= words
        statement = (
            f"SELECT number FROM task_search WHERE document @@ ({condition}) AND number < :before"  # noqa: S608
            f"{among('task_search.number')} ORDER BY number DESC LIMIT :most"
        )
    rows = await tx.session.execute(text(statement), values)
    return [int(number) for (number,) in rows]


def _among(names: Collection[str] | None) -> tuple[Callable[[str], str], dict[str, str]]:
    """The condition that a task is in one of these repositories or has none yet, and its parameters."""
    if names is None:
        return (lambda _number: ""), {}
    values = {f"repo{n}": name for n, name in enumerate(sorted(names))}
    listed_names = ", ".join(f":{key}" for key in values) or "NULL"
    condition = f"tasks.repo IS NULL OR tasks.repo IN ({listed_names})"

    def among(number: str) -> str:
        return f" AND EXISTS (SELECT 1 FROM tasks WHERE tasks.number = {number} AND ({condition}))"  # noqa: S608

    return among, values


async def listed(
    tx: Tx, wanted: TaskFilter, *, limit: int, names: Collection[str] | None, among: Collection[int] | None = None
) -> list[TaskRow]:
    """The newest tasks that the filter's columns allow, at most `limit`; its search is left to `matching`.

    `names` are the repositories that may be listed (None: all); tasks without one are listed too. `among` are numbers.
    """
    query = select(TaskRow)
    if wanted.state is not None:
        query = query.where(TaskRow.state == wanted.state.value)
    for column, value in ((TaskRow.repo, wanted.repo), (TaskRow.lane, wanted.lane), (TaskRow.requester, wanted.person)):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(TaskRow.created_ms >= to_ms(wanted.since))
        query = query.where(col(TaskRow.number) > await _first_since(tx, to_ms(wanted.since)) - _CLOCK_SLACK)
    if wanted.before is not None:
        query = query.where(col(TaskRow.number) < wanted.before)
    query = query.where(*in_repositories(names))
    if among is not None:
        query = query.where(col(TaskRow.number).in_(among))
    return list(await tx.session.exec(query.order_by(col(TaskRow.number).desc()).limit(limit)))


def in_repositories(names: Collection[str] | None) -> list[ColumnElement[bool]]:
    """The condition that a task is in one of these repositories, or has none yet; none for all of them (None)."""
    return [] if names is None else [or_(col(TaskRow.repo).in_(sorted(names)), col(TaskRow.repo).is_(None))]


async def _first_since(tx: Tx, since_ms: int) -> int:
    """The number of the first task that was requested since then; what follows has larger numbers, within the slack."""
    oldest = select(TaskRow.number).where(TaskRow.created_ms >= since_ms).order_by(col(TaskRow.created_ms)).limit(1)
    return (await tx.session.exec(oldest)).first() or 2**31 - 1


def fts5_query(query: SearchQuery) -> str:
    """The query for FTS5 (https://sqlite.org/fts5.html#full_text_query_syntax); words hold letters and digits only."""
    wanted = " AND ".join(_fts5_term(term) for term in query.terms if not term.is_excluded)
    return "".join([f"({wanted})", *(f" NOT {_fts5_term(term)}" for term in query.terms if term.is_excluded)])


def _fts5_term(term: SearchTerm) -> str:
    phrase = " ".join(term.words).replace('"', '""')
    return f'"{phrase}"{" *" if term.is_prefix else ""}'


def tsquery(query: SearchQuery) -> tuple[str, dict[str, str]]:
    """The query for PostgreSQL as an expression with parameters, and their values."""
    parts, values = [], {}
    for n, term in enumerate(query.terms):
        values[f"word{n}"] = " <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.is_prefix else "")
        parts.append(f"{'!! ' if term.is_excluded else ''}to_tsquery('simple', :word{n})")
    return " && ".join(parts), values
