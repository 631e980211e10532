"""Alembic's environment: runs the migrations on the connection that `core.store.migrate` passes."""

from alembic import context
from sqlmodel import SQLModel

import core.store.account_table
import core.store.api_tables
import core.store.authenticator_tables
import core.store.budget_extensions
import core.store.comment_table
import core.store.forecast_tables
import core.store.insight_table
import core.store.inventory_tables
import core.store.lease_table
import core.store.message_tables
import core.store.output_tables
import core.store.passkey_tables
import core.store.provider_table  # noqa: F401 (with core.store.tables: fills the metadata)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
