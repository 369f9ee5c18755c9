"""Visits, what happened in them, and who may come to them."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Table, UniqueConstraint

from ehr_connector.store.schema.columns import DIGEST, ID, KEYED, NAME, Moment, metadata

visit = Table(
    "visit",
    metadata,
    Column("visit", String(KEYED), nullable=False),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    Column("environment", String(10), nullable=False),
    Column("profile_digest", String(DIGEST), nullable=False),
    Column("department", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("organizer", String(36), nullable=True),
    Column("meeting_id", String(512), nullable=True),
    Column("join_web_url", String(1024), nullable=True),
    Column("meeting_digest", String(KEYED), nullable=True, index=True),
    Column("location", String(64), nullable=True),
    Column("recorded_at", Moment, nullable=False),
    PrimaryKeyConstraint("visit"),
)
"""A visit by its keyed name, once somebody has come near it; its Teams meeting, once there is one."""

visit_event = Table(
    "visit_event",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("visit", String(KEYED), nullable=False, index=True),
    Column("key", String(64), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("code", String(32), nullable=True),
    Column("participant", String(KEYED), nullable=True),
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
    Column("visit", String(KEYED), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("revoked_at", Moment, nullable=True),
    PrimaryKeyConstraint("visit", "number"),
)
"""Links of a visit for guests and interpreters. The link itself is not stored."""
