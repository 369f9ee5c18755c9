"""Text messages and e-mail: sent, held, refused."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, String, Table

from ehr_connector.store.schema.columns import KEYED, NAME, Moment, metadata

send = Table(
    "send",
    metadata,
    Column("digest", String(KEYED), nullable=False),
    Column("visit", String(KEYED), nullable=False, index=True),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    Column("occasion", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("request_id", String(36), nullable=False, index=True),
    Column("first_sent_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=True),
    Column("message_id", String(128), nullable=True, unique=True),
    Column("recipient", String(KEYED), nullable=True, index=True),
    Column("sender", String(254), nullable=True),
    Column("about", String(KEYED), nullable=True),
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
    Column("visit", String(KEYED), nullable=False),
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    Column("about", String(KEYED), nullable=False),
    Column("number", Integer, nullable=False),
    Column("noted_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("visit"),
)
"""What the patient of a coming visit knows of its time, by keyed digest: so that each booking and change is told once."""

notice_reading = Table(
    "notice_reading",
    metadata,
    Column("reading", String(KEYED), nullable=False),
    Column("read_at", Moment, nullable=False),
    Column("covered_until", Moment, nullable=False),
    PrimaryKeyConstraint("reading"),
)
"""When an endpoint's coming visits were last read whole while messages could be sent: what is new since is confirmed."""

opt_out = Table(
    "opt_out",
    metadata,
    Column("recipient", String(KEYED), nullable=False),
    Column("opted_out_at", Moment, nullable=False),
    Column("opted_in_at", Moment, nullable=True),
    PrimaryKeyConstraint("recipient"),
)
"""Who wants no texts of an organisation, by keyed digest of organisation and phone; the later of the two times holds."""

number_trouble = Table(
    "number_trouble",
    metadata,
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("number", String(32), nullable=False),
    Column("code", Integer, nullable=False),
    Column("since", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    PrimaryKeyConstraint("namespace", "name", "number"),
)
"""Numbers of organisations from which texts do not arrive, as delivery reports say."""

held_message = Table(
    "held_message",
    metadata,
    Column("namespace", String(NAME), nullable=False),
    Column("name", String(NAME), nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("messages", Integer, nullable=False),
    Column("told_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("namespace", "name", "endpoint", "reason"),
)
"""How many messages wait at each endpoint, and why: what its worker told last, for those who serve the control API."""
