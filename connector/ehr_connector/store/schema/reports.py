"""What reports are made of, and the audit log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Float, Index, Integer, PrimaryKeyConstraint, String, Table

from ehr_connector.store.schema.columns import DIGEST, ID, KEYED, NAME, Moment, metadata

call_record = Table(
    "call_record",
    metadata,
    Column("tenant_id", String(36), nullable=False),
    Column("record", String(64), nullable=False),
    Column("told_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    PrimaryKeyConstraint("tenant_id", "record"),
)
"""Call records that Microsoft has told of and that are still to be fetched. They may be of any call in the tenant."""

call_quality = Table(
    "call_quality",
    metadata,
    Column("call", String(KEYED), nullable=False),
    Column("leg", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("visit", String(KEYED), nullable=False, index=True),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    Column("environment", String(10), nullable=False),
    Column("department", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("location", String(64), nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("day", Date, nullable=False),
    Column("side", String(16), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("duration_s", Integer, nullable=False),
    Column("network_kind", String(16), nullable=False),
    Column("platform", String(16), nullable=False),
    Column("jitter_ms", Float, nullable=True),
    Column("max_jitter_ms", Float, nullable=True),
    Column("round_trip_ms", Float, nullable=True),
    Column("max_round_trip_ms", Float, nullable=True),
    Column("packet_loss", Float, nullable=True),
    Column("max_packet_loss", Float, nullable=True),
    Column("concealed_audio", Float, nullable=True),
    Column("max_concealed_audio", Float, nullable=True),
    Column("audio_degradation", Float, nullable=True),
    Column("frame_rate", Float, nullable=True),
    Column("freeze_ms", Float, nullable=True),
    Column("low_frame_rate", Float, nullable=True),
    PrimaryKeyConstraint("call", "leg"),
    Index(None, "namespace", "name", "starts_at"),
    Index(
        "ix_call_quality_sums",
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
    ),
)
"""How well each participant's part of a call went: figures alone."""

report_visit = Table(
    "report_visit",
    metadata,
    Column("visit", String(KEYED), nullable=False),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    Column("environment", String(10), nullable=False),
    Column("department", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("day", Date, nullable=False),
    Column("status", String(24), nullable=False),
    Column("started_at", Moment, nullable=True),
    Column("ended_at", Moment, nullable=True),
    Column("duration_s", Integer, nullable=False),
    Column("lobby_wait_s", Integer, nullable=True),
    Column("attendees", Integer, nullable=False),
    Column("peak_attendees", Integer, nullable=False),
    Column("brought_by", String(8), nullable=False),
    Column("device_test", String(32), nullable=True),
    PrimaryKeyConstraint("visit"),
    Index(None, "namespace", "name", "starts_at"),
    Index(
        "ix_report_visit_sums",
        "namespace",
        "name",
        "day",
        "status",
        "department",
        "endpoint",
        "brought_by",
        "environment",
        "starts_at",
        "duration_s",
        "attendees",
    ),
    Index(
        "ix_report_visit_waits",
        "namespace",
        "name",
        "day",
        "lobby_wait_s",
        "department",
        "endpoint",
        "environment",
        "starts_at",
    ),
)
"""What the reports say of each visit: made from its events, and made anew when there are more."""

report_due = Table(
    "report_due",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("visit", String(KEYED), nullable=False, index=True),
    Column("due_at", Moment, nullable=False, index=True),
)
"""Marks of visits whose row in the reports is to be made anew: at once after an event, or when time alone changes it.

A visit may have several, so that nobody who adds one waits for another.
"""

audit_event = Table(
    "audit_event",
    metadata,
    Column("number", ID, nullable=False, autoincrement=False),
    Column("happened_at", Moment, nullable=False),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("action", String(32), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("object", String(256), nullable=False),
    Column("previous", String(DIGEST), nullable=False),
    Column("digest", String(DIGEST), nullable=False),
    PrimaryKeyConstraint("number"),
    Index(None, "namespace", "name", "happened_at"),
)
"""Who did what, each row chained to the one before by its digest. Actor and object are opaque."""
