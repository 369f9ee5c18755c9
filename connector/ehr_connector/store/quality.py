"""How well calls went: the rows of their legs, the newest version of each call.

They name their visit, so that they go with it when its time is over (`ehr_connector.store.expiry`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import date

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.reports.quality.extraction import Leg
from ehr_connector.reports.quality.ports import UNKNOWN
from ehr_connector.store.schema import call_quality
from ehr_connector.store.visits import VisitRow


class Quality:
    """The rows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(
        self,
        call: str,
        version: int,
        visit: VisitRow,
        day: date,
        legs: Sequence[Leg],
        then: Callable[[AsyncConnection], Awaitable[None]],
    ) -> bool:
        """Record a call's legs in the place of those of an older version, and do `then` in the same transaction.

        False: this version or a newer one is there, and stays.
        """
        table = call_quality
        async with self._engine.begin() as connection:
            standing = select(table.c.version).where(table.c.call == call).with_for_update()
            is_newer = all(known < version for known in (await connection.execute(standing)).scalars())
            if is_newer:
                await connection.execute(delete(table).where(table.c.call == call))
                if legs:
                    await connection.execute(insert(table), _rows(call, version, visit, day, legs))
            await then(connection)
        return is_newer


def _rows(call: str, version: int, visit: VisitRow, day: date, legs: Sequence[Leg]) -> list[dict[str, object]]:
    common: dict[str, object] = {
        "call": call,
        "version": version,
        "visit": visit.visit,
        "namespace": visit.namespace,
        "name": visit.name,
        "endpoint": visit.endpoint,
        "environment": visit.environment,
        "department": visit.department,
        "kind": visit.kind,
        "location": visit.location or UNKNOWN,
        "starts_at": visit.starts_at,
        "day": day,
    }
    return [
        common
        | {
            "leg": number,
            "side": leg.side.value if leg.side else UNKNOWN,
            "started_at": leg.started_at,
            "duration_s": leg.duration_s,
            "network_kind": leg.network_kind,
            "platform": leg.platform,
        }
        | asdict(leg.figures)
        for number, leg in enumerate(legs)
    ]
