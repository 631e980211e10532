"""Provenance of changes: the journal of unfinished work, what models spent, and the progress of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add tables and columns; existing rows are not changed."""
    op.create_table(
        "journal",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "part", "n"),
    )
    op.create_table(
        "spending",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "attempt", "model"),
    )
    op.create_index("spending_of_lane", "spending", ["lane", "at_ms"], unique=False)
    op.create_index("ix_spending_number", "spending", ["number"], unique=False)
    op.add_column("revisions", sa.Column("making", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("tasks", sa.Column("parameters", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("progress", sa.Text(), nullable=True))
