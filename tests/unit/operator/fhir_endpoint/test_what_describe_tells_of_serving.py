"""What `kubectl describe` shows of an endpoint that passes its checks and still may not serve: why, who acts, when it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from unit.operator.conftest import conditions, endpoint_body, number_body
from unit.operator.documented import reasons_in_the_way
from unit.operator.fhir_endpoint.ehr import System
from unit.operator.fhir_endpoint.test_promotion import PRODUCTION, PRODUCTION_SPEC, TEST
from unit.operator.fhir_endpoint.test_what_describe_tells import FAILURES

from ehr_api.conditions import Type

AUTHOR, PLATFORM, THEIRS = "Author: ", "Platform team: ", "its own conditions say who must act"
AT_ONCE, ASKED, BACK_OFF = "as soon as", "every 10 s", "stands in status.retry"
ELSEWHERE = {
    "ConfigNotFound": "by a test of its own, beside the failures",
    "Suspended": "by a test of its own, beside the failures",
    "NotChecked": "by a test of its own, beside the failures",
    "UrlNotWellFormed": "points at UrlWellFormed, which tells all",
}
"""Reasons that neither table has, and where they are read."""


def nothing(_: System) -> None:
    """Leave the system as it is."""


def twin_changed(**parts: Any) -> Callable[[System], None]:
    """Let the Test endpoint be another."""
    return lambda system: system.api.change(TEST, parts)


def number_deleted(system: System) -> None:
    ready = {"conditions": conditions(Ready="True")}
    system.api.put(number_body(status=ready, deletionTimestamp="2026-03-02T09:00:00Z"))
    system.api.change(PRODUCTION, {"spec": {"smsNumberRef": {"name": "lamna-sms"}}})


def records_refused(system: System) -> None:
    system.api.forbids = "the policy says no"


@dataclass(frozen=True)
class Mode:
    """What is in the way, and what is to be read of it."""

    reason: str
    what: str
    who: str
    when: str
    arrange: Callable[[System], Any]
    condition: Type = Type.PROMOTED
    spec: dict[str, Any] = field(default_factory=dict[str, Any])


UNKNOWN, ITSELF = {"promotedFrom": {"name": "nobody"}}, {"promotedFrom": {"name": "lamna-production"}}
FAILING = {"status": {"conditions": conditions(Validated="False:Unreachable")}}
OTHER_VISITS = {"spec": {"appointments": {"virtualVisitTypes": ["Another"]}}}
MODES = {
    "no Test endpoint": Mode("TestEndpointNotFound", "'nobody'", AUTHOR, AT_ONCE, nothing, spec=UNKNOWN),
    "not a Test endpoint": Mode("NotATestEndpoint", "'lamna-production'", AUTHOR, AT_ONCE, nothing, spec=ITSELF),
    "Test fails": Mode("TestEndpointNotValidated", "'lamna-test'", THEIRS, AT_ONCE, twin_changed(**FAILING)),
    "profiles differ": Mode("ProfileDiffers", "visit types", AUTHOR, AT_ONCE, twin_changed(**OTHER_VISITS)),
    "no visit yet": Mode("AwaitingEvidence", "one patient join on 'lamna-test' with this profile. A", AUTHOR, ASKED, nothing),
    "number deleted": Mode("SmsNumberBeingDeleted", "was deleted", AUTHOR, "is then kept or released", number_deleted, Type.SMS_LINKED),
    "records refused": Mode("RecordsNotWritten", "the policy says no", PLATFORM, BACK_OFF, records_refused, Type.READY),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
async def test_what_keeps_a_validated_endpoint_from_serving_is_told_with_its_remedy_and_the_next_try(
    mode: Mode, system: System
) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(TEST)
    system.api.put(endpoint_body("lamna-production", spec={**PRODUCTION_SPEC, **mode.spec}))
    mode.arrange(system)

    outcome = await system.reconcile(PRODUCTION)

    shown = {one["type"]: one for one in system.api.bodies[PRODUCTION]["status"]["conditions"]}
    blamed = shown[mode.condition]
    assert (blamed["status"], blamed["reason"]) == ("False", mode.reason)
    assert all(words in blamed["message"] for words in (mode.what, mode.who, mode.when))
    assert (outcome.failure is not None) == (mode.when == BACK_OFF)


async def test_a_connector_that_cannot_be_asked_for_evidence_is_no_visit_that_was_not_held(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(TEST)
    system.api.put(endpoint_body("lamna-production", spec=PRODUCTION_SPEC))
    await system.reconcile(PRODUCTION)
    system.connector.down = True

    await system.reconcile(PRODUCTION)

    shown = {one["type"]: one for one in system.api.bodies[PRODUCTION]["status"]["conditions"]}
    assert shown["Promoted"]["reason"] == "AwaitingEvidence"
    assert "the connector, which would know of them, does not tell just now" in shown["Promoted"]["message"]


def test_every_reason_of_the_page_that_is_in_the_way_is_read() -> None:
    told = {one.reason for one in (*MODES.values(), *FAILURES.values())}

    assert reasons_in_the_way("FhirEndpoint") - told == set(ELSEWHERE)
