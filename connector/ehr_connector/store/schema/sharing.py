"""What replicas agree on: who works, how often, and what was used up."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Table

from ehr_connector.store.schema.columns import KEYED, Moment, metadata

single_use = Table(
    "single_use",
    metadata,
    Column("token", String(KEYED), nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("token"),
)
"""Keyed digests of what may be used once (launch state, sign-in ticket) and was used."""

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
    Column("bucket", String(KEYED), nullable=False),
    Column("window_ends_at", Moment, nullable=False, index=True),
    Column("used", Integer, nullable=False),
    PrimaryKeyConstraint("bucket"),
)
"""How often something was done in the current window, by keyed digest of who or what it is limited for."""
