"""Teams: figures by day are counted for each repository, so that a team sees its own.

The figures are sums of other rows. They are counted again, for the last 90 days.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Create the table anew, with the repository in its key."""
    op.drop_table("day_figures")
    op.create_table(
        "day_figures",
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("repository", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("bins", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("day_ms", "measure", "name", "repository"),
    )
