"""Visits: what happened in them, the clinicians' accounts, links, leases, limits and the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "visit",
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(253), nullable=False),
        sa.Column("environment", sa.String(10), nullable=False),
        sa.Column("profile_digest", sa.String(71), nullable=False),
        sa.Column("department", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organizer", sa.String(36), nullable=True),
        sa.Column("meeting_id", sa.String(512), nullable=True),
        sa.Column("join_web_url", sa.String(1024), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("visit", name="pk_visit"),
    )
    op.create_table(
        "visit_event",
        sa.Column("id", _ID, autoincrement=True),
        sa.PrimaryKeyConstraint("id", name="pk_visit_event"),
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("code", sa.String(32), nullable=True),
        sa.Column("participant", sa.String(43), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("visit", "key", name="uq_visit_event_visit_key"),
    )
    op.create_index("ix_visit_event_visit", "visit_event", ["visit"])
    op.create_index("ix_visit_event_recorded_at", "visit_event", ["recorded_at"])
    op.create_table(
        "account_link",
        sa.Column("base_url", sa.String(512), nullable=False),
        sa.Column("ehr_user", sa.String(128), nullable=False),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("entra_object_id", sa.String(36), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("base_url", "ehr_user", "tenant_id", name="pk_account_link"),
    )
    op.create_table(
        "guest_link",
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("visit", "number", name="pk_guest_link"),
    )
    op.create_table(
        "single_use",
        sa.Column("token", sa.String(43), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_single_use"),
    )
    op.create_index("ix_single_use_expires_at", "single_use", ["expires_at"])
    op.create_table(
        "graph_subscription",
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("subscription_id", sa.String(64), nullable=True),
        sa.UniqueConstraint("subscription_id", name="uq_graph_subscription_subscription_id"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("visit", name="pk_graph_subscription"),
    )
    op.create_index("ix_graph_subscription_due_at", "graph_subscription", ["due_at"])
    op.create_table(
        "lease",
        sa.Column("name", sa.String(600), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_table(
        "rate",
        sa.Column("bucket", sa.String(43), nullable=False),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("bucket", name="pk_rate"),
    )
    op.create_index("ix_rate_window_ends_at", "rate", ["window_ends_at"])
    op.create_table(
        "audit_event",
        sa.Column("number", _ID, nullable=False, autoincrement=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("object", sa.String(256), nullable=False),
        sa.Column("previous", sa.String(71), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_event"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "audit_event",
        "rate",
        "lease",
        "graph_subscription",
        "single_use",
        "guest_link",
        "account_link",
        "visit_event",
        "visit",
    ):
        op.drop_table(table)
