"""The tables, as the newest migration leaves them."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NAME = 253
_DIGEST = 71

organization = Table(
    "organization",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("digest", String(_DIGEST), nullable=False),
    Column("document", Text, nullable=False),
    Column("configured_at", DateTime(timezone=True), nullable=False),
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

profile_evidence = Table(
    "profile_evidence",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("endpoint", String(_NAME), nullable=False),
    Column("profile_digest", String(_DIGEST), nullable=False),
    Column("provider_launches", Integer, nullable=False),
    Column("patient_joins", Integer, nullable=False),
    Column("last_seen", DateTime(timezone=True), nullable=True),
    PrimaryKeyConstraint("namespace", "name", "endpoint", "profile_digest"),
)
"""Completed visits by endpoint and profile. It outlives the configuration, as the proof that it is."""

record_evidence = Table(
    "record_evidence",
    metadata,
    Column("namespace", String(_NAME), nullable=False),
    Column("name", String(_NAME), nullable=False),
    Column("record", String(_NAME), nullable=False),
    Column("last_seen_launch", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("namespace", "name", "record"),
)
"""The last launch that used each integration record."""
