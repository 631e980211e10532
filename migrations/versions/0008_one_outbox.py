"""One outbox: cards, notes, webhook deliveries and inbound deliveries are leased by one protocol, with fences."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns of leases; owed rows stay owed, and existing leases expire as before."""
    for table in ("cards", "notes", "deliveries", "inbox"):
        op.add_column(table, sa.Column("fence", sa.BigInteger(), nullable=False, server_default="0"))
    for table in ("deliveries", "inbox"):
        op.add_column(table, sa.Column("held_ms", sa.BigInteger(), nullable=False, server_default="0"))
