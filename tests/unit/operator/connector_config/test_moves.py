"""An organisation whose controlURL changes: never two connectors that serve it, and none that serves it unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from unit.operator.conftest import CONTROL_URL, endpoint_body, finding
from unit.operator.connector_config.connector import OTHER_URL, System

from ehr_api.conditions import Type
from ehr_operator.connector_config.push import DETACH
from ehr_operator.runtime.model import Finalized, Key, Outcome, State


def down(system: System) -> None:
    system.connector.down = True


def refusing(system: System) -> None:
    system.connector.refuse["DELETE"] = (403, "not this token")


TROUBLES = pytest.mark.parametrize("trouble", [down, refusing])


@pytest.fixture
async def served(system: System) -> Key:
    """An organisation that a connector serves."""
    system.api.put(endpoint_body())
    key = system.add()
    await system.reconcile(key)
    assert system.connector.document is not None
    return key


def detach(system: System, key: Key) -> None:
    system.api.change(key, {"metadata": {"annotations": {DETACH: "true"}}})


def configured(outcome: Outcome[Any]) -> tuple[str, str]:
    found = finding(outcome, Type.CONNECTOR_CONFIGURED)
    return found.status.value, found.reason


async def test_the_former_connector_forgets_the_organisation_and_the_new_one_serves_it(
    system: System, served: Key
) -> None:
    system.move(served)

    outcome = await system.reconcile(served)

    assert system.connector.document is None
    assert system.elsewhere.document is not None
    assert (configured(outcome), outcome.status.control_url) == (("True", "Configured"), OTHER_URL)
    assert outcome.notes == (), "nobody changed anything behind the operator's back"


@TROUBLES
async def test_a_former_connector_that_does_not_forget_keeps_the_organisation_from_being_served_twice(
    trouble: Callable[[System], None], system: System, served: Key
) -> None:
    system.move(served)
    trouble(system)

    outcome = await system.reconcile(served)

    assert system.elsewhere.document is None
    assert outcome.failure is not None
    assert configured(outcome)[0] == "False"
    message = finding(outcome, Type.CONNECTOR_CONFIGURED).message
    assert CONTROL_URL in message
    assert f"{DETACH}=true" in message
    detach(system, served)
    assert configured(await system.reconcile(served)) == ("True", "Configured")
    assert system.elsewhere.document is not None
    assert system.connector.document is not None, "it was left there"


async def test_a_move_that_was_cut_after_the_former_connector_forgot_goes_on(system: System, served: Key) -> None:
    system.move(served)
    system.elsewhere.down = True
    outcome = await system.reconcile(served)
    assert configured(outcome) == ("False", "ConnectorUnavailable")
    assert system.connector.document is None
    system.elsewhere.down, system.connector.down = False, True

    assert configured(await system.reconcile(served)) == ("True", "Configured")


async def test_a_suspended_organisation_stays_at_its_connector_until_it_goes_on(system: System, served: Key) -> None:
    system.move(served)
    system.api.change(served, {"spec": {"suspend": True}})

    outcome = await system.reconcile(served)

    assert configured(outcome) == ("Unknown", "Suspended")
    assert system.connector.document is not None
    assert (system.elsewhere.requests, system.elsewhere.document) == ([], None)
    assert outcome.status.control_url == CONTROL_URL
    system.api.change(served, {"spec": {"suspend": False}})
    assert configured(await system.reconcile(served)) == ("True", "Configured")
    assert system.connector.document is None


async def test_a_deletion_removes_the_configuration_from_the_connector_that_has_it(system: System, served: Key) -> None:
    system.move(served)
    system.elsewhere.down = True

    assert await system.finalize(served) == Finalized(), "the new connector was given nothing"

    assert system.connector.document is None


@TROUBLES
async def test_a_deletion_waits_for_the_former_connector_and_names_it(
    trouble: Callable[[System], None], system: System, served: Key
) -> None:
    system.move(served)
    trouble(system)

    outcome = await system.finalize(served)

    assert isinstance(outcome, Outcome)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "DeletionBlocked")
    assert CONTROL_URL in outcome.message
    assert f"{DETACH}=true" in outcome.message
    detach(system, served)
    assert await system.finalize(served) == Finalized()
