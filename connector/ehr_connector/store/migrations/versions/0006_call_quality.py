"""Call quality: the subscription of a tenant, what is to be fetched, and the figures."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qsl, unquote, urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

_FIGURES = (
    *("jitter_ms", "max_jitter_ms", "round_trip_ms", "max_round_trip_ms", "packet_loss", "max_packet_loss"),
    *("concealed_audio", "max_concealed_audio", "audio_degradation", "frame_rate", "freeze_ms", "low_frame_rate"),
)


def upgrade() -> None:
    """Create the tables, and let the visits that are there be found by their meetings."""
    op.create_table(
        "tenant_subscription",
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("client_id", sa.String(36), nullable=False),
        sa.Column("notification_url", sa.String(600), nullable=False),
        sa.Column("subscription_id", sa.String(64), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_tenant_subscription"),
    )
    op.create_table(
        "call_record",
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("record", sa.String(64), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "record", name="pk_call_record"),
    )
    op.create_index("ix_call_record_due_at", "call_record", ["due_at"])
    op.create_table(
        "call_quality",
        sa.Column("call", sa.String(43), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("visit", sa.String(43), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(253), nullable=False),
        sa.Column("environment", sa.String(10), nullable=False),
        sa.Column("department", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("location", sa.String(64), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_s", sa.Integer(), nullable=False),
        sa.Column("network_kind", sa.String(16), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        *(sa.Column(figure, sa.Float(), nullable=True) for figure in _FIGURES),
        sa.PrimaryKeyConstraint("call", "leg", name="pk_call_quality"),
    )
    op.create_index("ix_call_quality_visit", "call_quality", ["visit"])
    op.create_index("ix_call_quality_namespace_name_starts_at", "call_quality", ["namespace", "name", "starts_at"])
    op.add_column("visit", sa.Column("meeting_digest", sa.String(43), nullable=True))
    op.add_column("visit", sa.Column("location", sa.String(64), nullable=True))
    op.create_index("ix_visit_meeting_digest", "visit", ["meeting_digest"])
    _fill_in()


def downgrade() -> None:
    """Remove the tables; Microsoft keeps call records for thirty days."""
    op.drop_index("ix_visit_meeting_digest", "visit")
    with op.batch_alter_table("visit") as batch:
        batch.drop_column("location")
        batch.drop_column("meeting_digest")
    op.drop_table("call_quality")
    op.drop_table("call_record")
    op.drop_table("tenant_subscription")


def _fill_in() -> None:
    visit = sa.table("visit", sa.column("visit"), sa.column("join_web_url"), sa.column("meeting_digest"))
    connection = op.get_bind()
    found = connection.execute(sa.select(visit.c.visit, visit.c.join_web_url).where(visit.c.join_web_url.is_not(None)))
    rows = [{"name": row.visit, "digest": _digest(row.join_web_url)} for row in found]
    if rows:
        statement = sa.update(visit).where(visit.c.visit == sa.bindparam("name"))
        connection.execute(statement.values(meeting_digest=sa.bindparam("digest")), rows)


def _digest(join_web_url: str) -> str:
    """Return the digest as `ehr_connector.visits.meeting_digest` had it when this was written."""
    parts = urlsplit(join_web_url)
    query = sorted(pair for pair in parse_qsl(parts.query) if pair[0] != "anon")
    said = "\n".join((unquote(parts.path), *(f"{name}={value}" for name, value in query)))
    return urlsafe_b64encode(sha256(said.encode()).digest()).rstrip(b"=").decode()
