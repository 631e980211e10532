"""Spending becomes a ledger: an entry for each call of a model, in place of a sum for each job and model."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

CARRIED_OVER = "~carried-over"
"""The part of entries that were sums before; no part of a job has this name."""


def upgrade() -> None:
    """Create the ledger, and copy every sum as one entry."""
    op.drop_index("spending_of_lane", "spending")
    op.drop_index("ix_spending_number", "spending")
    op.rename_table("spending", "spending_sums")
    op.create_table(
        "spending",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("call", sa.String(), nullable=False),
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
        sa.PrimaryKeyConstraint("job_id", "part", "call"),
    )
    op.execute(
        sa.text(
            "INSERT INTO spending (job_id, part, call, model, number, lane, person, calls, input_tokens, "
            "output_tokens, usd, at_ms) "
            "SELECT job_id, :part, attempt || ' ' || model, model, number, lane, person, calls, input_tokens, "
            "output_tokens, usd, at_ms FROM spending_sums"
        ).bindparams(part=CARRIED_OVER)
    )
    op.drop_table("spending_sums")
    op.create_index("spending_of_lane", "spending", ["lane", "at_ms"], unique=False)
    op.create_index("ix_spending_number", "spending", ["number"], unique=False)
