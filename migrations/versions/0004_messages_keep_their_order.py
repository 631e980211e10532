"""Messages keep their order: later notes and cards of a channel wait for one that was put off."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns, and set the channel of unsent notes."""
    op.add_column("notes", sa.Column("channel", sa.String(), nullable=False, server_default=""))
    for table in ("notes", "cards"):
        op.add_column(table, sa.Column("in_order", sa.Boolean(), nullable=False, server_default=sa.true()))
    notes = sa.table("notes", sa.column("id", sa.Integer()), sa.column("place", sa.JSON()), sa.column("channel"))
    connection = op.get_bind()
    for id_, place in connection.execute(sa.select(notes.c.id, notes.c.place)).all():
        connection.execute(notes.update().where(notes.c.id == id_).values(channel=place["channel"]))
    op.create_index("notes_in_order", "notes", ["surface", "channel", "state", "id"], unique=False)
