"""A day of validation under the operator's own runtime: when EHRs are asked, and how little is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from unit.operator.conftest import BASE_URL, NAMESPACE, endpoint_body
from unit.operator.fhir_endpoint.ehr import CAPABILITIES, DOWN, EXPIRED, GOOD, SMART, answered, report
from unit.operator.fhir_endpoint.over_time.process import EndpointCluster, Running

from ehr_operator.fhir_endpoint.probes import Observation
from ehr_operator.runtime.model import Key

KEY = Key("FhirEndpoint", NAMESPACE, "lamna-test")
HOUR_S = 3600.0
INTERVAL_S = 300.0


def ready(cluster: EndpointCluster, key: Key = KEY) -> tuple[str, str]:
    return cluster.conditions(key)["Ready"]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something to hold, in steps of half a second of a time that jumps."""
    while not holds():  # noqa: ASYNC110 (nobody in the cluster sets an event)
        await asyncio.sleep(0.5)


async def test_a_day_of_looks_at_a_healthy_ehr_writes_status_once(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    cluster.put(endpoint_body())
    running = start()
    for hour in range(24):
        running.probes.sees = Observation(answered(CAPABILITIES, elapsed_s=0.1 + hour / 100), answered(SMART))
        await asyncio.sleep(HOUR_S)

    assert len(cluster.written_to("lamna-test")) == 1
    assert len(running.probes.asked) >= 24 * HOUR_S / (1.1 * INTERVAL_S)
    assert running.events.posted == []


async def test_looks_are_spread_by_a_tenth_and_endpoints_drift_apart(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    for number in range(8):
        cluster.put(endpoint_body(f"e-{number}", spec={"baseURL": f"https://fhir-{number}.lamna.example/r4"}))
    running = start()
    await asyncio.sleep(6 * HOUR_S)

    for looks in running.probes.looks.values():
        pauses = [later - earlier for earlier, later in pairwise(looks)]
        assert 0.9 * INTERVAL_S <= min(pauses) <= max(pauses) <= 1.1 * INTERVAL_S + 1
        assert max(pauses) - min(pauses) > INTERVAL_S / 20, "no fixed rhythm"
    last = sorted(looks[-1] for looks in running.probes.looks.values())
    assert last[-1] - last[0] > INTERVAL_S / 10, "applied together, they are not looked at together for ever"


async def test_one_lost_look_writes_nothing_and_posts_nothing(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    cluster.put(endpoint_body())
    running = start()
    await asyncio.sleep(1)
    looks = running.probes.looks[BASE_URL]
    for _ in range(10):
        running.probes.sees = DOWN
        seen = len(looks)
        await until(lambda seen=seen: len(looks) > seen)
        running.probes.sees = GOOD
        await asyncio.sleep(20)

    assert len(cluster.written_to("lamna-test")) == 1
    assert running.events.posted == []
    assert ready(cluster) == ("True", "Validated")


async def test_an_outage_is_one_write_and_one_event_at_each_end(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    cluster.put(endpoint_body())
    running = start()
    await asyncio.sleep(HOUR_S)

    running.probes.sees = DOWN
    broke_at = asyncio.get_running_loop().time()
    await until(lambda: ready(cluster)[0] == "False")
    assert asyncio.get_running_loop().time() - broke_at < 1.1 * INTERVAL_S + 25, "a look, and two more close behind it"
    assert ready(cluster) == ("False", "Unreachable")
    await asyncio.sleep(3 * HOUR_S)
    assert len(cluster.written_to("lamna-test")) == 2, "an outage that lasts writes nothing more"

    running.probes.sees = GOOD
    asked = len(running.probes.asked)
    await until(lambda: ready(cluster)[0] == "True")
    assert len(running.probes.asked) == asked + 1, "the first good look mends it"
    assert len(cluster.written_to("lamna-test")) == 3
    assert running.events.posted == [("lamna-test", "Unreachable"), ("lamna-test", "Validated")]
    assert running.events.types == ["Warning", "Normal"]


async def test_the_next_process_writes_nothing_about_what_stands(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    for number in range(8):
        cluster.put(endpoint_body(f"e-{number}", spec={"baseURL": f"https://fhir-{number}.lamna.example/r4"}))
    first = start()
    await asyncio.sleep(2 * HOUR_S)
    await first.stop()
    cluster.writes.clear()

    second = start()
    await asyncio.sleep(10)
    assert len(second.probes.asked) < 4, "EHRs are not all asked at once"
    await asyncio.sleep(2 * HOUR_S)

    assert {len(looks) > 20 for looks in second.probes.looks.values()} == {True}
    assert [write.what for write in cluster.writes] == []
    assert second.events.posted == []


async def test_an_endpoint_that_fails_from_the_start_is_mended_at_once_when_its_connector_learns_of_it(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    cluster.put(endpoint_body())
    running = start()
    running.connector.probes = None
    await asyncio.sleep(600)
    assert ready(cluster) == ("False", "AwaitingConnector")
    asked = len(running.probes.asked)

    running.connector.probes = report()
    await asyncio.sleep(70)

    assert ready(cluster) == ("True", "Validated")
    assert len(running.probes.asked) - asked <= 1, "for that the EHR itself is not asked more often"


async def test_a_certificate_that_runs_out_is_a_warning(cluster: EndpointCluster, start: Callable[[], Running]) -> None:
    cluster.put(endpoint_body())
    running = start()
    await asyncio.sleep(HOUR_S)

    running.probes.sees = EXPIRED
    await until(lambda: ready(cluster)[0] == "False")

    assert ready(cluster) == ("False", "CertificateExpired")
    assert list(zip(running.events.posted, running.events.types, strict=True)) == [
        (("lamna-test", "CertificateExpired"), "Warning")
    ]


async def test_an_ehr_that_cannot_be_reached_from_the_start_is_a_warning(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    cluster.put(endpoint_body())
    running = start()
    running.probes.sees = DOWN
    await asyncio.sleep(HOUR_S)

    assert running.events.posted == [("lamna-test", "Unreachable")]
    assert running.events.types == ["Warning"]


async def test_a_changed_spec_that_the_connector_has_yet_to_learn_of_is_no_warning(
    cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    cluster.put(endpoint_body())
    running = start()
    await asyncio.sleep(60)

    running.connector.probes = None
    cluster.change(KEY, spec={"smart": {"clinicianClientID": "lamna-clinician", "systemClientID": "another"}})
    await asyncio.sleep(10)
    running.connector.probes = report()
    await asyncio.sleep(70)

    assert running.events.posted == [("lamna-test", "AwaitingConnector"), ("lamna-test", "Validated")]
    assert running.events.types == ["Normal", "Normal"]


@pytest.mark.parametrize(
    ("twin", "spec", "reason"),
    [
        (GOOD, {"baseURL": "http://fhir.lamna.example/r4"}, "NotAnHttpsUrl"),
        (GOOD, {"baseURL": "https://fhir.lamna.example/dstu2/1"}, "Dstu2Address"),
        (GOOD, {"baseURL": BASE_URL}, "BaseUrlClaimed"),
        (DOWN, {"baseURL": "http://fhir.lamna.example/r4"}, "NotAnHttpsUrl"),
    ],
)
async def test_a_dead_end_is_looked_at_once_and_not_again_until_something_changes(
    twin: Observation, spec: dict[str, str], reason: str, cluster: EndpointCluster, start: Callable[[], Running]
) -> None:
    production = Key("FhirEndpoint", NAMESPACE, "production")
    cluster.put(endpoint_body())
    running = start()
    running.probes.sees = twin
    await asyncio.sleep(HOUR_S)
    promoted = {"environment": "Production", "promotedFrom": {"name": "lamna-test"}}
    cluster.put(endpoint_body("production", spec={**promoted, **spec}, creationTimestamp="2026-03-02T08:30:00Z"))
    await asyncio.sleep(10)
    assert ready(cluster, production) == ("False", reason)
    assert cluster.conditions(production)["Stalled"] == ("True", reason)
    before, looks = running.reconciles(), len(running.probes.asked)

    await asyncio.sleep(HOUR_S)

    assert running.reconciles() - before <= 2 * (len(running.probes.asked) - looks), "only its twin was looked at"
