"""What Microsoft Graph refused when a meeting was to be made, as one process tells it to those who serve the control API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision: str | None = "0013"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "graph_refusal",
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "reason", name="pk_graph_refusal"),
    )


def downgrade() -> None:
    """Remove it; the next meeting that is refused tells it anew."""
    op.drop_table("graph_refusal")
