"""The tables, as the newest migration leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A point in time, in UTC on both databases: SQLite keeps no zone, and PostgreSQL gives the session's."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Bring a time into UTC; one without a zone is an error of the program."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give a time with its zone."""
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


_NAME = 253
_DIGEST = 71

organization = Table(
    "organization",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("digest", String(_DIGEST), nullable=False),
    Column("document", Text, nullable=False),
    Column("configured_at", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name"),
)
"""The configuration of each organisation: one document of `ehr_api.control`, as JSON."""

base_url_claim = Table(
    "base_url_claim",
    metadata,
    Column("base_url", String(512), nullable=False),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
    PrimaryKeyConstraint("base_url"),
    ForeignKeyConstraint(["namespace", "name"], ["organization.namespace", "organization.name"], ondelete="CASCADE"),
)
"""Which organisation a FHIR base URL belongs to: the primary key makes a second claim impossible."""

token_endpoint_claim = Table(
    "token_endpoint_claim",
    metadata,
    Column("token_endpoint", String(_DIGEST), nullable=False),
    Column("base_url", String(512), nullable=False, index=True),
    PrimaryKeyConstraint("token_endpoint"),
    ForeignKeyConstraint(["base_url"], ["base_url_claim.base_url"], ondelete="CASCADE"),
)
"""Which base URL a token endpoint was first named by: to servers of other organisations no token from there is sent."""

profile_evidence = Table(
    "profile_evidence",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
    Column("profile_digest", String(_DIGEST), nullable=False),
    Column("provider_launches", Integer, nullable=False),
    Column("patient_joins", Integer, nullable=False),
    Column("last_seen", Moment, nullable=True),
    PrimaryKeyConstraint("namespace", "name", "endpoint", "profile_digest"),
)
"""Completed visits by endpoint and profile. It outlives the configuration, as the proof that it is."""

record_evidence = Table(
    "record_evidence",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("record", String(_NAME), nullable=False),
    Column("last_seen_launch", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name", "record"),
)
"""The last launch that used each integration record."""

_KEYED = 43
"""A keyed digest (`SecretKeys.name`) as base64url: without the key it tells nothing and leads back to nobody."""
_ID = BigInteger().with_variant(Integer, "sqlite")

visit = Table(
    "visit",
    metadata,
    Column("visit", String(_KEYED), nullable=False),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
    Column("environment", String(10), nullable=False),
    Column("profile_digest", String(_DIGEST), nullable=False),
    Column("department", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("organizer", String(36), nullable=True),
    Column("meeting_id", String(512), nullable=True),
    Column("join_web_url", String(1024), nullable=True),
    Column("meeting_digest", String(_KEYED), nullable=True, index=True),
    Column("location", String(64), nullable=True),
    Column("recorded_at", Moment, nullable=False),
    PrimaryKeyConstraint("visit"),
)
"""A visit by its keyed name, once somebody has come near it; its Teams meeting, once there is one."""

visit_event = Table(
    "visit_event",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("visit", String(_KEYED), nullable=False, index=True),
    Column("key", String(64), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("code", String(32), nullable=True),
    Column("participant", String(_KEYED), nullable=True),
    Column("happened_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False, index=True),
    UniqueConstraint("visit", "key"),
)
"""What happened in a visit, in the order in which we learnt it; live status and reports are made from it alone."""

account_link = Table(
    "account_link",
    metadata,
    Column("base_url", String(512), nullable=False),
    Column("ehr_user", String(128), nullable=False),
    Column("tenant_id", String(36), nullable=False),
    Column("entra_object_id", String(36), nullable=False),
    Column("linked_at", Moment, nullable=False),
    PrimaryKeyConstraint("base_url", "ehr_user", "tenant_id"),
)
"""Which Microsoft account a user of the EHR has: the only identity that is stored, and it is a clinician's."""

guest_link = Table(
    "guest_link",
    metadata,
    Column("visit", String(_KEYED), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("revoked_at", Moment, nullable=True),
    PrimaryKeyConstraint("visit", "number"),
)
"""Links of a visit for guests and interpreters. The link itself is not stored."""

single_use = Table(
    "single_use",
    metadata,
    Column("token", String(_KEYED), nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("token"),
)
"""Keyed digests of what may be used once (launch state, sign-in ticket) and was used."""

graph_subscription = Table(
    "graph_subscription",
    metadata,
    Column("visit", String(_KEYED), nullable=False),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("subscription_id", String(64), nullable=True, unique=True),
    Column("expires_at", Moment, nullable=True),
    Column("due_at", Moment, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    PrimaryKeyConstraint("visit"),
)
"""Microsoft Graph's subscription to a meeting's call events, and when something is to be done about it."""

tenant_subscription = Table(
    "tenant_subscription",
    metadata,
    Column("tenant_id", String(36), nullable=False),
    Column("client_id", String(36), nullable=False),
    Column("notification_url", String(600), nullable=False),
    Column("subscription_id", String(64), nullable=True),
    Column("expires_at", Moment, nullable=True),
    Column("due_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    PrimaryKeyConstraint("tenant_id"),
)
"""Microsoft Graph's subscription to the call records of a tenant, and when something is to be done about it."""

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
    Column("call", String(_KEYED), nullable=False),
    Column("leg", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("visit", String(_KEYED), nullable=False, index=True),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
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

lease = Table(
    "lease",
    metadata,
    Column("name", String(600), nullable=False),
    Column("holder", String(64), nullable=False),
    Column("expires_at", Moment, nullable=False),
    PrimaryKeyConstraint("name"),
)
"""Which process works for an endpoint now."""

rate = Table(
    "rate",
    metadata,
    Column("bucket", String(_KEYED), nullable=False),
    Column("window_ends_at", Moment, nullable=False, index=True),
    Column("used", Integer, nullable=False),
    PrimaryKeyConstraint("bucket"),
)
"""How often something was done in the current window, by keyed digest of who or what it is limited for."""

send = Table(
    "send",
    metadata,
    Column("digest", String(_KEYED), nullable=False),
    Column("visit", String(_KEYED), nullable=False, index=True),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
    Column("occasion", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("request_id", String(36), nullable=False, index=True),
    Column("first_sent_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=True),
    Column("message_id", String(128), nullable=True, unique=True),
    Column("recipient", String(_KEYED), nullable=True, index=True),
    Column("sender", String(254), nullable=True),
    Column("about", String(_KEYED), nullable=True),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("reported_at", Moment, nullable=True),
    Column("holder", String(64), nullable=False),
    Column("held_until", Moment, nullable=False),
    PrimaryKeyConstraint("digest"),
    Index("ix_send_sums", "namespace", "name", "first_sent_at", "channel", "occasion", "state", "reason", "endpoint"),
)
"""Messages by what they are about: inserting the row is the claim, so that each is sent once. Neither text nor phone."""

notice = Table(
    "notice",
    metadata,
    Column("visit", String(_KEYED), nullable=False),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
    Column("about", String(_KEYED), nullable=False),
    Column("number", Integer, nullable=False),
    Column("noted_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("visit"),
)
"""What the patient of a coming visit knows of its time, by keyed digest: so that each booking and change is told once."""

notice_reading = Table(
    "notice_reading",
    metadata,
    Column("reading", String(_KEYED), nullable=False),
    Column("read_at", Moment, nullable=False),
    Column("covered_until", Moment, nullable=False),
    PrimaryKeyConstraint("reading"),
)
"""When an endpoint's coming visits were last read whole while messages could be sent: what is new since is confirmed."""

opt_out = Table(
    "opt_out",
    metadata,
    Column("recipient", String(_KEYED), nullable=False),
    Column("opted_out_at", Moment, nullable=False),
    Column("opted_in_at", Moment, nullable=True),
    PrimaryKeyConstraint("recipient"),
)
"""Who wants no texts of an organisation, by keyed digest of organisation and phone; the later of the two times holds."""

number_trouble = Table(
    "number_trouble",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("number", String(32), nullable=False),
    Column("code", Integer, nullable=False),
    Column("since", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name", "number"),
)
"""Numbers of organisations from which texts do not arrive, as delivery reports say."""

graph_refusal = Table(
    "graph_refusal",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("ends_at", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name", "reason"),
)
"""For what reason organisations were given no meeting lately, and until when that is believed."""

report_visit = Table(
    "report_visit",
    metadata,
    Column("visit", String(_KEYED), nullable=False),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
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
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("visit", String(_KEYED), nullable=False, index=True),
    Column("due_at", Moment, nullable=False, index=True),
)
"""Marks of visits whose row in the reports is to be made anew: at once after an event, or when time alone changes it.

A visit may have several, so that nobody who adds one waits for another.
"""

held_message = Table(
    "held_message",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("messages", Integer, nullable=False),
    Column("told_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("namespace", "name", "endpoint", "reason"),
)
"""How many messages wait at each endpoint, and why: what its worker told last, for those who serve the control API."""

audit_event = Table(
    "audit_event",
    metadata,
    Column("number", _ID, nullable=False, autoincrement=False),
    Column("happened_at", Moment, nullable=False),
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("action", String(32), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("object", String(256), nullable=False),
    Column("previous", String(_DIGEST), nullable=False),
    Column("digest", String(_DIGEST), nullable=False),
    PrimaryKeyConstraint("number"),
    Index(None, "namespace", "name", "happened_at"),
)
"""Who did what, each row chained to the one before by its digest. Actor and object are opaque."""
