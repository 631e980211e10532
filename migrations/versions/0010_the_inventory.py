"""The inventory: endpoints and what is learned of families on them, and the hardware of nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the tables, the hardware of nodes, and the duty of whoever looks at the endpoints."""
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("snapshot", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("checked_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=True),
        sa.Column("drained_ms", sa.BigInteger(), nullable=True),
        sa.Column("drained_by", sa.String(), nullable=True),
        sa.Column("drained_reason", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("open_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_trial_running", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "family_timings",
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("average_s", sa.Float(), nullable=False),
        sa.Column("recent", sa.JSON(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "family", "kind"),
    )
    op.create_table(
        "family_memory",
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("factor", sa.Float(), nullable=False),
        sa.Column("observed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "family"),
    )
    op.add_column("nodes", sa.Column("hardware", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("nodes", sa.Column("hardware_ms", sa.BigInteger(), nullable=True))
    op.execute("INSERT INTO leaders (duty, until_ms) VALUES ('inventory', 0)")
