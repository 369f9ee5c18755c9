"""Find an organisation's rows of the audit log by time: its page shows some days of six years."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_audit_event_namespace_name_happened_at", "audit_event", ["namespace", "name", "happened_at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_audit_event_namespace_name_happened_at", "audit_event")
