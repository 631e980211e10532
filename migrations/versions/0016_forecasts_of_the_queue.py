"""Forecasts of the queue: when each job is expected to begin, and what its card says; and the loads of models."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the tables, and the duty of the worker that forecasts where no models are scheduled."""
    op.create_table(
        "job_forecasts",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.Integer(), nullable=False),
        sa.Column("start", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("finish", sa.JSON(), nullable=False),
        sa.Column("promised_ms", sa.BigInteger(), nullable=True),
        sa.Column("announced", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_table(
        "model_loads",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("model_loads_by_time", "model_loads", ["at_ms"])
    op.execute("INSERT INTO leaders (duty, until_ms) VALUES ('forecast', 0)")
