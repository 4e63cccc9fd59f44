"""Runs the migrations on the connection that leadintake.adapters.sql.migrate hands over, one transaction each."""

from alembic import context

from leadintake.adapters.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
