"""The visit from the launch to its end, with two windows."""

from __future__ import annotations

from browser.visit.conftest import OpenChart, OpenPhone
from browser.visit.hospital import Hospital, Watch, into_lobby, origin, until
from playwright.sync_api import expect


def test_a_visit_goes_from_launch_to_end_with_pushed_status_and_nothing_left_behind(
    hospital: Hospital, chart: OpenChart, phone: OpenPhone
) -> None:
    world = hospital.world
    visit = hospital.book()
    clinician, patient = chart(8), phone()
    launches, joins = hospital.joins()
    watches = [Watch(clinician.page.context), Watch(patient.context)]

    clinician.open(visit).sign_in()
    clinician.status("Link not sent")
    into_lobby(patient, visit.patient_link, "Rosa")
    clinician.status("Patient is waiting in the lobby")
    expect(clinician.frame.locator("[data-waiting]")).to_be_visible()
    until(patient, lambda: hospital.in_ehr(visit)["status"] == "arrived")
    teams = clinician.into_teams()
    teams.get_by_role("button", name="Admit Rosa").click()
    expect(patient.locator("#state[data-state=meeting]")).to_be_visible()
    clinician.status("Patient is in the visit")
    expect(clinician.frame.locator("[data-waiting]")).to_be_hidden()
    teams.locator("#end").click()
    expect(patient.locator("#state[data-state=ended]")).to_be_visible()
    clinician.status("Patient left")

    until(patient, lambda: hospital.joins() == (launches + 1, joins + 1))
    for watch in watches:
        assert watch.complaints == []
        assert {origin(url) for url in watch.visited} <= {world.cerner, world.graph, world.connector}
        ours = {origin(url) for page, url in watch.fetched if page == world.connector}
        assert ours == {world.connector}
        kept = [url for url in watch.kept if origin(url) == world.connector]
        assert [url for url in kept if not url.startswith(f"{world.connector}/static/")] == []
    cookies = clinician.page.context.cookies(world.connector)
    assert {(one.get("name"), one.get("httpOnly"), one.get("secure")) for one in cookies} == {
        ("__Host-ehr-browser", True, True)
    }
    assert patient.context.cookies(world.connector) == []
