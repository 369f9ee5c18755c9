"""What is under way with Microsoft Graph."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Table

from ehr_connector.store.schema.columns import KEYED, NAME, Moment, metadata

graph_subscription = Table(
    "graph_subscription",
    metadata,
    Column("visit", String(KEYED), nullable=False),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
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

graph_refusal = Table(
    "graph_refusal",
    metadata,
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("ends_at", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name", "reason"),
)
"""For what reason organisations were given no meeting lately, and until when that is believed."""
