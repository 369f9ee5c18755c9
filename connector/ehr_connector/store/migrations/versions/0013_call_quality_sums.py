"""Answer the sums of call quality from an index alone, call after call: without it a page over a month takes seconds."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision: str | None = "0012"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "ix_call_quality_sums",
        "call_quality",
        [
            "namespace",
            "name",
            "day",
            "call",
            "starts_at",
            "department",
            "endpoint",
            "environment",
            "kind",
            "location",
            "side",
            "network_kind",
            "platform",
            "jitter_ms",
            "round_trip_ms",
            "packet_loss",
            "concealed_audio",
            "frame_rate",
        ],
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_call_quality_sums", "call_quality")
