"""Marks a visit whose row in the reports is to be made anew (`ehr_connector.store.report_rows`)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ehr_connector.store.schema import report_due


async def mark(connection: AsyncConnection, visit: str, now: datetime) -> None:
    """Let a visit's row be made anew at once; to be called in the transaction that changes what the row is made from."""
    await connection.execute(insert(report_due).values(visit=visit, due_at=now))
