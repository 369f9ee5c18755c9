"""Find a message by the id of its request: without this each delivery report reads every message that was ever sent."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_send_request_id", "send", ["request_id"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_send_request_id", "send")
