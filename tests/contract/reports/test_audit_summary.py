"""The numbers of the audit log are those of its rows, on each sort of database."""

from __future__ import annotations

from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.audit import Action, Audit, Outcome
from ehr_connector.reports.ports import Reader, ReportRole
from ehr_connector.reports.queries import Queries

READER = Reader("lamna", "lamna", frozenset({ReportRole.AUDITOR}))


async def test_a_summary_counts_one_organization_and_one_time_and_shows_the_newest_rows(
    engine: AsyncEngine, clock: Clock
) -> None:
    audit, queries = Audit(engine, clock), Queries(engine)
    await audit.record("lamna", "lamna", Action.CONFIGURED, "operator", "before")
    clock.pass_(60)
    start = clock()
    for outcome in (Outcome.PROVIDER, Outcome.REFUSED, Outcome.FAILED):
        await audit.record("lamna", "lamna", Action.LAUNCHED, "somebody", "endpoint", outcome)
    await audit.record("lamna", "lamna", Action.SENT, "somebody", "visit", Outcome.SMS)
    await audit.record("fabrikam", "lamna", Action.SENT, "somebody", "visit", Outcome.SMS)
    clock.pass_(60)

    summary = await queries.audit_summary(READER, start, clock(), newest=2)
    rows = [row async for row in queries.audit(READER, start, clock())]

    assert summary.by_action == {"launched": 3, "sent": 1}
    assert summary.total == len(rows) == 4
    assert summary.not_successful == 2
    assert list(summary.newest) == rows[:-3:-1]
