"""Organisations, the base URLs they hold, and the evidence of their visits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "organization",
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("configured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", name="pk_organization"),
    )
    op.create_table(
        "base_url_claim",
        sa.Column("base_url", sa.String(512), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(253), nullable=False),
        sa.PrimaryKeyConstraint("base_url", name="pk_base_url_claim"),
        sa.ForeignKeyConstraint(
            ["namespace", "name"],
            ["organization.namespace", "organization.name"],
            name="fk_base_url_claim_organization",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "profile_evidence",
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(253), nullable=False),
        sa.Column("profile_digest", sa.String(71), nullable=False),
        sa.Column("provider_launches", sa.Integer, nullable=False),
        sa.Column("patient_joins", sa.Integer, nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("namespace", "name", "endpoint", "profile_digest", name="pk_profile_evidence"),
    )
    op.create_table(
        "record_evidence",
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("record", sa.String(253), nullable=False),
        sa.Column("last_seen_launch", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "record", name="pk_record_evidence"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("record_evidence", "profile_evidence", "base_url_claim", "organization"):
        op.drop_table(table)
