"""The scope of a request: the repositories of the conversation in which it was made."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; in existing rows it is null, which stands for every repository."""
    op.add_column("tasks", sa.Column("scope", sa.JSON(none_as_null=True), nullable=True))
