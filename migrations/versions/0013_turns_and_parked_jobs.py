"""Turns and parked jobs: the people in the queue take turns, and what may not run is out of the way."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

PRIORITY_MS = 600_000
_NOW_MS = {
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}
_CLAIMABLE = "state = 'ready' AND parked IS NULL"


def upgrade() -> None:
    """Add the columns and tables; replace indexes of all jobs by ones of those that are not finished."""
    now_ms = _NOW_MS[op.get_bind().dialect.name]
    op.add_column("jobs", sa.Column("turn_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("parked", sa.String(), nullable=True))
    op.execute(f"UPDATE jobs SET turn_ms = rank_ms + priority * {PRIORITY_MS}")  # noqa: S608 (of constants)
    op.execute(f"UPDATE jobs SET parked = 'later' WHERE state = 'ready' AND ready_ms > {now_ms}")  # noqa: S608
    for index in ("jobs_to_claim", "jobs_by_deadline", "jobs_of_owner"):
        op.drop_index(index, table_name="jobs")
    _index("jobs_to_claim", ["capabilities", "rank_ms", "id"], _CLAIMABLE)
    _index("jobs_by_deadline", ["capabilities", "deadline_ms"], f"{_CLAIMABLE} AND deadline_ms IS NOT NULL")
    _index("jobs_by_turn", ["turn_ms"], _CLAIMABLE)
    _index("jobs_of_key", ["person", "priority"], "state = 'ready'")
    _index("jobs_parked", ["parked", "rank_ms", "id"], "state = 'ready' AND parked IS NOT NULL")
    _index("jobs_later", ["ready_ms"], "state = 'ready' AND parked = 'later'")
    _index("jobs_running", ["owner"], "state = 'running'")
    _index("jobs_of_lane", ["lane"], "state = 'ready'")
    _index("jobs_of_repository", ["repository"], "state = 'ready'")
    op.create_table(
        "queue_turns",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("turn_ms", sa.BigInteger(), nullable=False),
        sa.Column("resumed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person", "priority"),
    )
    op.create_index("queue_turns_last", "queue_turns", ["turn_ms"])
    op.create_index("tasks_of_requester", "tasks", ["requester", "created_ms"])
    op.create_index("tasks_by_creation", "tasks", ["created_ms", "number"])
    op.create_index("spending_by_time", "spending", ["at_ms"])
    op.create_index("spending_of_person", "spending", ["person", "at_ms"])
    # the queue is paused while there is a row, whatever its value
    op.execute("DELETE FROM settings WHERE name = 'pause' AND CAST(value AS VARCHAR) = '{}'")


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "jobs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
