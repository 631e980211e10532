"""Sign-ins that began at an identity provider, codes of authenticator apps, and where sessions come from."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Create the tables; earlier sessions have no place and no step-up, earlier approvals no code."""
    op.create_table(
        "provider_sign_ins",
        sa.Column("state_sha256", sa.String(), primary_key=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("browser_sha256", sa.String(), nullable=False),
        sa.Column("earlier_session", sa.String(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "authenticators",
        sa.Column("person", sa.String(), primary_key=True),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("is_confirmed", sa.Boolean(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("code_sha256", sa.String(), primary_key=True),
        sa.Column("person", sa.String(), nullable=False),
    )
    op.create_index("ix_recovery_codes_person", "recovery_codes", ["person"], unique=False)
    op.add_column("web_sessions", sa.Column("method", sa.String(), nullable=True))
    op.add_column("web_sessions", sa.Column("address", sa.String(), nullable=True))
    op.add_column("web_sessions", sa.Column("stepped_up_ms", sa.BigInteger(), nullable=True))
    op.add_column("approvals", sa.Column("step_up", sa.String(), nullable=True))
