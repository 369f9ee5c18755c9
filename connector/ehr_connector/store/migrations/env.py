"""Alembic's entry: migrates the connection that `ehr_connector.store.migrate` gives it."""

from __future__ import annotations

from alembic import context

from ehr_connector.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
