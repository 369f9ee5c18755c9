"""What the operator configured, and what proves that it works."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Integer, PrimaryKeyConstraint, String, Table, Text

from ehr_connector.store.schema.columns import DIGEST, NAME, Moment, metadata

organization = Table(
    "organization",
    metadata,
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("digest", String(DIGEST), nullable=False),
    Column("document", Text, nullable=False),
    Column("configured_at", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name"),
)
"""The configuration of each organisation: one document of `ehr_api.control`, as JSON."""

base_url_claim = Table(
    "base_url_claim",
    metadata,
    Column("base_url", String(512), nullable=False),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    PrimaryKeyConstraint("base_url"),
    ForeignKeyConstraint(["namespace", "name"], ["organization.namespace", "organization.name"], ondelete="CASCADE"),
)
"""Which organisation a FHIR base URL belongs to: the primary key makes a second claim impossible."""

token_endpoint_claim = Table(
    "token_endpoint_claim",
    metadata,
    Column("token_endpoint", String(DIGEST), nullable=False),
    Column("base_url", String(512), nullable=False, index=True),
    PrimaryKeyConstraint("token_endpoint"),
    ForeignKeyConstraint(["base_url"], ["base_url_claim.base_url"], ondelete="CASCADE"),
)
"""Which base URL a token endpoint was first named by: to servers of other organisations no token from there is sent."""

profile_evidence = Table(
    "profile_evidence",
    metadata,
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    Column("profile_digest", String(DIGEST), nullable=False),
    Column("provider_launches", Integer, nullable=False),
    Column("patient_joins", Integer, nullable=False),
    Column("last_seen", Moment, nullable=True),
    PrimaryKeyConstraint("namespace", "name", "endpoint", "profile_digest"),
)
"""Completed visits by endpoint and profile. It outlives the configuration, as the proof that it is."""

record_evidence = Table(
    "record_evidence",
    metadata,
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("record", String(NAME), nullable=False),
    Column("last_seen_launch", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name", "record"),
)
"""The last launch that used each integration record."""
