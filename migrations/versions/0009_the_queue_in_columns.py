"""The queue in columns: what queries of jobs, pull requests and nodes use is no longer within JSON."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

AGE_PER_PRIORITY_MS = 600_000

_CAPABILITIES = {
    "sqlite": "SELECT group_concat(value, char(10)) FROM (SELECT value FROM json_each(jobs.needs) ORDER BY value)",
    "postgresql": "SELECT string_agg(v, chr(10) ORDER BY v) FROM json_array_elements_text(jobs.needs) AS n(v)",
}
_FIELD = {
    "sqlite": "json_extract(pull_request, '$.{}')",
    "postgresql": "(pull_request ->> '{}')",
}


def upgrade() -> None:
    """Add tables and columns, fill them from the JSON, and remove the JSON."""
    dialect = op.get_bind().dialect.name
    _jobs(dialect)
    _pull_requests(dialect)
    _nodes()
    op.create_table(
        "leaders",
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("duty"),
    )
    op.execute("INSERT INTO leaders (duty, until_ms) VALUES ('sweep', 0)")


def _jobs(dialect: str) -> None:
    """Set the columns of existing jobs; their write sets are not known, because lanes are not in the database."""
    op.add_column("jobs", sa.Column("repository", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("lane", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("person", sa.String(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("write_set", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("rank_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("capabilities", sa.String(), nullable=False, server_default=""))
    of_revision = "FROM revisions WHERE revisions.number = jobs.number AND revisions.n = jobs.revision"
    op.execute(
        "UPDATE jobs SET "  # noqa: S608 (of constants)
        f"rank_ms = ready_ms - priority * {AGE_PER_PRIORITY_MS}, "
        f"capabilities = coalesce(({_CAPABILITIES[dialect]}), ''), "
        "repository = (SELECT repo FROM tasks WHERE tasks.number = jobs.number), "
        f"lane = (SELECT lane {of_revision}), "
        f"person = coalesce((SELECT author {of_revision}), '')"
    )
    for index in ("jobs_to_claim", "jobs_by_age", "jobs_by_deadline"):
        op.drop_index(index, table_name="jobs")
    op.drop_column("jobs", "needs")
    op.create_index("jobs_to_claim", "jobs", ["state", "capabilities", "rank_ms"], unique=False)
    op.create_index("jobs_by_deadline", "jobs", ["state", "capabilities", "deadline_ms"], unique=False)
    op.create_index("jobs_by_readiness", "jobs", ["state", "ready_ms"], unique=False)


def _pull_requests(dialect: str) -> None:
    op.create_table(
        "pull_requests",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("repository", sa.String(), nullable=False),
        sa.Column("pull", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("followed", sa.Boolean(), nullable=False),
        sa.Column("checks", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["tasks.number"]),
        sa.PrimaryKeyConstraint("number"),
    )
    field = _FIELD[dialect].format
    followed = "json_extract(pull_request, '$.followed')" if dialect == "sqlite" else f"{field('followed')}::boolean"
    op.execute(
        "INSERT INTO pull_requests (number, revision, repository, pull, url, branch, head, state, digest, followed, "  # noqa: S608
        "checks, files, updated_ms) "
        f"SELECT number, CAST({field('revision')} AS INTEGER), coalesce(repo, ''), CAST({field('number')} AS INTEGER), "
        f"{field('url')}, {field('branch')}, {field('head')}, {field('state')}, {field('digest')}, "
        f"coalesce({followed}, {'0' if dialect == 'sqlite' else 'false'}), "
        f"coalesce({field('checks')}, ''), coalesce({field('files')}, ''), updated_ms "
        "FROM tasks WHERE pull_request IS NOT NULL"
    )
    op.create_index("pull_requests_by_number", "pull_requests", ["repository", "pull"], unique=False)
    op.create_index("pull_requests_by_head", "pull_requests", ["repository", "head"], unique=False)
    op.drop_column("tasks", "pull_request")


def _nodes() -> None:
    """Give each node the capabilities of the newest worker on it."""
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("offers", sa.JSON(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.execute(  # ids sort by time
        "INSERT INTO nodes (name, offers, updated_ms) SELECT node, offers, started_ms FROM workers "
        "WHERE id IN (SELECT max(id) FROM workers GROUP BY node)"
    )
    op.drop_column("workers", "offers")
