"""What has been kept for as long as the configuration says is removed, with all that belongs to it, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest
from contract.reports.plays import LENGTH, Theatre
from contract.store.conftest import Clock
from sqlalchemy import Connection, delete, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_connector.audit import Action, Audit
from ehr_connector.audit_expiry import AuditExpiry
from ehr_connector.reports.retention import AUDIT, VISITS, Retention
from ehr_connector.store.expiry import OF_A_VISIT, Expiry
from ehr_connector.store.guests import Guests
from ehr_connector.store.schema import audit_event, visit
from ehr_connector.store.sends import Message, Sends
from ehr_connector.store.subscriptions import Subscriptions
from ehr_connector.store.visits import Visits


class Configured:
    """Organisations by namespace, each with its retention; the others are not configured."""

    def __init__(self, **retention: dict[str, str]) -> None:
        self.retention = retention

    async def organization(self, namespace: str, name: str) -> OrganizationConfiguration | None:
        """Return the configuration of an organisation."""
        found = [one for one in await self.organizations() if (one.namespace, one.name) == (namespace, name)]
        return found[0] if found else None

    async def organizations(self) -> Sequence[OrganizationConfiguration]:
        """Return every organisation."""
        found: list[OrganizationConfiguration] = []
        for namespace, retention in self.retention.items():
            document = deepcopy(ORGANIZATION_CONFIGURATION)
            document |= {"namespace": namespace, "name": "organization", "reports": {"retention": retention}}
            found.append(OrganizationConfiguration.model_validate(document))
        return found


def retention(engine: AsyncEngine, clock: Clock, configured: Configured) -> Retention:
    return Retention(Expiry(engine), AuditExpiry(engine, Audit(engine, clock), clock), configured, clock)


async def rows_of_visits(engine: AsyncEngine) -> dict[str, int]:
    """Return how many rows of each table name a visit."""

    def named(connection: Connection) -> list[str]:
        tables = inspect(connection)
        return [
            table
            for table in tables.get_table_names()
            if "visit" in {column["name"] for column in tables.get_columns(table)}
        ]

    async with engine.connect() as connection:
        return {
            table: (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in await connection.run_sync(named)
        }


@pytest.mark.parametrize(
    ("configured", "kept"),
    [
        (Configured(lamna={"visits": "720h"}), timedelta(hours=720)),
        (Configured(lamna={}), VISITS),
        (Configured(fabrikam={"visits": "720h"}), VISITS),
        (Configured(lamna={"visits": "1h"}), timedelta(days=2)),
    ],
    ids=["configured", "by default", "not configured any more", "never while it goes on"],
)
async def test_visits_are_kept_for_as_long_as_the_configuration_says(
    theatre: Theatre, clock: Clock, configured: Configured, kept: timedelta
) -> None:
    older = await theatre.play("whole", clock() - kept - timedelta(seconds=1))
    younger = await theatre.play("whole", clock() - kept)
    await theatre.refresher.refresh()
    assert await retention(theatre.engine, clock, configured).tidy() == 1
    async with theatre.engine.connect() as connection:
        assert (await connection.execute(select(visit.c.visit))).scalars().all() == [younger.visit]
    assert await theatre.events.of(older.visit) == []
    assert await theatre.events.of(younger.visit) != []


async def test_everything_that_names_a_visit_goes_with_it(theatre: Theatre, clock: Clock) -> None:
    row = await theatre.play("whole", clock() - timedelta(days=500))
    await Guests(theatre.engine, clock).add(row.visit, "guest")
    await Subscriptions(theatre.engine, clock).want(row.visit, row.namespace, row.name, clock())
    await Sends(theatre.engine, clock).claim(Message("d" * 43, row.visit, row.namespace, row.name, "n", "link", "sms"))
    await theatre.refresher.refresh()
    await theatre.events.record(row.visit, [])
    before = await rows_of_visits(theatre.engine)
    assert {name for name, count in before.items() if count} >= {
        "visit",
        "visit_event",
        "report_visit",
        "guest_link",
        "graph_subscription",
        "send",
    }
    await retention(theatre.engine, clock, Configured()).tidy()
    assert set((await rows_of_visits(theatre.engine)).values()) == {0}
    assert set(before) == {table.name for table in OF_A_VISIT} | {"visit", "report_visit"}


async def test_a_message_whose_visit_was_never_written_down_goes_by_its_own_time(
    theatre: Theatre, clock: Clock
) -> None:
    await theatre.play("whole", clock() + timedelta(days=500))
    await Sends(theatre.engine, clock).claim(Message("d" * 43, "v", "lamna", "organization", "n", "link", "sms"))
    await theatre.refresher.refresh()
    clock.pass_(VISITS.total_seconds())
    await retention(theatre.engine, clock, Configured()).tidy()
    assert (await rows_of_visits(theatre.engine))["send"] == 1
    clock.pass_(1)
    await retention(theatre.engine, clock, Configured()).tidy()
    assert (await rows_of_visits(theatre.engine))["send"] == 0


async def test_a_message_stays_as_long_as_its_visit(theatre: Theatre, clock: Clock) -> None:
    row = await theatre.book(start=clock() + timedelta(days=90))
    await Sends(theatre.engine, clock).claim(
        Message("d" * 43, row.visit, row.namespace, row.name, "n", "booking", "sms")
    )
    await theatre.refresher.refresh()
    clock.pass_(VISITS.total_seconds() + 3600)
    await retention(theatre.engine, clock, Configured()).tidy()
    assert (await rows_of_visits(theatre.engine))["send"] == 1
    clock.pass_(timedelta(days=90).total_seconds())
    await retention(theatre.engine, clock, Configured()).tidy()
    assert (await rows_of_visits(theatre.engine))["send"] == 0


async def test_messages_of_an_organisation_without_visits_go_too(theatre: Theatre, clock: Clock) -> None:
    await Sends(theatre.engine, clock).claim(Message("d" * 43, "v", "lamna", "organization", "n", "link", "sms"))
    clock.pass_(VISITS.total_seconds() + 1)
    await retention(theatre.engine, clock, Configured()).tidy()
    assert (await rows_of_visits(theatre.engine))["send"] == 0


async def test_an_old_visit_that_was_moved_a_moment_ago_stays(theatre: Theatre, clock: Clock) -> None:
    row = await theatre.play("nobody", clock() - timedelta(days=500))
    await theatre.refresher.refresh()
    await Visits(theatre.engine, clock).put(replace(row, starts_at=clock(), ends_at=clock() + LENGTH))
    assert await retention(theatre.engine, clock, Configured()).tidy() == 0
    await theatre.refresher.refresh()
    assert [one.booked_start for one in await theatre.rows()] == [clock()]


async def test_more_visits_than_one_transaction_takes_are_removed(theatre: Theatre, clock: Clock) -> None:
    await theatre.book_many(clock() - timedelta(days=500) for _ in range(201))
    await theatre.refresher.refresh()
    assert await retention(theatre.engine, clock, Configured()).tidy() == 201
    assert await theatre.rows() == []


async def acted(engine: AsyncEngine, clock: Clock, namespace: str) -> None:
    await Audit(engine, clock).record(namespace, "organization", Action.LAUNCHED, "someone", "visit")


async def numbers(engine: AsyncEngine) -> list[int]:
    return [event.number async for event in Audit(engine, lambda: NotImplemented).events()]


async def test_the_audit_log_holds_after_its_oldest_rows_were_removed(engine: AsyncEngine, clock: Clock) -> None:
    for _ in range(3):
        await acted(engine, clock, "lamna")
        clock.pass_(3600)
    noted = (await Audit(engine, clock).verify()).newest
    configured = Configured(lamna={"audit": "2h"})
    assert await retention(engine, clock, configured).tidy() == 1
    assert await numbers(engine) == [2, 3, 4]
    assert (await Audit(engine, clock).verify(noted)).broken_at is None
    clock.pass_(3600)
    assert await retention(engine, clock, configured).tidy() == 1
    assert await numbers(engine) == [3, 4, 5]
    verdict = await Audit(engine, clock).verify(noted)
    assert (verdict.rows, verdict.broken_at) == (3, None)
    assert (await Audit(engine, clock).verify("1:whatever was there")).broken_at is None


async def test_rows_that_are_removed_without_a_record_are_missed(engine: AsyncEngine, clock: Clock) -> None:
    for _ in range(3):
        await acted(engine, clock, "lamna")
        clock.pass_(3600)
    await retention(engine, clock, Configured(lamna={"audit": "2h"})).tidy()
    async with engine.begin() as connection:
        await connection.execute(delete(audit_event).where(audit_event.c.number == 2))
    assert (await Audit(engine, clock).verify()).broken_at == 3


async def test_a_row_stays_while_an_older_one_of_another_organisation_is_kept(
    engine: AsyncEngine, clock: Clock
) -> None:
    await acted(engine, clock, "fabrikam")
    await acted(engine, clock, "lamna")
    clock.pass_(24 * 3600)
    configured = Configured(lamna={"audit": "2h"})
    assert await retention(engine, clock, configured).tidy() == 0
    clock.pass_(AUDIT.total_seconds())
    assert await retention(engine, clock, configured).tidy() == 2
    async with engine.connect() as connection:
        left = await connection.execute(select(func.count()).select_from(audit_event))
        assert left.scalar_one() == 1
    assert (await Audit(engine, clock).verify()).broken_at is None


async def test_the_audit_log_is_cut_again_and_again(engine: AsyncEngine, clock: Clock) -> None:
    configured = Configured(lamna={"audit": "2h"})
    for _ in range(12):
        await acted(engine, clock, "lamna")
        clock.pass_(3600)
        await retention(engine, clock, configured).tidy()
        assert (await Audit(engine, clock).verify()).broken_at is None
    async with engine.connect() as connection:
        oldest = (await connection.execute(select(func.min(audit_event.c.happened_at)))).scalar_one()
    assert clock() - oldest <= timedelta(hours=3)
    clock.pass_(24 * 3600)
    assert await retention(engine, clock, configured).tidy() > 0
    assert {event.action async for event in Audit(engine, clock).events()} == {Action.EXPIRED}
    assert (await Audit(engine, clock).verify()).broken_at is None
    assert await retention(engine, clock, configured).tidy() == 0


async def test_a_row_of_no_organisation_is_kept_as_long_as_the_longest(engine: AsyncEngine, clock: Clock) -> None:
    await acted(engine, clock, "lamna")
    await Audit(engine, clock).record("", "", Action.ERASED, "administrator", "account_link: 1 removed")
    configured = Configured(lamna={"audit": "2h"}, fabrikam={"audit": "4h"})
    clock.pass_(3 * 3600)
    await acted(engine, clock, "lamna")
    assert await retention(engine, clock, configured).tidy() == 1
    clock.pass_(3600 + 1)
    await acted(engine, clock, "lamna")
    assert await retention(engine, clock, configured).tidy() == 1
    async with engine.connect() as connection:
        left = (await connection.execute(select(audit_event.c.action).order_by(audit_event.c.number))).scalars().all()
    assert left[0] == Action.LAUNCHED
    assert Action.ERASED not in left
    assert (await Audit(engine, clock).verify()).broken_at is None
