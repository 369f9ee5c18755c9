"""Reports: a row for each visit, made from its events, and which rows are to be made anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables, and let every visit that is known get its row."""
    op.create_table(
        "report_visit",
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(253), nullable=False),
        sa.Column("environment", sa.String(10), nullable=False),
        sa.Column("department", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_s", sa.Integer(), nullable=False),
        sa.Column("lobby_wait_s", sa.Integer(), nullable=True),
        sa.Column("attendees", sa.Integer(), nullable=False),
        sa.Column("peak_attendees", sa.Integer(), nullable=False),
        sa.Column("brought_by", sa.String(8), nullable=False),
        sa.Column("device_test", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("visit", name="pk_report_visit"),
    )
    op.create_index("ix_report_visit_namespace_name_starts_at", "report_visit", ["namespace", "name", "starts_at"])
    op.create_table(
        "report_due",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_report_due"),
    )
    op.create_index("ix_report_due_visit", "report_due", ["visit"])
    op.create_index("ix_report_due_due_at", "report_due", ["due_at"])
    op.create_index("ix_send_namespace_name_first_sent_at", "send", ["namespace", "name", "first_sent_at"])
    op.execute("INSERT INTO report_due (visit, due_at) SELECT visit, recorded_at FROM visit")


def downgrade() -> None:
    """Remove the tables; what is in them can be made from the events."""
    op.drop_index("ix_send_namespace_name_first_sent_at", "send")
    op.drop_table("report_due")
    op.drop_table("report_visit")
