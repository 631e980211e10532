"""What a recurring request sets of its lane's parameters, and why one was paused."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add columns; nothing that an older version wrote is changed."""
    op.add_column("schedules", sa.Column("parameters", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("schedules", sa.Column("problem", sa.String(), nullable=True))
