"""Whatever goes wrong on the way to the EHR, each appointment ends with its own links, and no patient gets the provider's."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.connector.ehr_model import FAULTS, LINKS, VISIT, Work, asking_site
from unit.connector.visiting import START

from ehr_connector.visits.events import Kind
from ehr_connector.visits.links import Role
from ehr_sandbox.cerner.bookings import Links

PATIENT, PROVIDER = LINKS[Role.PATIENT], LINKS[Role.PROVIDER]
ELSEWHERE = "https://elsewhere.example/"
STEPS = st.sampled_from(
    ["read", "attend", "wait", "move", "cancel", "arrive in lobby", "checked in", "another's links", "exchanged links"]
)


def test_no_order_of_changes_and_faults_gives_a_patient_the_providers_link() -> None:
    met: set[tuple[str, int]] = set()

    @settings(max_examples=300, deadline=None)
    @example(steps=["arrive in lobby", "move", "move", "move"], faults=[], faults_of_changes=[])
    @given(
        steps=st.lists(STEPS, max_size=12),
        faults=st.lists(st.sampled_from(FAULTS), max_size=8),
        faults_of_changes=st.lists(st.sampled_from(FAULTS), max_size=8),
    )
    def played(steps: list[str], faults: list[str], faults_of_changes: list[str]) -> None:
        asyncio.run(_played(["read", "attend", *steps], faults, faults_of_changes, met))

    played()
    # It proves nothing unless each fault befell the changes themselves, and a change was sent again after it.
    assert {fault for fault, _ in met} >= set(FAULTS)
    assert {fault for fault, later in met if later} >= {"cut", "lost answer", "changed meanwhile", "edited"}


async def _played(steps: list[str], faults: list[str], faults_of_changes: list[str], met: set[tuple[str, int]]) -> None:
    work = Work.begun()
    await work.endpoint.read()
    work.ehr.faults, work.ehr.faults_of_changes = deque(faults), deque(faults_of_changes)
    planted = {PATIENT}
    for step in steps:
        await _step(work, step, planted)
    work.ehr.faults.clear()
    work.ehr.faults_of_changes.clear()
    await work.settle()
    met |= {(fault, len(work.ehr.changes) - 1 - number) for number, fault in enumerate(work.ehr.befell)}
    for body in work.ehr.changes:
        written = {one["path"]: one["value"] for one in json.loads(body)}
        links = written.get("/contained/0/telecom/0/value"), written.get("/contained/1/telecom/0/value")
        assert links in {(PROVIDER, PATIENT), (None, None)}
    standing = work.ehr.appointment
    if standing.status != "cancelled":
        assert (standing.links.provider, standing.links.patient) == (PROVIDER, PATIENT)
    if standing.status == "booked":
        opens_at = standing.requested[0] - timedelta(minutes=30)
        came = [event.happened_at for event in work.log.events if event.kind is Kind.IN_LOBBY]
        assert not [at for at in came if at >= opens_at]
    assert PROVIDER in planted or PROVIDER not in work.ehr.shown_to_patients
    illegal = {("arrived", "booked"), ("checked-in", "arrived"), ("cancelled", "arrived"), ("cancelled", "booked")}
    moves = {(before, after) for before, after in pairwise(work.ehr.statuses)}
    assert not moves & illegal
    assert ("PATCH", 422) not in work.ehr.requests


async def _step(work: Work, step: str, planted: set[str]) -> None:
    ehr = work.ehr
    match step:
        case "read":
            await work.endpoint.read()
        case "attend":
            await work.step()
        case "wait":
            await work.step(10)
        case "move":
            ehr.change(requested=tuple(moment + timedelta(minutes=5) for moment in ehr.appointment.requested))
        case "cancel":
            ehr.change(status="cancelled")
        case "checked in" if ehr.appointment.status in {"booked", "arrived"}:
            ehr.change(status="checked-in")
        case "arrive in lobby":
            work.log.patient_waits(work.clock.now())
            work.endpoint.happened(VISIT)
        case "another's links":
            _plant(work, ELSEWHERE, ELSEWHERE, planted)
        case "exchanged links":
            _plant(work, PATIENT, PROVIDER, planted)
        case _:
            pass


def _plant(work: Work, provider: str, patient: str, planted: set[str]) -> None:
    planted.add(patient)
    work.ehr.change(links=Links(provider, patient, START.isoformat(), (START + timedelta(hours=1)).isoformat()))


async def test_a_booking_gets_its_links_with_one_change() -> None:
    work = Work.begun()
    await work.settle()
    assert work.ehr.requests == [("GET", 200), ("PATCH", 200), ("GET", 200)]
    links = work.ehr.appointment.links
    assert (links.provider, links.patient) == (PROVIDER, PATIENT)


@pytest.mark.parametrize("fault", ["cut", "lost answer", "500", "429", "424", "403"])
async def test_the_appointment_is_read_before_a_change_is_tried_again(fault: str) -> None:
    work = Work.begun()
    await work.endpoint.read()
    work.ehr.faults = deque([fault])
    await work.step()
    await work.step(3)
    assert [method for method, _ in work.ehr.requests] == ["GET", "PATCH"]
    await work.step(1)
    assert work.ehr.requests[2] == ("GET", 200)
    assert work.ehr.appointment.links.patient == PATIENT
    written = [status for method, status in work.ehr.requests if (method, status) == ("PATCH", 200)]
    assert written == [200]


async def test_an_appointment_that_was_changed_meanwhile_is_read_and_written_at_once() -> None:
    work = Work.begun()
    await work.endpoint.read()
    work.ehr.change(requested=(START + timedelta(hours=1), START + timedelta(hours=2)))
    await work.step()
    assert work.ehr.requests[1:4] == [("PATCH", 409), ("GET", 200), ("PATCH", 200)]
    assert work.ehr.appointment.links.start == (START + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_an_appointment_that_somebody_edits_is_tried_until_it_is_free_with_growing_pauses() -> None:
    work = Work.begun()
    await work.endpoint.read()
    times: list[float] = []
    for _ in range(40):
        work.ehr.faults = deque(["none", "edited"] if times else ["edited"])
        before = len(work.ehr.requests)
        await work.step(1)
        if len(work.ehr.requests) > before:
            assert work.ehr.requests[-1] == ("PATCH", 423)
            times.append(work.clock.seconds)
    assert [after - before for before, after in pairwise(times)] == [4, 8, 16]
    work.ehr.faults.clear()
    await work.step(65)
    assert work.ehr.appointment.links.patient == PATIENT


async def test_what_the_ehr_will_not_have_is_left_until_the_appointment_changes() -> None:
    work = Work.begun(asking_site(virtualVisitTypes=["Follow Up"]))
    work.ehr.change(service="Follow Up")
    await work.settle()
    await work.settle()
    refused = [request for request in work.ehr.requests if request == ("PATCH", 422)]
    assert refused == [("PATCH", 422)]
    work.ehr.change(requested=(START + timedelta(hours=1), START + timedelta(hours=2)))
    await work.settle()
    assert work.ehr.requests.count(("PATCH", 422)) == 2


async def test_an_ehr_that_shows_the_links_exchanged_gets_the_patients_for_both_rooms_once_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work.begun()
    work.ehr.exchanges_rooms = True
    await work.settle()
    await work.settle()
    assert work.ehr.requests.count(("PATCH", 200)) == 2
    links = work.ehr.appointment.links
    assert (links.provider, links.patient) == (PATIENT, PATIENT)
    assert [one.levelname for one in caplog.records if "in the patient's room" in one.message] == ["ERROR"]
    exchanged = {"what": "links", "outcome": "exchanged"}
    assert work.metrics.registry.get_sample_value("ehr_connector_appointment_writes_total", exchanged) == 1
    work.ehr.exchanges_rooms = False
    work.ehr.change(requested=(START + timedelta(hours=1), START + timedelta(hours=2)))
    await work.settle()
    assert work.ehr.requests.count(("PATCH", 200)) == 3
    links = work.ehr.appointment.links
    assert (links.provider, links.patient) == (PROVIDER, PATIENT)


async def test_refused_links_do_not_keep_a_patient_from_arriving() -> None:
    work = Work.begun(asking_site(virtualVisitTypes=["Follow Up"]))
    work.ehr.change(service="Follow Up")
    await work.endpoint.read()
    work.log.patient_waits(work.clock.now())
    work.endpoint.happened(VISIT)
    await work.step()
    assert work.ehr.appointment.status == "arrived"


@pytest.mark.parametrize("fault", ["none", "lost answer"])
async def test_an_arrival_is_written_and_noted_once_even_if_the_answer_is_lost(fault: str) -> None:
    work = Work.begun()
    await work.settle()
    work.log.patient_waits(work.clock.now())
    work.endpoint.happened(VISIT)
    work.ehr.faults = deque([fault])
    await work.step()
    await work.step(65)
    assert work.ehr.appointment.status == "arrived"
    assert [event.kind for event in work.log.events].count(Kind.ARRIVED_WRITTEN) == 1


async def test_an_endpoint_that_asks_for_no_arrival_gets_none() -> None:
    work = Work.begun(asking_site(writeBackArrival=False))
    await work.settle()
    work.log.patient_waits(work.clock.now())
    work.endpoint.happened(VISIT)
    await work.settle()
    assert work.ehr.appointment.status == "booked"


async def test_a_cancelled_visit_keeps_links_whose_time_is_over() -> None:
    work = Work.begun()
    await work.settle()
    work.ehr.change(status="cancelled")
    await work.settle()
    links = work.ehr.appointment.links
    assert (links.provider, links.patient) == (PROVIDER, PATIENT)
    assert links.end <= work.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert work.ehr.requests.count(("PATCH", 200)) == 2


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
async def test_a_cancellation_is_written_down_once_although_the_time_stays(status: str) -> None:
    work = Work.begun(asking_site(writeBackLinks=False))
    await work.settle()
    assert work.book.recorded == ["booked"]
    work.ehr.change(status=status)
    await work.settle()
    await work.settle()
    assert work.book.recorded == ["booked", status]


async def test_nothing_is_written_unless_the_lease_outlives_the_longest_answer() -> None:
    work = Work.begun()
    await work.endpoint.read()
    work.endpoint.lease_ends_s = work.clock.seconds + 19
    await work.step()
    assert work.ehr.requests == [("GET", 200)]
    work.clock.seconds += 10
    work.renew()
    await work.step()
    assert work.ehr.appointment.links is not None
