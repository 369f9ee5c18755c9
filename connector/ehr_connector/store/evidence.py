"""What was seen of an organisation's visits: counts and times, no identities."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import Evidence, ProfileEvidence, RecordEvidence
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import profile_evidence, record_evidence
from ehr_connector.store.single_use import SingleUse
from ehr_connector.store.visits import VisitRow

_COUNTED_ONCE = timedelta(days=30)
"""A visit that is told of again within this time counts once."""


class EvidenceBook:
    """Counts completed launches and joins by the profile under which they were done."""

    def __init__(
        self, engine: AsyncEngine, single_use: SingleUse, secret: SecretKeys, now: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._single_use = single_use
        self._secret = secret
        self._now = now

    async def provider_launched(self, row: VisitRow) -> None:
        """Count a launch that led a clinician into the visit's meeting."""
        await self._count(row, "provider_launches")

    async def patient_joined(self, row: VisitRow) -> None:
        """Count a patient who was in the visit's meeting."""
        await self._count(row, "patient_joins")

    async def record_seen(self, namespace: str, name: str, record: str) -> None:
        """Note that an integration record was launched now."""
        now = self._now()
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(record_evidence).values(
                namespace=namespace, name=name, record=record, last_seen_launch=now
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["namespace", "name", "record"], set_={"last_seen_launch": now}
                )
            )

    async def _count(self, row: VisitRow, what: Literal["provider_launches", "patient_joins"]) -> None:
        now = self._now()
        token = self._secret.name("evidence", what, row.visit, row.profile_digest)
        counts = {"provider_launches": 0, "patient_joins": 0} | {what: 1}
        async with self._engine.begin() as connection:
            if not await self._single_use.claim_in(connection, token, now + _COUNTED_ONCE):
                return
            statement = insert_for(connection)(profile_evidence).values(
                namespace=row.namespace,
                name=row.name,
                endpoint=row.endpoint,
                profile_digest=row.profile_digest,
                last_seen=now,
                **counts,
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["namespace", "name", "endpoint", "profile_digest"],
                    set_={what: profile_evidence.c[what] + 1, "last_seen": now},
                )
            )


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
