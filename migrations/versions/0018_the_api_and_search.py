"""The API and the search: tokens, stored responses, the full-text index, and the indexes of filtered lists."""

import sqlalchemy as sa
from alembic import op

from core.model.search_query import MAX_INDEXED_CHARS, index_words

revision = "0018"
down_revision = "0017"

BATCH = 2000
MAX_TURNS_CHARS = 16 * MAX_INDEXED_CHARS


def upgrade() -> None:
    """Create the tables, and index the tasks that there are."""
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("repositories", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "api_responses",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["token"], ["api_tokens.id"]),
        sa.PrimaryKeyConstraint("token", "key"),
    )
    op.create_index("api_responses_by_age", "api_responses", ["at_ms"], unique=False)
    for name, column in (("repo", "repo"), ("lane", "lane"), ("requester", "requester")):
        op.create_index(f"tasks_by_{name}", "tasks", [column, "number"], unique=False)
    _create_index()
    _index_tasks()


def _create_index() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE task_search USING fts5("
            "title, turns, repo, lane, files, tokenize = 'unicode61 remove_diacritics 0')"
        )
        return
    op.execute(
        "CREATE TABLE task_search ("
        "number INTEGER PRIMARY KEY REFERENCES tasks (number), title TEXT NOT NULL, turns TEXT NOT NULL, "
        "repo TEXT NOT NULL, lane TEXT NOT NULL, files TEXT NOT NULL, document tsvector NOT NULL GENERATED ALWAYS AS "
        "(to_tsvector('simple', title || ' ' || turns || ' ' || repo || ' ' || lane || ' ' || files)) STORED)"
    )
    op.execute("CREATE INDEX task_search_words ON task_search USING gin (document)")


def _index_tasks() -> None:
    """Index all tasks, a batch at a time."""
    connection, last = op.get_bind(), 0
    tasks = sa.table("tasks", *map(sa.column, ("number", "title", "repo", "lane")))
    key = "rowid" if connection.dialect.name == "sqlite" else "number"
    insert = sa.text(
        f"INSERT INTO task_search ({key}, title, turns, repo, lane, files) "  # noqa: S608 (our own name)
        "VALUES (:number, :title, :turns, :repo, :lane, :files)"
    )
    while True:
        query = sa.select(tasks).where(tasks.c.number > last).order_by(tasks.c.number).limit(BATCH)
        rows = connection.execute(query).all()
        if not rows:
            return
        first, last = rows[0].number, rows[-1].number
        turns, files = _turns(connection, first, last), _files(connection, first, last)
        connection.execute(
            insert,
            [
                {
                    "number": row.number,
                    "title": index_words(row.title),
                    "turns": " ".join(turns.get(row.number, ()))[:MAX_TURNS_CHARS],
                    "repo": index_words(row.repo or ""),
                    "lane": index_words(row.lane or ""),
                    "files": files.get(row.number, ""),
                }
                for row in rows
            ],
        )


def _turns(connection: sa.Connection, first: int, last: int) -> dict[int, list[str]]:
    """The words of the turns of some tasks."""
    turns = sa.table("turns", *map(sa.column, ("number", "n", "text")))
    query = sa.select(turns).where(turns.c.number.between(first, last)).order_by(turns.c.number, turns.c.n)
    words: dict[int, list[str]] = {}
    for row in connection.execute(query):
        words.setdefault(row.number, []).append(index_words(row.text))
    return words


def _files(connection: sa.Connection, first: int, last: int) -> dict[int, str]:
    """The words of the paths that the newest staged revision of some tasks changes."""
    revisions = sa.table("revisions", sa.column("number"), sa.column("n"), sa.column("staged", sa.JSON))
    query = sa.select(revisions).where(revisions.c.number.between(first, last)).order_by(revisions.c.n)
    rows = [row for row in connection.execute(query) if row.staged]
    return {
        row.number: index_words("\n".join(str(file.get("path", "")) for file in row.staged.get("files", ())))
        for row in rows
    }
