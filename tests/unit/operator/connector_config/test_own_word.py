"""The operator knows its own word again, also when the connector's answer to it was lost."""

from __future__ import annotations

import pytest
from unit.operator.conftest import finding
from unit.operator.connector_config.connector import System
from unit.operator.connector_config.test_push import complete

from ehr_api.conditions import Type
from ehr_operator.runtime.model import Outcome


@pytest.mark.parametrize("policy", ["Correct", "Report"])
async def test_a_write_of_our_own_whose_answer_was_lost_is_no_drift(policy: str) -> None:
    system = System()
    key = complete(system)
    system.api.change(key, {"spec": {"driftPolicy": policy}})
    await system.reconcile(key)
    system.connector.lose_answer_to = "PUT"
    system.api.change(key, {"spec": {"displayName": "Second"}})
    await system.reconcile(key)
    system.connector.lose_answer_to = None
    system.api.change(key, {"spec": {"displayName": "Third"}})

    outcome = await system.reconcile(key)

    assert finding(outcome, Type.DRIFTED).reason == "InSync"
    assert outcome.notes == ()
    assert system.connector.document is not None
    assert system.connector.document["displayName"] == "Third"


async def test_a_suspended_organisation_does_not_forget_what_the_connector_holds() -> None:
    system = System()
    key = complete(system)
    await system.reconcile(key)
    system.api.change(key, {"spec": {"suspend": True, "displayName": "Second"}})
    await system.reconcile(key)
    system.connector.down = True

    assert isinstance(await system.finalize(key), Outcome)


async def test_a_first_write_whose_answer_was_lost_is_taken_back_at_the_deletion() -> None:
    system = System()
    key = complete(system)
    system.connector.lose_answer_to = "PUT"
    await system.reconcile(key)
    system.connector.down = True

    assert isinstance(await system.finalize(key), Outcome)


async def test_what_drifted_and_is_left_alone_does_not_count_as_configured() -> None:
    system = System()
    key = complete(system)
    system.api.change(key, {"spec": {"driftPolicy": "Report"}})
    await system.reconcile(key)
    assert system.connector.document is not None
    system.connector.document["displayName"] = "Changed by hand"

    outcome = await system.reconcile(key)

    assert finding(outcome, Type.CONNECTOR_CONFIGURED).status == "False"
    assert "displayName" in finding(outcome, Type.DRIFTED).message
