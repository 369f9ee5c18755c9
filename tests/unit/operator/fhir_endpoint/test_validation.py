"""When an EHR is asked, how often, and from when a failure counts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from unit.operator.conftest import BASE_URL, NAMESPACE, START, config_body, endpoint_body, finding, number_body
from unit.operator.conftest import conditions as conditions_of
from unit.operator.fhir_endpoint.ehr import CAPABILITIES, DOWN, GOOD, SMART, System, answered, report

from ehr_api.conditions import Type
from ehr_api.control import ProbeOutcome
from ehr_api.meta import REQUESTED_AT
from ehr_operator.fhir_endpoint.probes import Observation
from ehr_operator.fhir_endpoint.validation import PROBE_TYPES
from ehr_operator.runtime.model import Finalized, Key, State

KEY = Key("FhirEndpoint", NAMESPACE, "lamna-test")
CONFIG = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)


async def test_a_right_endpoint_is_ready_after_one_look_with_all_conditions_in_order(system: System) -> None:
    system.api.put(endpoint_body())
    outcome = await system.reconcile(KEY)
    assert (outcome.state, outcome.reason) == (State.READY, "Validated")
    assert [one.type for one in outcome.findings] == [
        *PROBE_TYPES, Type.VALIDATED, Type.PROMOTED, Type.SMS_LINKED,
    ]  # fmt: skip
    status = outcome.status
    assert (status.fhir_version, status.software, status.latency_milliseconds) == (
        "4.0.1", "Millennium / Oracle Health", 100,
    )  # fmt: skip
    assert status.smart.capabilities == ["client-confidential-asymmetric", "launch-ehr"]


async def test_a_validated_endpoint_is_looked_at_once_in_each_interval(system: System) -> None:
    system.api.put(endpoint_body(spec={"validation": {"interval": "10m"}}))
    await system.run(KEY, 6 * 3600)
    assert len(system.probes.asked) == 37


@pytest.mark.parametrize(("random", "pause_s"), [(0.0, 270.0), (0.5, 300.0), (1.0, 330.0)])
async def test_the_interval_is_spread_by_a_tenth_each_way(random: float, pause_s: float, system: System) -> None:
    system.random = lambda: random
    system.restart()
    system.api.put(endpoint_body())
    assert (await system.reconcile(KEY)).requeue_after_s == pytest.approx(pause_s)


async def test_an_interval_is_never_below_ten_seconds(system: System) -> None:
    system.api.put(endpoint_body(spec={"validation": {"interval": "1s"}}))
    assert (await system.reconcile(KEY)).requeue_after_s == pytest.approx(10)


async def test_a_reconcile_between_two_looks_asks_nobody_and_changes_nothing(system: System) -> None:
    system.api.put(endpoint_body())
    first = await system.reconcile(KEY)
    asked = list(system.connector.asked)
    system.clock.advance(100)
    again = await system.reconcile(KEY)
    assert (system.probes.asked, system.connector.asked) == ([BASE_URL], asked)
    assert again.findings == first.findings
    assert again.requeue_after_s == pytest.approx(200)


async def test_an_unchanged_result_writes_no_moving_value(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    before = system.api.bodies[KEY]["status"]
    for elapsed_s in (0.2, 0.3, 0.4):
        system.clock.advance(400)
        system.probes.sees = Observation(answered(CAPABILITIES, elapsed_s=elapsed_s), answered(SMART))
        await system.reconcile(KEY)
    assert len(system.probes.asked) == 4
    assert system.api.bodies[KEY]["status"] == before


async def test_a_renewed_certificate_stands_in_status_at_once_and_a_warning_ends_with_it(system: System) -> None:
    soon, later = START + timedelta(days=10), START + timedelta(days=400)
    system.probes.sees = Observation(answered(CAPABILITIES, certificate_expiry=soon), answered(SMART))
    system.api.put(endpoint_body())
    outcome = await system.reconcile(KEY)
    assert (outcome.state, finding(outcome, Type.TLS_TRUSTED).reason) == (State.READY, "CertificateExpiresSoon")
    assert "but see TlsTrusted (CertificateExpiresSoon)" in finding(outcome, Type.VALIDATED).message
    system.probes.sees = Observation(answered(CAPABILITIES, certificate_expiry=later), answered(SMART))
    system.clock.advance(400)
    outcome = await system.reconcile(KEY)
    assert finding(outcome, Type.TLS_TRUSTED).reason == "Trusted"
    assert outcome.status.certificate_expiry == later


async def test_a_certificate_that_nears_its_end_is_told_by_one_event_at_each_of_three_marks(system: System) -> None:
    end = START + timedelta(days=23)
    system.probes.sees = Observation(answered(CAPABILITIES, certificate_expiry=end), answered(SMART))
    system.api.put(endpoint_body(spec={"validation": {"interval": "1h"}}))
    told: list[str] = []
    writes: set[str] = set()
    for outcome in [await system.reconcile(KEY), *await system.run(KEY, 22.9 * 86400)]:
        told += [note.message for note in outcome.notes if note.reason == "CertificateExpiresSoon"]
        writes.add(finding(outcome, Type.TLS_TRUSTED).message)
        assert outcome.state is State.READY
    assert [re.findall(r"in less than (\d+) day", message) for message in told] == [["21"], ["7"], ["1"]]
    assert len(writes) == 4, "as many messages as there are marks, and the one before them"


async def test_what_was_seen_of_a_server_stays_in_status_while_it_is_down(system: System) -> None:
    system.api.put(endpoint_body(spec={"validation": {"failureThreshold": 1}}))
    await system.reconcile(KEY)
    system.probes.sees = DOWN
    system.clock.advance(400)
    status = (await system.reconcile(KEY)).status
    assert (status.fhir_version, status.software) == ("4.0.1", "Millennium / Oracle Health")
    assert status.last_validated == START + timedelta(seconds=400), "the change of the result has its time"


@pytest.mark.parametrize(("asked_s", "pause_s"), [(None, 5), (1, 5), (60, 60), (86400, 300)])
async def test_a_busy_ehr_is_left_alone_as_long_as_it_asks_up_to_the_interval(
    asked_s: float | None, pause_s: float, system: System
) -> None:
    system.probes.sees = Observation(answered(None, status=429, retry_after_s=asked_s), answered(SMART))
    system.api.put(endpoint_body())
    assert (await system.reconcile(KEY)).requeue_after_s == pytest.approx(pause_s)


async def test_a_failing_endpoint_is_tried_again_with_pauses_that_double_up_to_the_interval(system: System) -> None:
    system.probes.sees = DOWN
    system.api.put(endpoint_body())
    pauses = [round(outcome.requeue_after_s or -1) for outcome in await system.run(KEY, 1500)]
    assert pauses[:9] == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize(
    ("validation", "patience"), [(None, 3), ({"failureThreshold": 1}, 1), ({"failureThreshold": 5}, 5)]
)
async def test_a_validated_endpoint_counts_as_failed_after_so_many_failures_in_a_row(
    validation: Any, patience: int, system: System
) -> None:
    system.api.put(endpoint_body(spec={"validation": validation}))
    outcome = await system.reconcile(KEY)
    system.probes.sees = DOWN
    for failure in range(1, patience + 1):
        system.clock.advance(outcome.requeue_after_s or 0)
        outcome = await system.reconcile(KEY)
        assert (outcome.state is State.READY) == (failure < patience)
    assert outcome.reason == "Unreachable"
    system.probes.sees = GOOD
    system.clock.advance(outcome.requeue_after_s or 0)
    assert (await system.reconcile(KEY)).state is State.READY, "one success mends it"


async def test_failures_that_are_not_in_a_row_never_add_up(system: System) -> None:
    system.api.put(endpoint_body())
    outcome = await system.reconcile(KEY)
    for sees in [DOWN, DOWN, GOOD] * 4:
        system.probes.sees = sees
        system.clock.advance(outcome.requeue_after_s or 0)
        outcome = await system.reconcile(KEY)
        assert outcome.state is State.READY


async def test_an_endpoint_that_never_was_validated_gets_no_patience(system: System) -> None:
    system.probes.sees = DOWN
    system.api.put(endpoint_body())
    assert (await system.reconcile(KEY)).reason == "Unreachable"


async def test_a_changed_spec_is_looked_at_at_once_and_without_patience(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    system.probes.sees = DOWN
    system.api.change(KEY, {"spec": {"validation": {"maxLatency": "4s"}}})
    assert (await system.reconcile(KEY)).reason == "Unreachable"
    assert len(system.probes.asked) == 2


async def test_a_request_by_annotation_is_answered_by_one_look(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    system.api.change(KEY, {"metadata": {"annotations": {REQUESTED_AT: "2026-03-02T10:00:00Z"}}})
    await system.reconcile(KEY)
    await system.reconcile(KEY)
    assert len(system.probes.asked) == 2


async def test_a_restart_storms_no_ehr_and_writes_no_status(system: System) -> None:
    keys = [
        system.api.put(endpoint_body(f"e-{n}", spec={"baseURL": f"https://fhir-{n}.lamna.example/r4"}))
        for n in range(40)
    ]
    for key in keys:
        await system.reconcile(key)
    standing = {key: system.api.bodies[key]["status"] for key in keys}
    asked = len(system.probes.asked)
    moments = iter([n / 40 for n in range(1, 40)] + [0.99] * 1000)
    system.random = lambda: next(moments)
    system.restart()
    pauses = [(await system.reconcile(key)).requeue_after_s or 0.0 for key in keys]
    assert len(system.probes.asked) == asked
    assert {key: system.api.bodies[key]["status"] for key in keys} == standing
    assert (min(pauses) < 30, max(pauses) > 270) == (True, True), "looks are spread over the interval"


async def test_a_restart_looks_at_once_at_what_was_not_validated_or_is_asked_for(system: System) -> None:
    system.probes.sees = DOWN
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    system.restart()
    await system.reconcile(KEY)
    assert len(system.probes.asked) == 2
    other = system.api.put(endpoint_body("other", spec={"baseURL": "https://other.lamna.example/r4"}))
    system.probes.sees = GOOD
    await system.reconcile(other)
    system.restart()
    system.api.change(other, {"metadata": {"annotations": {REQUESTED_AT: "now"}}})
    await system.reconcile(other)
    assert len(system.probes.asked) == 4


async def test_one_base_url_belongs_to_the_elder_endpoint_and_the_younger_names_it(system: System) -> None:
    system.api.put(endpoint_body("elder", creationTimestamp="2026-03-01T08:00:00Z"))
    younger = system.api.put(endpoint_body("a-younger"))
    outcome = await system.reconcile(younger)
    assert (outcome.state, outcome.reason) == (State.STALLED, "BaseUrlClaimed")
    assert "'elder'" in outcome.message
    assert system.probes.asked == [], "an address that is refused is not asked"
    assert (await system.reconcile(Key("FhirEndpoint", NAMESPACE, "elder"))).state is State.READY


async def test_of_two_endpoints_of_the_same_moment_the_first_by_name_has_the_base_url(system: System) -> None:
    keys = [system.api.put(endpoint_body(name)) for name in ("b", "a")]
    reasons = [(await system.reconcile(key)).reason for key in keys]
    assert reasons == ["BaseUrlClaimed", "Validated"]


async def test_the_younger_takes_over_once_the_elder_goes(system: System) -> None:
    elder = system.api.put(endpoint_body("elder", creationTimestamp="2026-03-01T08:00:00Z"))
    younger = system.api.put(endpoint_body("younger"))
    await system.reconcile(younger)
    assert younger in set(system.kind.related(system.api.bodies[elder])), "it is woken by the elder"
    system.api.change(elder, {"metadata": {"deletionTimestamp": "2026-03-02T09:00:00Z"}})
    assert (await system.reconcile(younger)).state is State.READY


async def test_a_base_url_in_another_organisation_of_the_namespace_is_the_connectors_matter(system: System) -> None:
    system.api.put(config_body("other"))
    system.api.put(endpoint_body("elder", creationTimestamp="2026-03-01T08:00:00Z"))
    younger = system.api.put(endpoint_body("younger", spec={"configRef": {"name": "other"}}))
    assert (await system.reconcile(younger)).state is State.READY


async def test_without_an_organisation_the_network_is_judged_and_the_rest_awaited(system: System) -> None:
    system.api.remove(CONFIG)
    system.api.put(endpoint_body())
    outcome = await system.reconcile(KEY)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "ConfigNotFound")
    assert finding(outcome, Type.METADATA_OK).status == "True"
    assert finding(outcome, Type.TOKEN_GRANTED).reason == "ConfigNotFound"
    assert system.api.applied == []


async def test_a_connector_that_does_not_know_the_endpoint_yet_is_asked_again_soon(system: System) -> None:
    system.connector.probes = None
    system.api.put(endpoint_body())
    outcome = await system.reconcile(KEY)
    assert (outcome.state, outcome.reason, outcome.requeue_after_s) == (State.RECONCILING, "AwaitingConnector", 5.0)
    system.connector.probes = report()
    assert (await system.reconcile(KEY)).state is State.READY, "woken by the organisation, it need not wait"
    assert len(system.probes.asked) == 1


async def test_a_connector_that_is_down_fails_no_validated_endpoint(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    system.connector.down = True
    for outcome in await system.run(KEY, 3600):
        assert outcome.state is State.READY


async def test_credentials_go_to_no_connector_that_is_not_trusted(system: System) -> None:
    system.connector.trusted = False
    system.api.put(endpoint_body())
    outcome = await system.reconcile(KEY)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "ControlUrlNotTrusted")
    assert "EHR_OPERATOR_TRUSTED_URLS" in outcome.message
    assert system.connector.asked == []


async def test_what_the_connector_reports_stands_in_the_conditions(system: System) -> None:
    system.connector.probes = report(ProbeOutcome.REFUSED, ProbeOutcome.NOT_RUN)
    system.api.put(endpoint_body())
    outcome = await system.reconcile(KEY)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "Refused")
    assert finding(outcome, Type.APPOINTMENT_SEARCH_OK).status == "Unknown"
    assert finding(outcome, Type.VALIDATED).message.startswith("TokenGranted: ")


async def test_an_ehr_that_is_down_spares_the_connector(system: System) -> None:
    system.probes.sees = DOWN
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    assert system.connector.asked == []


async def test_a_suspended_endpoint_asks_nobody_and_keeps_what_stands(system: System) -> None:
    system.api.put(endpoint_body())
    before = await system.reconcile(KEY)
    asked = (len(system.probes.asked), len(system.connector.asked))
    system.api.change(KEY, {"spec": {"suspend": True}})
    outcome = await system.reconcile(KEY)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "Suspended")
    assert outcome.findings == before.findings
    assert (len(system.probes.asked), len(system.connector.asked)) == asked


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (None, "False:SmsNumberNotFound"),
        (number_body(status={"conditions": conditions_of(Ready="False:OutOfStock")}), "False:SmsNumberNotReady"),
        (number_body(spec={"configRef": {"name": "other"}}), "False:SmsNumberOfOtherConfig"),
        (number_body(deletionTimestamp="2026-03-02T09:00:00Z"), "False:SmsNumberBeingDeleted"),
        (number_body(status={"conditions": conditions_of(Ready="True")}), "True:Linked"),
    ],
)
async def test_a_linked_number_must_be_there_ready_and_of_the_same_organisation(
    number: Any, expected: str, system: System
) -> None:
    if number is not None:
        system.api.put(number)
    system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    outcome = await system.reconcile(KEY)
    linked = finding(outcome, Type.SMS_LINKED)
    assert f"{linked.status.value}:{linked.reason}" == expected
    assert (outcome.state is State.READY) == (linked.status == "True")


async def test_a_deleted_endpoint_leaves_nothing_behind(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    assert await system.kind.finalize(system.api.object(system.kind, KEY)) == Finalized()


async def test_all_who_look_at_an_endpoint_are_woken_by_it(system: System) -> None:
    body = endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}})
    system.api.put(body)
    rival = system.api.put(endpoint_body("rival"))
    production = system.api.put(
        endpoint_body("production", spec={"promotedFrom": {"name": "lamna-test"}, "baseURL": "https://p.example/r4"})
    )
    number = Key("SmsNumber", NAMESPACE, "lamna-sms")
    assert set(system.kind.related(body)) == {CONFIG, number, rival, production}
