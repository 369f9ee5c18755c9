"""From a call that ended to its figures: what is kept, of whom, and that nothing is lost or counted twice on the way."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from contract.call_quality.running import GRAPH_PATH, Hospital, running_hospital
from contract.graph_stand_in.running import CLIENT, TENANT, GraphStandIn

from ehr_connector.reports.quality.extraction import NETWORK_KINDS, PLATFORMS
from ehr_connector.store.schema import call_record
from ehr_connector.teams.client_state import tenant_state_of
from ehr_sandbox.local_ca import LocalCA

PATH = "/graph/notifications"
RETRY = timedelta(minutes=11)
"""More than any pause after a failure that Graph names no time for."""
RECORD = "11111111-2222-4333-8444-555555555555"


async def test_a_call_that_ended_leaves_its_figures_with_its_visit(hospital: Hospital) -> None:
    visit = await hospital.visit()
    await hospital.subscribe()

    await hospital.played(visit.visit)

    legs = await hospital.legs()
    assert {(leg.side, leg.platform, leg.network_kind) for leg in legs} == {
        ("provider", "windows", "wifi"),
        ("patient", "android", "mobile"),
    }
    for leg in legs:
        assert (leg.visit, leg.department, leg.endpoint, leg.location) == (
            visit.visit, "cardiology", "lamna-test", "21304876",
        )  # fmt: skip
        assert leg.starts_at == visit.starts_at
        assert leg.day == date(2026, 11, 17)  # at the clinic it is the evening before
        assert 0 < leg.jitter_ms < 30
        assert leg.platform in PLATFORMS
        assert leg.network_kind in NETWORK_KINDS
        assert 20 < leg.frame_rate <= 30
    assert await hospital.rows(call_record) == []
    assert hospital.count("call_records", outcome="recorded") == 1


async def test_a_newer_version_of_a_record_takes_the_place_of_the_older(hospital: Hospital) -> None:
    visit = await hospital.visit()
    await hospital.subscribe()
    await hospital.play(visit.visit)
    (told,) = await hospital.told()
    await hospital.fetch()
    before = await hospital.legs()

    await hospital.graph.http.post(f"/_sandbox/callRecords/{told.record}/revise", json={"quality": "poor"})
    await hospital.told()
    await hospital.fetch()

    after = await hospital.legs()
    assert [leg.version for leg in after] == [2] * len(before)
    assert min(leg.packet_loss for leg in after) > min(leg.packet_loss for leg in before)


async def test_a_record_that_is_told_of_again_is_counted_once(small: Hospital) -> None:
    visit = await small.visit()
    await small.graph.settings(duplicate=1)
    await small.subscribe()
    await small.play(visit.visit)
    (told,) = await small.told()
    await small.fetch()
    before = await small.legs()

    await small.http.post(PATH, json=notification(small, record=told.record))
    await small.fetch()

    assert await small.legs() == before
    assert small.count("call_records", outcome="repeated") == 1


async def test_a_call_that_is_no_visit_leaves_nothing_and_its_people_are_not_asked_for(small: Hospital) -> None:
    await small.subscribe()

    await small.played("another-meeting")

    asked = await small.graph.http.get("/_sandbox/requests", params={"path": GRAPH_PATH})
    assert (await small.legs(), await small.rows(call_record)) == ([], [])
    assert asked.json()["count"] == 1
    assert small.count("call_records", outcome="foreign") == 1


async def test_a_visit_of_another_tenant_gets_no_figures(small: Hospital) -> None:
    visit = await small.visit()
    await small.subscribe()
    await small.play(visit.visit)
    await small.told()
    other = {"tenantID": "72f988bf-0000-4000-8000-0000000000ff", "clientID": "0a1b2c3d-0000-4000-8000-0000000000ff"}
    document = await small.organizations.get("lamna", "lamna")
    assert document is not None
    moved = document.configuration.microsoft365.to_api() | other
    await small.configure("second")
    await small.configure(microsoft365=moved)

    await small.fetch()

    assert (await small.legs(), await small.rows(call_record)) == ([], [])


async def test_every_page_of_a_large_call_is_kept(small: Hospital) -> None:
    visit = await small.visit()
    await small.subscribe()

    await small.played(visit.visit, guests=65)

    assert [leg.leg for leg in await small.legs()] == list(range(66))


async def test_what_was_told_before_a_restart_is_fetched_after_it(
    small: Hospital, graph: GraphStandIn, ca: LocalCA, keys_dir: Path, sqlite_url: str, resources: AsyncExitStack
) -> None:
    visit = await small.visit()
    await small.subscribe()
    await small.play(visit.visit)
    await small.told()

    again = await resources.enter_async_context(running_hospital(graph, ca, keys_dir, sqlite_url))
    await again.fetch()

    assert len(await again.legs()) == 2


async def test_a_record_that_is_not_there_yet_is_waited_for_and_then_given_up(small: Hospital) -> None:
    visit = await small.visit()
    await small.subscribe()
    await small.play(visit.visit)
    await small.told()
    await small.fault(GRAPH_PATH, action="status", status=404, count=3)
    for _ in range(3):
        await small.fetch()
        assert await small.legs() == []
        assert len(await small.rows(call_record)) == 1
        small.ahead += RETRY
    await small.fetch()
    assert len(await small.legs()) == 2

    await small.http.post(PATH, json=notification(small, record=RECORD))
    await small.told()
    await small.fetch()
    small.ahead += timedelta(hours=7)
    await small.fetch()

    assert await small.rows(call_record) == []
    assert small.count("call_records", outcome="gone") == 1


FAULTS: dict[str, dict[str, Any]] = {
    "429": {"action": "status", "status": 429, "retry_after_s": 30},
    "503": {"action": "status", "status": 503},
    "cut": {"action": "cut"},
    "half an answer": {"action": "half_answer"},
}
CALLS = ["get call record", "get call participants", "get call sessions", "next page of sessions"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("nth", range(len(CALLS)), ids=CALLS)
async def test_a_call_that_fails_is_made_again_and_the_figures_are_kept_once(
    small: Hospital, nth: int, fault: str
) -> None:
    visit = await small.visit()
    await small.subscribe()
    await small.play(visit.visit, guests=61)
    await small.told()
    await small.fault(GRAPH_PATH, nth=nth + 1, **FAULTS[fault])

    await small.fetch()
    assert (await small.legs(), len(await small.rows(call_record))) == ([], 1)
    small.ahead += RETRY
    await small.fetch()

    assert len(await small.legs()) == 62
    assert await small.rows(call_record) == []
    assert small.count("call_records", outcome="failed") == 1


async def test_graph_is_left_alone_for_as_long_as_it_asks(small: Hospital) -> None:
    visit = await small.visit()
    await small.subscribe()
    await small.play(visit.visit)
    await small.told()
    await small.fault(GRAPH_PATH, action="status", status=429, retry_after_s=3600)
    await small.fetch()

    small.ahead += timedelta(minutes=59)
    await small.fetch()
    assert await small.legs() == []
    small.ahead += timedelta(minutes=2)
    await small.fetch()

    assert len(await small.legs()) == 2


async def test_a_permission_that_is_withdrawn_stops_nothing_for_good(small: Hospital) -> None:
    visit = await small.visit()
    await small.subscribe()
    await small.play(visit.visit)
    await small.told()
    await permit(small, "User.Read.All")
    await small.fetch()
    assert (await small.legs(), len(await small.rows(call_record))) == ([], 1)

    await permit(small, "User.Read.All", "CallRecords.Read.All")
    small.ahead += RETRY
    await small.fetch()

    assert len(await small.legs()) == 2


async def permit(hospital: Hospital, *roles: str) -> None:
    """Grant the application these permissions alone, and get it the token that tells so."""
    answer = await hospital.graph.http.patch(f"/_sandbox/apps/{CLIENT}", json={"appRoles": list(roles)})
    assert answer.is_success, answer.text
    await hospital.teams.access.fresh_token(await hospital.configure())


def notification(hospital: Hospital, *, record: Any = RECORD, **changes: Any) -> dict[str, Any]:
    """What Graph sends of a record."""
    usual = {
        "subscriptionId": "s",
        "clientState": tenant_state_of(hospital.secret_keys, TENANT),
        "changeType": "updated",
        "tenantId": TENANT,
        "resource": f"communications/callRecords/{record}",
        "resourceData": {"@odata.type": "#microsoft.graph.callrecord", "id": record},
    }
    return {"value": [usual | changes]}


async def test_who_knows_our_client_state_has_a_record_fetched(small: Hospital) -> None:
    assert (await small.http.post(PATH, json=notification(small))).status_code == 202

    assert [row.record for row in await small.rows(call_record)] == [RECORD]


@pytest.mark.parametrize(
    "forged",
    [
        {"clientState": ""},
        {"clientState": f"{TENANT}.{'x' * 43}"},
        {"clientState": f"other.{'x' * 43}"},
        {"resourceData": None},
        {"resourceData": {}},
        {"record": "../../users"},
        {"record": "x" * 65},
        {"record": ""},
    ],
)
async def test_what_is_not_graphs_is_acknowledged_and_nothing_is_fetched(
    small: Hospital, forged: dict[str, Any]
) -> None:
    answer = await small.http.post(PATH, json=notification(small, **forged))

    assert answer.status_code == 202
    assert await small.rows(call_record) == []
    assert small.count("graph_notifications", outcome="rejected") == 1


async def test_a_tenant_that_no_organisation_is_in_any_more_is_not_listened_to(small: Hospital) -> None:
    state = tenant_state_of(small.secret_keys, "72f988bf-0000-4000-8000-0000000000ff")

    await small.http.post(PATH, json=notification(small, clientState=state))

    assert await small.rows(call_record) == []
