"""What the provider and patients answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add what reports tell of messages and numbers, and when somebody wanted messages again."""
    op.add_column("send", sa.Column("attempts", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("send", sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("opt_out", sa.Column("opted_in_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "number_trouble",
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "number", name="pk_number_trouble"),
    )


def downgrade() -> None:
    """Remove it; who wants messages again is taken off the list of those who want none."""
    op.drop_table("number_trouble")
    op.execute("DELETE FROM opt_out WHERE opted_in_at IS NOT NULL AND opted_in_at > opted_out_at")
    with op.batch_alter_table("opt_out") as batch:
        batch.drop_column("opted_in_at")
    with op.batch_alter_table("send") as batch:
        batch.drop_column("reported_at")
        batch.drop_column("attempts")
