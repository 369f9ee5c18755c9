"""How the connector comes to hold an organisation's configuration, and what is said when it does not."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, conditions, endpoint_body, finding, number_body
from unit.operator.connector_config.connector import System

from ehr_api.conditions import Type
from ehr_operator.connector_config.reconcile import DETACH
from ehr_operator.runtime.model import Finalized, Key, Outcome, State

ACTIVE = {"conditions": conditions(Ready="True", Validated="True", Promoted="True")}
ENDPOINT = Key("FhirEndpoint", NAMESPACE, "lamna-test")


def complete(system: System) -> Key:
    """Apply an organisation that has all it needs."""
    held = {"phoneNumber": "+18335550101", "conditions": conditions(Ready="True")}
    system.api.put(number_body(status=held))
    system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}, status=ACTIVE))
    return system.add()


def _configured(outcome: Outcome[Any]) -> str:
    found = finding(outcome, Type.CONNECTOR_CONFIGURED)
    return f"{found.status.value}:{found.reason}"


async def test_a_new_organisation_is_handed_over_and_its_endpoints_are_woken(system: System) -> None:
    outcome = await system.reconcile(complete(system))
    assert (outcome.state, outcome.reason, _configured(outcome)) == (State.READY, "Configured", "True:Configured")
    assert system.connector.requests == ["GET", "PUT"]
    assert outcome.status.configuration_digest == system.connector.digest
    assert (outcome.status.endpoints, outcome.status.ready_endpoints) == (1, 1)
    assert outcome.wake == (ENDPOINT,)
    assert outcome.notes == ()


async def test_a_configuration_that_stands_is_read_back_and_not_written(system: System) -> None:
    key = complete(system)
    first = await system.reconcile(key)
    system.connector.requests.clear()
    system.restart()
    again = await system.reconcile(key)
    assert system.connector.requests == ["GET"]
    assert (again.findings, again.status.configuration_digest, again.wake) == (
        first.findings,
        first.status.configuration_digest,
        (),
    )
    assert again.requeue_after_s == 60.0


async def test_a_changed_spec_replaces_what_the_connector_held_without_talk_of_drift(system: System) -> None:
    key = complete(system)
    await system.reconcile(key)
    system.api.change(key, {"spec": {"displayName": "Lamna Health"}})
    outcome = await system.reconcile(key)
    assert system.connector.document is not None
    assert system.connector.document["displayName"] == "Lamna Health"
    assert (finding(outcome, Type.DRIFTED).reason, outcome.notes) == ("InSync", ())


async def test_only_endpoints_that_the_connector_learns_of_just_now_are_woken(system: System) -> None:
    key = complete(system)
    await system.reconcile(key)
    system.api.put(endpoint_body("second", spec={"baseURL": "https://second.example/r4"}, status=ACTIVE))
    assert (await system.reconcile(key)).wake == (Key("FhirEndpoint", NAMESPACE, "second"),)


async def test_drift_is_put_right_and_announced_with_the_fields(system: System) -> None:
    key = complete(system)
    digest = (await system.reconcile(key)).status.configuration_digest
    assert system.connector.document is not None
    system.connector.document["displayName"] = "Changed by hand"
    outcome = await system.reconcile(key)
    assert system.connector.digest == digest
    assert [(note.reason, note.warning) for note in outcome.notes] == [("DriftCorrected", True)]
    assert "displayName" in outcome.notes[0].message
    assert "Changed by hand" not in outcome.notes[0].message
    assert (await system.reconcile(key)).notes == ()


async def test_a_configuration_that_was_removed_in_the_connector_is_put_back(system: System) -> None:
    key = complete(system)
    await system.reconcile(key)
    system.connector.document = None
    outcome = await system.reconcile(key)
    assert system.connector.document is not None
    assert [note.reason for note in outcome.notes] == ["DriftCorrected"]


@pytest.mark.parametrize("stop", [{"driftPolicy": "Report"}, {"suspend": True}])
async def test_drift_is_only_reported_where_that_is_asked_or_changes_are_stopped(
    stop: dict[str, Any], system: System
) -> None:
    key = complete(system)
    await system.reconcile(key)
    system.api.change(key, {"spec": stop})
    assert (await system.reconcile(key)).state is State.READY
    assert system.connector.document is not None
    system.connector.document["visits"]["helpPhone"] = "+18005550000"
    for _ in range(3):
        outcome = await system.reconcile(key)
        drifted = finding(outcome, Type.DRIFTED)
        assert (drifted.status.value, drifted.reason) == ("True", "ChangedInConnector")
        assert "visits.helpPhone" in drifted.message
        assert (outcome.state, outcome.reason) == (State.RECONCILING, "ChangedInConnector")
    assert system.connector.document["visits"]["helpPhone"] == "+18005550000"


@pytest.mark.parametrize("changed_there", [{"helpPhone": "+18005550000"}, {"helpPhone": None}])
async def test_a_consent_that_is_withdrawn_in_git_reaches_the_connector_also_where_drift_is_only_reported(
    changed_there: dict[str, Any], system: System
) -> None:
    key = complete(system)
    system.api.change(key, {"spec": {"driftPolicy": "Report"}})
    await system.reconcile(key)
    assert system.connector.document is not None
    system.connector.document["visits"] |= changed_there
    assert finding(await system.reconcile(key), Type.DRIFTED).reason == "ChangedInConnector"

    system.api.change(key, {"spec": {"smsNotifications": {"enabled": False}}})
    outcome = await system.reconcile(key)

    assert system.connector.document["smsNotifications"]["enabled"] is False
    assert system.connector.document["visits"]["helpPhone"] == "+18005550199"
    assert _configured(outcome) == "True:Configured"
    assert [note.reason for note in outcome.notes] == ["DriftCorrected"]


async def test_drift_that_is_put_right_stands_in_a_condition_until_the_next_look_and_is_in_the_way_of_nothing(
    system: System,
) -> None:
    key = complete(system)
    await system.reconcile(key)
    assert system.connector.document is not None
    system.connector.document["displayName"] = "Changed by hand"

    outcome = await system.reconcile(key)

    drifted = finding(outcome, Type.DRIFTED)
    assert (drifted.status.value, drifted.reason) == ("True", "DriftCorrected")
    assert "displayName" in drifted.message
    assert "Changed by hand" not in drifted.message
    assert (outcome.state, outcome.reason) == (State.READY, "Configured")
    after = finding(await system.reconcile(key), Type.DRIFTED)
    assert (after.status.value, after.reason) == ("False", "InSync")


async def test_a_suspended_organisation_is_not_handed_over(system: System) -> None:
    outcome = await system.reconcile(system.add(spec={"suspend": True}))
    assert _configured(outcome) == "Unknown:Suspended"
    assert system.connector.requests == ["GET"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "AccessDenied"),
        (403, "AccessDenied"),
        (409, "BaseUrlClaimed"),
        (412, "ChangedMeanwhile"),
        (422, "ConfigurationRefused"),
        (418, "ConnectorRefused"),
    ],
)
async def test_a_refusal_is_told_in_the_connectors_own_words_and_tried_again(
    status: int, reason: str, system: System
) -> None:
    system.connector.refuse["PUT"] = (status, "the connector's own words")
    outcome = await system.reconcile(complete(system))
    configured = finding(outcome, Type.CONNECTOR_CONFIGURED)
    assert (configured.status.value, configured.reason) == ("False", reason)
    words, who, when = configured.message.split(". ")
    assert words == "the connector's own words"
    assert who.startswith(("Author: ", "Platform team: ", "Nobody has to act"))
    assert when == "Tried again by itself; when stands in status.retry"
    assert outcome.failure is not None
    assert finding(outcome, Type.DRIFTED).status == "Unknown"


@pytest.mark.parametrize("how", ["down", "busy"])
async def test_a_connector_that_gives_no_answer_is_tried_again_and_what_stands_is_kept(
    how: str, system: System
) -> None:
    key = complete(system)
    digest = (await system.reconcile(key)).status.configuration_digest
    if how == "down":
        system.connector.down = True
    else:
        system.connector.refuse["GET"] = (503, "busy")
    outcome = await system.reconcile(key)
    assert _configured(outcome) == "False:ConnectorUnavailable"
    assert outcome.failure is not None
    assert outcome.status.configuration_digest == digest


async def test_a_change_between_reading_and_writing_is_not_overwritten(system: System) -> None:
    key = complete(system)
    await system.reconcile(key)
    system.connector.change_after_reading = {"displayName": "Changed in between"}
    system.api.change(key, {"spec": {"displayName": "Another"}})
    outcome = await system.reconcile(key)
    assert _configured(outcome) == "False:ChangedMeanwhile"
    assert system.connector.document is not None
    assert system.connector.document["displayName"] == "Changed in between"


async def test_a_connector_that_reads_the_document_differently_is_named_as_of_another_version(system: System) -> None:
    system.connector.misread = True
    outcome = await system.reconcile(complete(system))
    assert _configured(outcome) == "False:DigestDiffers"
    assert outcome.failure is not None


async def test_the_operators_token_goes_to_no_connector_that_is_not_trusted(system: System) -> None:
    system.trusted = False
    system.restart()
    outcome = await system.reconcile(complete(system))
    assert _configured(outcome) == "False:ControlUrlNotTrusted"
    assert outcome.failure is None, "only a setting or another spec helps"
    assert system.connector.requests == []


async def test_of_two_endpoints_with_one_base_url_the_connector_learns_of_the_elder_alone(system: System) -> None:
    system.api.put(endpoint_body("younger", status=ACTIVE))
    system.api.put(endpoint_body("elder", status=ACTIVE, creationTimestamp="2026-03-01T08:00:00Z"))
    await system.reconcile(system.add())
    assert system.connector.document is not None
    assert [one["name"] for one in system.connector.document["endpoints"]] == ["elder"]


async def test_a_deletion_removes_the_configuration(system: System) -> None:
    key = complete(system)
    await system.reconcile(key)
    assert await system.finalize(key) == Finalized()
    assert system.connector.document is None


async def test_a_deletion_waits_for_a_connector_that_holds_the_configuration_and_says_how_to_detach(
    system: System,
) -> None:
    key = complete(system)
    await system.reconcile(key)
    system.connector.down = True
    outcome = await system.finalize(key)
    assert isinstance(outcome, Outcome)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "DeletionBlocked")
    assert outcome.failure is not None
    assert f"{DETACH}=true" in outcome.message
    system.api.change(key, {"metadata": {"annotations": {DETACH: "true"}}})
    assert await system.finalize(key) == Finalized()


async def test_an_organisation_that_was_never_handed_over_goes_although_the_connector_is_down(system: System) -> None:
    key = system.add()
    system.connector.down = True
    await system.reconcile(key)
    assert await system.finalize(key) == Finalized()


async def test_every_endpoint_and_number_of_the_organisation_is_woken_by_its_spec_alone(system: System) -> None:
    key = complete(system)
    system.api.put(endpoint_body("elsewhere", spec={"configRef": {"name": "other"}}))
    body = system.api.bodies[key]
    assert set(system.kind.related(body)) == {ENDPOINT, Key("SmsNumber", NAMESPACE, "lamna-sms")}
    before = system.kind.signal(body)
    await system.reconcile(key)
    assert system.kind.signal(system.api.bodies[key]) == before
    system.api.change(key, {"spec": {"displayName": "Another"}})
    assert system.kind.signal(system.api.bodies[key]) != before


@pytest.mark.parametrize(
    "trouble",
    [
        {"metadata": {"deletionTimestamp": "2026-03-02T09:00:00Z"}},
        {"status": {"conditions": conditions(Ready="False", Verified="True", Provisioned="Unknown")}},
    ],
    ids=["its deletion is held back", "the operator cannot look at it"],
)
async def test_a_number_that_is_held_texts_on_although(system: System, trouble: dict[str, Any]) -> None:
    key = complete(system)
    number = Key("SmsNumber", NAMESPACE, "lamna-sms")
    system.api.change(number, {"status": {"conditions": conditions(Ready="True", Verified="True", Provisioned="True")}})
    system.api.change(number, trouble)

    await system.reconcile(key)

    assert system.connector.document is not None
    assert [one["senderNumber"] for one in system.connector.document["endpoints"]] == ["+18335550101"]


async def test_what_the_endpoints_tell_themselves_and_what_is_asked_for_is_no_warning(system: System) -> None:
    key = complete(system)
    assert (await system.reconcile(key)).warning is None
    system.api.change(ENDPOINT, {"status": {"conditions": conditions(Ready="False:Unreachable")}})
    waiting = await system.reconcile(key)
    assert (waiting.reason, waiting.warning) == ("EndpointsNotReady", False)
    system.api.change(key, {"spec": {"suspend": True, "displayName": "Another"}})
    suspended = await system.reconcile(key)
    assert (suspended.reason, suspended.warning) == ("Suspended", False)


async def test_a_number_that_is_no_longer_owned_texts_no_more(system: System) -> None:
    key = complete(system)
    lost = {"status": {"conditions": conditions(Ready="False", Verified="True", Provisioned="False")}}
    system.api.change(Key("SmsNumber", NAMESPACE, "lamna-sms"), lost)

    await system.reconcile(key)

    assert system.connector.document is not None
    assert ["senderNumber" in one for one in system.connector.document["endpoints"]] == [False]
