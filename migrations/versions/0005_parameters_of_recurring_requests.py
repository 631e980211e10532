"""Recurring requests: the parameters that one sets, and why one was paused."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add columns; existing rows are not changed."""
    op.add_column("schedules", sa.Column("parameters", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("schedules", sa.Column("problem", sa.String(), nullable=True))
