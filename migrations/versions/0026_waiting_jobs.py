"""An index of the jobs that wait for another task, so that a million finished ones slow no look at the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    """Create it on both databases."""
    op.create_index("jobs_waiting", "jobs", ["created_ms"], sqlite_where=WAITING, postgresql_where=WAITING)
