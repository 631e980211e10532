"""Extensions of budgets, what a task does when the one it waits for fails, and runs that tasks share."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the table and the columns; existing tasks fail if the one that they wait for does, as they did."""
    op.create_table(
        "budget_extensions",
        sa.Column("number", sa.Integer(), sa.ForeignKey("tasks.number"), primary_key=True),
        sa.Column("revision", sa.Integer(), primary_key=True),
        sa.Column("n", sa.Integer(), primary_key=True),
        sa.Column("person", sa.String(), nullable=True),
        sa.Column("surface", sa.String(), nullable=True),
        sa.Column("is_day", sa.Boolean(), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=False),
        sa.Column("spent_tokens", sa.BigInteger(), nullable=False),
        sa.Column("spent_usd", sa.Float(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.add_column("tasks", sa.Column("if_failed", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("run_key", sa.String(), nullable=True))
    op.create_index("jobs_by_run", "jobs", ["run_key", "state"])
