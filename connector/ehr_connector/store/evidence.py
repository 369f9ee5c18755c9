"""What was seen of an organisation's visits: counts and times, no identities."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import Evidence, ProfileEvidence, RecordEvidence
from ehr_connector.store.database import reading
from ehr_connector.store.schema import profile_evidence, record_evidence


async def evidence_of(engine: AsyncEngine, namespace: str, name: str) -> Evidence:
    """Return the evidence of an organisation; empty before its first visit."""
    profiles = profile_evidence.c
    records = record_evidence.c
    async with reading(engine).connect() as connection:
        profile_rows = await connection.execute(
            select(profile_evidence)
            .where(profiles.namespace == namespace, profiles.name == name)
            .order_by(profiles.endpoint, profiles.profile_digest)
        )
        record_rows = await connection.execute(
            select(record_evidence).where(records.namespace == namespace, records.name == name).order_by(records.record)
        )
        return Evidence(
            profiles=[
                ProfileEvidence(
                    endpoint=row.endpoint,
                    profile_digest=row.profile_digest,
                    provider_launches=row.provider_launches,
                    patient_joins=row.patient_joins,
                    last_seen=row.last_seen,
                )
                for row in profile_rows
            ],
            records=[RecordEvidence(record=row.record, last_seen_launch=row.last_seen_launch) for row in record_rows],
        )
