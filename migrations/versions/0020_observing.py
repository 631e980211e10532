"""Observing: figures by day with the duty of counting them, and indexes of time and of dependencies."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Create the table and the indexes."""
    op.create_table(
        "day_figures",
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("bins", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("day_ms", "measure", "name"),
    )
    op.execute("INSERT INTO leaders (duty, until_ms) VALUES ('insight', 0)")
    waits, done = sa.text("after IS NOT NULL"), sa.text("state = 'done'")
    op.create_index("tasks_by_after", "tasks", ["after"], sqlite_where=waits, postgresql_where=waits)
    op.create_index("jobs_by_finish", "jobs", ["finished_ms", "id"], sqlite_where=done, postgresql_where=done)
    op.create_index("events_by_time", "events", ["at_ms", "kind"])
    op.create_index("approvals_by_time", "approvals", ["at_ms"])
