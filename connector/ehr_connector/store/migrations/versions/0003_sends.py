"""Messages: what was claimed and sent, and who wants none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "send",
        sa.Column("digest", sa.String(43), nullable=False),
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(253), nullable=False),
        sa.Column("occasion", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("first_sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=True),
        sa.Column("message_id", sa.String(128), nullable=True),
        sa.Column("recipient", sa.String(43), nullable=True),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_send"),
        sa.UniqueConstraint("message_id", name="uq_send_message_id"),
    )
    op.create_index("ix_send_visit", "send", ["visit"])
    op.create_index("ix_send_recipient", "send", ["recipient"])
    op.create_table(
        "opt_out",
        sa.Column("recipient", sa.String(43), nullable=False),
        sa.Column("opted_out_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("recipient", name="pk_opt_out"),
    )


def downgrade() -> None:
    """Remove the tables, and with them the knowledge of what was sent and who wants nothing."""
    op.drop_table("opt_out")
    op.drop_table("send")
