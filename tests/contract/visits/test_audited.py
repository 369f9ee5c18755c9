"""What the operator changes is in the audit log, and a whole visit leaves the same traces with replicas on PostgreSQL."""

from __future__ import annotations

from contract.visits import test_whole_visit
from contract.visits.world import OTHER_TENANT, World

from ehr_connector.audit import Audit, AuditEvent
from ehr_connector.store.database import open_database


async def audited(world: World) -> list[AuditEvent]:
    engine = open_database(world.settings["database_url"])
    try:
        audit = Audit(engine, world.clock)
        assert (await audit.verify()).broken_at is None
        return [event async for event in audit.events()]
    finally:
        await engine.dispose()


async def test_a_changed_and_a_removed_configuration_are_in_the_audit_log(world: World) -> None:
    await world.configure(displayName="Lamna Health")
    address = f"{world.connector}/control/v1/organizations/lamna/lamna/configuration"
    bearer = {"Authorization": f"Bearer {world.issuer.token()}"}
    for _ in range(2):
        assert (await world.http.delete(address, headers=bearer)).status_code == 204
    events = await audited(world)
    assert [event.action for event in events] == ["configured", "acknowledged", "configured", "deconfigured"]
    assert {(event.namespace, event.name, event.actor) for event in events} == {("lamna", "lamna", "operator")}
    assert events[0].object != events[2].object


async def test_a_forced_promotion_is_in_the_audit_log_when_it_begins(world: World) -> None:
    forced = [one | {"promotionForced": True} for one in world.document["endpoints"]]
    await world.configure(endpoints=forced)
    await world.configure(endpoints=forced, displayName="Lamna Health")
    events = await audited(world)
    told = [(event.action, event.object) for event in events if event.action == "promotion_forced"]
    assert told == [("promotion_forced", f"endpoint {one['name']}") for one in forced]


async def test_a_launch_that_is_refused_is_in_the_audit_log_and_names_nobody(world: World) -> None:
    patient = await world.patient()
    refused = [
        await world.browser().launch(await world.launch(patient, None, answer={"id_token": None})),
        await world.browser().launch(await world.launch(patient, None), record="lamna/lamna-production-provider"),
    ]
    assert [page.status_code for page in refused] == [403, 403]
    unknown = await world.browser().launch("code", iss="https://fhir.example/r4")
    assert unknown.status_code == 403
    events = [event for event in await audited(world) if event.action == "launched"]
    assert [(one.outcome, one.actor, one.object) for one in events] == [
        ("refused", "unknown", "FhirEndpoint/lamna-test")
    ] * 2


async def test_refused_launches_fill_the_audit_log_no_faster_than_a_row_a_second(world: World) -> None:
    browser = world.browser()
    url = f"{world.connector}/launch/provider"
    params = {"iss": world.base_url(OTHER_TENANT), "launch": "code"}
    world.clock.at = world.clock()
    for _ in range(65):
        assert (await browser.http.get(url, params=params)).status_code == 403
    events = [event for event in await audited(world) if event.action == "launched"]
    assert len(events) == 60
    metrics = (await world.http.get(f"{world.connector}/metrics")).text
    assert 'ehr_connector_launches_total{initiated_by="provider",outcome="inactive"} 65.0' in metrics


async def test_a_whole_visit_with_replicas_leaves_evidence_and_an_unbroken_audit_log(replicated: World) -> None:
    await replicated.replica()
    await test_whole_visit.test_a_visit_from_link_to_farewell(replicated)
    assert {"launched", "signed_in", "joined", "patient_joined"} <= {
        event.action for event in await audited(replicated)
    }
