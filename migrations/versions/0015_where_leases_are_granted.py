"""Where a model lease was granted, and what its work says of itself: class, priority, deadline and part of the job."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the columns; leases of older versions name the one endpoint that they were granted on."""
    op.add_column("model_leases", sa.Column("part", sa.String(), nullable=False, server_default=""))
    op.add_column("model_leases", sa.Column("is_agent", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("model_leases", sa.Column("is_reservation", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("model_leases", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("model_leases", sa.Column("deadline_ms", sa.BigInteger(), nullable=True))
    op.add_column("model_leases", sa.Column("place", sa.JSON(), nullable=True))
