"""An endpoint whose base URL the connector serves for somebody else is left out, and everything else goes its way."""

from __future__ import annotations

from typing import Any

from unit.operator.conftest import endpoint_body, finding
from unit.operator.connector_config.connector import System
from unit.operator.connector_config.test_push import ACTIVE, complete

from ehr_api.conditions import Type
from ehr_operator.runtime.model import Key

TAKEN = "https://taken.example/r4"


async def with_one_left_out(system: System, **spec: Any) -> Key:
    """An organisation of two endpoints, one of which the connector serves for another organisation."""
    key = complete(system)
    system.api.put(endpoint_body("taken", spec={"baseURL": TAKEN}, status=ACTIVE))
    system.api.change(key, {"spec": spec})
    system.connector.claimed.add(TAKEN)
    await system.reconcile(key)
    return key


def named(system: System) -> list[str]:
    """The endpoints that the connector knows."""
    assert system.connector.document is not None
    return [endpoint["name"] for endpoint in system.connector.document["endpoints"]]


def by_hand(system: System, help_phone: str = "+18005550000") -> None:
    """Change something in the connector behind the operator's back."""
    assert system.connector.document is not None
    system.connector.document["visits"]["helpPhone"] = help_phone


async def test_the_others_are_configured_and_the_one_is_named(system: System) -> None:
    key = await with_one_left_out(system)

    outcome = await system.reconcile(key)

    assert named(system) == ["lamna-test"]
    configured = finding(outcome, Type.CONNECTOR_CONFIGURED)
    assert (configured.status.value, configured.reason) == ("False", "BaseUrlClaimed")
    assert "at the base URL of taken," in configured.message
    assert outcome.status.left_out_endpoints == ["taken"]
    assert outcome.status.configuration_digest == system.connector.digest
    assert finding(outcome, Type.DRIFTED).reason == "InSync"


async def test_it_is_taken_in_as_soon_as_its_base_url_is_free(system: System) -> None:
    key = await with_one_left_out(system)
    system.connector.claimed.clear()

    outcome = await system.reconcile(key)

    assert named(system) == ["lamna-test", "taken"]
    assert finding(outcome, Type.CONNECTOR_CONFIGURED).reason == "Configured"
    assert outcome.status.left_out_endpoints is None
    assert outcome.wake == (Key("FhirEndpoint", key.namespace, "taken"),)


async def test_drift_that_is_only_reported_is_left_alone_beside_it_and_names_no_more_than_was_changed(
    system: System,
) -> None:
    key = await with_one_left_out(system, driftPolicy="Report")
    by_hand(system)
    system.restart()

    for _ in range(2):
        drifted = finding(await system.reconcile(key), Type.DRIFTED)
        assert (drifted.status.value, drifted.reason) == ("True", "ChangedInConnector")
        assert "visits.helpPhone" in drifted.message
        assert "endpoints" not in drifted.message

    assert system.connector.document is not None
    assert system.connector.document["visits"]["helpPhone"] == "+18005550000"


async def test_drift_is_put_right_beside_it(system: System) -> None:
    key = await with_one_left_out(system)
    assert system.connector.document is not None
    before = system.connector.digest
    by_hand(system)

    outcome = await system.reconcile(key)

    assert system.connector.digest == before
    assert [note.reason for note in outcome.notes] == ["DriftCorrected"]
    assert "endpoints" not in outcome.notes[0].message


async def test_what_changes_in_git_is_sent_beside_it_also_where_drift_is_only_reported(system: System) -> None:
    key = await with_one_left_out(system, driftPolicy="Report")
    by_hand(system)
    system.api.put(endpoint_body("new", spec={"baseURL": "https://new.example/r4"}, status=ACTIVE))

    outcome = await system.reconcile(key)

    assert named(system) == ["lamna-test", "new"]
    assert system.connector.document is not None
    assert system.connector.document["visits"]["helpPhone"] == "+18005550199"
    assert outcome.status.left_out_endpoints == ["taken"]


async def test_an_endpoint_that_is_deleted_while_it_is_left_out_changes_nothing_that_was_sent(system: System) -> None:
    key = await with_one_left_out(system, driftPolicy="Report")
    system.api.remove(Key("FhirEndpoint", key.namespace, "taken"))
    system.connector.requests.clear()

    outcome = await system.reconcile(key)

    assert system.connector.requests == ["GET"]
    assert finding(outcome, Type.CONNECTOR_CONFIGURED).reason == "Configured"
    assert outcome.status.left_out_endpoints is None
