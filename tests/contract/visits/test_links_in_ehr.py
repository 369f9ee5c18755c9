"""Links and arrivals in the EHR, over HTTP and with the connector's own workers: soon, each once, and after every fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract.connector.postgresql import PostgreSql
from contract.store.leasing import age_leases
from contract.visits.test_whole_visit import until
from contract.visits.world import OTHER_TENANT, World
from unit.connector.ehr_model import LINKS, Book, Clock, Log, ModelEhr, asking_site

from ehr_connector.coming.endpoint import Tools
from ehr_connector.coming.worker import LEASE, ComingVisits
from ehr_connector.directory import Site
from ehr_connector.metrics import Metrics
from ehr_connector.settings import Settings
from ehr_connector.store.database import open_database
from ehr_connector.store.leases import Leases
from ehr_connector.store.migrate import migrate
from ehr_connector.visits.links import Role

IN_CLINIC = pytest.mark.asyncio(loop_scope="module")


def test_by_default_coming_visits_are_read_often_enough_for_links_within_a_minute() -> None:
    assert Settings.model_fields["appointment_interval"].default <= 50


async def links(world: World, appointment: str) -> Any:
    return (await world.in_ehr(appointment))["links"]


async def refused(world: World) -> int:
    found = await world.control(world.cerner, "GET", "requests", params={"method": "PATCH", "path": "/Appointment/"})
    return sum(request["status"] != 200 for request in found["requests"])


@IN_CLINIC
async def test_a_visit_that_is_moved_has_its_links_for_the_new_time(clinic: World) -> None:
    visit = await clinic.book(await clinic.patient())
    first = await until(lambda: links(clinic, visit["id"]))
    start = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    await clinic.change(visit["id"], start=start.isoformat())

    async def moved() -> bool:
        return (await links(clinic, visit["id"]))["start"] != first["start"]

    await until(moved)
    standing = await links(clinic, visit["id"])
    assert datetime.fromisoformat(standing["start"]) == start - timedelta(minutes=30)
    assert (standing["patient"], standing["provider"]) == (first["patient"], first["provider"])


@IN_CLINIC
async def test_the_links_of_a_cancelled_visit_are_over(clinic: World) -> None:
    visit = await clinic.book(await clinic.patient())
    await until(lambda: links(clinic, visit["id"]))
    await clinic.change(visit["id"], status="cancelled")

    async def over() -> bool:
        return datetime.fromisoformat((await links(clinic, visit["id"]))["end"]) <= datetime.now(UTC)

    assert await until(over)


@pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 500}, {"action": "cut"}, {"action": "lose_answer"}, {"action": "half_answer"}],
)
@IN_CLINIC
async def test_links_are_there_within_a_minute_although_the_ehr_fails_at_first(
    clinic: World, fault: dict[str, Any]
) -> None:
    await clinic.control(clinic.cerner, "PUT", "faults", json=[{"method": "PATCH", "path": "/Appointment/", **fault}])
    visit = await clinic.book(await clinic.patient())
    standing = await until(lambda: links(clinic, visit["id"]), seconds=30)
    assert standing["patient"] != standing["provider"]


@IN_CLINIC
async def test_more_visits_than_a_page_all_get_their_links(clinic: World) -> None:
    patient = await clinic.patient()
    booked = [
        await clinic.book(patient, starts_in=timedelta(days=3, minutes=number), durationMinutes=15)
        for number in range(120)
    ]

    async def all_have() -> bool:
        return all([await links(clinic, visit["id"]) for visit in booked])

    assert await until(all_have, seconds=60)
    shown = [(await links(clinic, visit["id"])) for visit in booked]
    assert len({one["patient"] for one in shown} | {one["provider"] for one in shown}) == 2 * len(booked)


@IN_CLINIC
async def test_an_endpoint_that_hangs_does_not_hold_up_the_others(clinic: World) -> None:
    for endpoint in clinic.document["endpoints"]:
        endpoint["active"] = True
    await clinic.fault(clinic.cerner, f"/{OTHER_TENANT}/", action="delay", delay_s=30)
    await clinic.configure()
    try:
        visit = await clinic.book(await clinic.patient())
        assert await until(lambda: links(clinic, visit["id"]), seconds=10)
    finally:
        await clinic.control(clinic.cerner, "DELETE", "faults")
        clinic.document["endpoints"][0]["active"] = False
        await clinic.configure()


async def test_replicas_write_each_appointment_once(replicated: World) -> None:
    await replicated.replica()
    patient = await replicated.patient()
    booked = [await replicated.book(patient, starts_in=timedelta(hours=number + 1)) for number in range(6)]

    async def all_have() -> bool:
        return all([await links(replicated, visit["id"]) for visit in booked])

    await until(all_have, seconds=30)
    await asyncio.sleep(2)
    histories = [(await replicated.in_ehr(visit["id"]))["history"] for visit in booked]
    assert [sum("links" in revision["change"] for revision in history) for history in histories] == [1] * 6
    assert await refused(replicated) == 0


class _OneSite:
    """A directory with one endpoint."""

    async def sites(self) -> list[Site]:
        """Return it."""
        return [asking_site()]


@asynccontextmanager
async def worker(url: str, holder: str, ehr: ModelEhr, clock: Clock) -> AsyncGenerator[ComingVisits]:
    engine = open_database(url)
    tools = Tools(ehr, Book(), Log(), Metrics(), clock.now, clock.monotonic, interval_s=0.05)
    try:
        yield ComingVisits(_OneSite(), Leases(engine, holder, clock.now), tools)
    finally:
        await engine.dispose()


async def has_links(ehr: ModelEhr) -> bool:
    return ehr.appointment.links is not None


async def test_the_endpoints_of_a_killed_worker_pass_on_when_its_lease_ends(postgresql: PostgreSql) -> None:
    clock = Clock()
    ehr = ModelEhr(clock)
    with postgresql.database() as url:
        engine = open_database(url)
        await migrate(engine)
        # A worker that took the lease and was killed.
        await Leases(engine, "killed", clock.now).take([asking_site().base_url], LEASE)
        async with worker(url, "other", ehr, clock) as other:
            await age_leases(engine, 15)
            await other.take_leases()
            await asyncio.sleep(0.2)
            assert ehr.requests == []
            await age_leases(engine, 15)
            await other.take_leases()
            assert await until(lambda: has_links(ehr))
            await other.stop()
        await engine.dispose()
    assert ehr.appointment.links.patient == LINKS[Role.PATIENT]


async def test_a_worker_that_hung_longer_than_its_lease_writes_nothing_any_more(postgresql: PostgreSql) -> None:
    clock = Clock()
    ehr = ModelEhr(clock)
    with postgresql.database() as url:
        engine = open_database(url)
        await migrate(engine)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.dispose)
            hung = await stack.enter_async_context(worker(url, "hung", ehr, clock))
            other = await stack.enter_async_context(worker(url, "other", ehr, clock))
            await hung.take_leases()
            await until(lambda: has_links(ehr))
            clock.seconds += 31
            await age_leases(engine, 31)
            await other.take_leases()
            ehr.change(status="cancelled")

            async def written_again() -> bool:
                return ehr.requests.count(("PATCH", 200)) == 2

            await until(written_again)
            await asyncio.sleep(0.3)
            assert not [request for request in ehr.requests if request[0] == "PATCH" and request[1] != 200]
            await hung.stop()
            await other.stop()


async def test_a_worker_that_stops_gives_its_endpoints_back_at_once(postgresql: PostgreSql) -> None:
    clock = Clock()
    ehr = ModelEhr(clock)
    with postgresql.database() as url:
        engine = open_database(url)
        await migrate(engine)
        await engine.dispose()
        async with worker(url, "first", ehr, clock) as first, worker(url, "second", ehr, clock) as second:
            running = asyncio.create_task(first.run())
            await until(lambda: has_links(ehr))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            before = len(ehr.requests)
            await second.take_leases()

            async def works() -> bool:
                return len(ehr.requests) > before

            assert await until(works)
            await second.stop()
