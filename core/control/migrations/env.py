"""Alembic's entry point; the connection is handed in by `ControlDatabase.migrate`."""

from alembic import context

from core.control.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
