"""Model leases: who uses, waits for or used which model of which endpoint."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table, and the duty of whoever grants."""
    op.create_table(
        "model_leases",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("is_chat", sa.Boolean(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.JSON(), nullable=False),
        sa.Column("arrived_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("granted_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_model_leases_state", "model_leases", ["state", "arrived_ms"])
    op.create_index("ix_model_leases_job", "model_leases", ["job"])
    op.execute("INSERT INTO leaders (duty, until_ms) VALUES ('leases', 0)")
