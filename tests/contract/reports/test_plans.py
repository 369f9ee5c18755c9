"""What a page asks is answered from indexes, so that a month of many visits is shown at once (`bench/reports.py` measures it)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from contract.reports.plans import explained, plans
from contract.reports.plays import Theatre
from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.directory import Directory
from ehr_connector.reports.quality.queries import QualityReports
from ehr_connector.store.organizations import Organizations

Ask = Callable[[Theatre], Awaitable[Any]]


async def ask_quality(theatre: Theatre) -> None:
    directory = Directory(Organizations(theatre.engine, theatre.clock), lambda: 0.0)
    await QualityReports(theatre.engine, directory).quality_summary(theatre.reader, theatre.always)


SUMMARIES: dict[str, tuple[str, Ask]] = {
    "report_visit": ("ix_report_visit_", lambda one: one.queries.visit_summary(one.reader, one.always)),
    "send": ("ix_send_sums", lambda one: one.queries.message_summary(one.reader, one.always)),
    "call_quality": ("ix_call_quality_sums", ask_quality),
}


@pytest.mark.parametrize("table", SUMMARIES)
async def test_a_summary_is_answered_by_an_index_that_has_all_it_needs(
    theatre: Theatre, engine: AsyncEngine, table: str
) -> None:
    index, ask = SUMMARIES[table]
    with explained(engine) as statements:
        await ask(theatre)
    found = [plan for plan in await plans(engine, statements) if table in plan]
    assert found
    for plan in found:
        assert not re.search(rf"SCAN {table}|Seq Scan on {table}", plan)
        if engine.dialect.name == "sqlite":
            assert f"COVERING INDEX {index}" in plan


async def test_the_newest_rows_of_the_audit_log_are_found_without_sorting_all_of_it(
    theatre: Theatre, engine: AsyncEngine, clock: Clock
) -> None:
    a_year = timedelta(days=365)
    with explained(engine) as statements:
        await theatre.queries.audit_summary(theatre.reader, clock() - a_year, clock(), 200)
        async for _ in theatre.queries.audit(theatre.reader, clock() - a_year, clock()):
            pass
    found = [plan for plan in await plans(engine, statements[1:]) if "audit_event" in plan]
    assert len(found) == 2
    for plan in found:
        assert "ix_audit_event_namespace_name_happened_at" in plan
        assert "TEMP B-TREE FOR ORDER BY" not in plan
        assert not re.search(r"^Sort|^ +-> +Sort", plan, re.MULTILINE)
