"""Messages and tasks: each message is bound to its task; questions with buttons; notified people and outcomes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add tables and columns, and bind the messages of existing cards to their tasks."""
    op.create_table(
        "task_messages",
        sa.Column("surface", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["tasks.number"]),
        sa.PrimaryKeyConstraint("surface", "channel", "message_id"),
    )
    op.create_index("ix_task_messages_number", "task_messages", ["number"], unique=False)
    op.create_table(
        "choices",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("surface", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("dedup", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("place", sa.JSON(), nullable=False),
        sa.Column("reply_to", sa.String(), nullable=True),
        sa.Column("only_to", sa.String(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["tasks.number"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_outcomes_number", "outcomes", ["number"], unique=False)
    op.create_table(
        "notified",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["tasks.number"]),
        sa.PrimaryKeyConstraint("number", "revision", "person"),
    )
    op.add_column("cards", sa.Column("former", sa.String(), nullable=True))
    op.add_column("notes", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("notes", sa.Column("choices", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("notes", sa.Column("mentions", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("link_codes", sa.Column("shown_as", sa.Text(), nullable=True))
    op.execute(
        "INSERT INTO task_messages (surface, channel, message_id, number, at_ms) "
        "SELECT surface, channel, message_id, MAX(number), MAX(created_ms) FROM cards "
        "WHERE message_id IS NOT NULL GROUP BY surface, channel, message_id"
    )
