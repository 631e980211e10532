"""Observing: the index of the tasks that wait for another one."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0018"


def upgrade() -> None:
    """Create the index."""
    condition = sa.text("after IS NOT NULL")
    op.create_index("tasks_by_after", "tasks", ["after"], sqlite_where=condition, postgresql_where=condition)

