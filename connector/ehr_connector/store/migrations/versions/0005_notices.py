"""What patients of coming visits know, and from where a message went out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables, and add to messages what tells whether one may have gone out."""
    op.add_column("send", sa.Column("sender", sa.String(254), nullable=True))
    op.add_column("send", sa.Column("about", sa.String(43), nullable=True))
    op.create_table(
        "notice",
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(253), nullable=False),
        sa.Column("about", sa.String(43), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("visit", name="pk_notice"),
    )
    op.create_index("ix_notice_noted_at", "notice", ["noted_at"])
    op.create_table(
        "notice_reading",
        sa.Column("reading", sa.String(43), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("covered_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("reading", name="pk_notice_reading"),
    )


def downgrade() -> None:
    """Remove the tables, and with them the knowledge of what patients were told."""
    op.drop_table("notice_reading")
    op.drop_table("notice")
    with op.batch_alter_table("send") as batch:
        batch.drop_column("about")
        batch.drop_column("sender")
