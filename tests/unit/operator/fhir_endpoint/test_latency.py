"""How slow an EHR may be: a percentile over the last looks, judged without writing on each pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.operator.conftest import NAMESPACE, endpoint_body, finding
from unit.operator.fhir_endpoint.ehr import CAPABILITIES, DOWN, SMART, System, answered

from ehr_api.conditions import Type
from ehr_operator.fhir_endpoint.latency import WINDOW, Latencies, percentile
from ehr_operator.fhir_endpoint.probes import Observation
from ehr_operator.runtime.model import Key, State

KEY = Key("FhirEndpoint", NAMESPACE, "lamna-test")
SLOW, FAST = 6.0, 0.2


def taking(elapsed_s: float) -> Observation:
    return Observation(answered(CAPABILITIES, elapsed_s=elapsed_s), answered(SMART))


async def looks(system: System, *times: float) -> list[bool]:
    """Look once for each time that `/metadata` takes; return whether the endpoint was ready after each."""
    ready: list[bool] = []
    for elapsed_s in times:
        system.probes.sees = taking(elapsed_s)
        system.clock.advance(400)
        ready.append((await system.reconcile(KEY)).state is State.READY)
    return ready


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([3.0], 3.0),
        ([1.0, 9.0], 9.0),
        ([9.0] + [1.0] * 18, 9.0),
        ([9.0] + [1.0] * 19, 1.0),
        ([9.0, 8.0] + [1.0] * 18, 8.0),
    ],
)
def test_the_percentile_is_the_nearest_rank(samples: list[float], expected: float) -> None:
    assert percentile(samples) == expected


@given(st.lists(st.floats(0, 100), min_size=1, max_size=WINDOW))
def test_at_least_95_of_100_looks_are_no_slower_than_the_percentile(samples: list[float]) -> None:
    value = percentile(samples)
    assert value in samples
    assert sum(sample <= value for sample in samples) >= 0.95 * len(samples)


def test_no_more_than_the_last_twenty_looks_are_kept() -> None:
    kept = Latencies()
    for number in range(100):
        kept.add(float(number), limit_s=1000.0, stands_slow=False)
    assert list(kept.samples) == [float(number) for number in range(80, 100)]


async def test_one_slow_look_among_twenty_is_no_failure_even_at_a_threshold_of_one(system: System) -> None:
    system.api.put(endpoint_body(spec={"validation": {"failureThreshold": 1}}))
    assert all(await looks(system, *[FAST] * 19, SLOW))
    assert await looks(system, SLOW) == [False], "the second is"


async def test_a_server_that_becomes_slow_fails_after_the_threshold_and_is_forgiven_by_one_fast_look(
    system: System,
) -> None:
    system.api.put(endpoint_body())
    assert await looks(system, *[FAST] * 25) == [True] * 25
    assert await looks(system, *[SLOW] * 4) == [True, True, True, False]
    assert await looks(system, FAST, FAST) == [True, True]


async def test_the_message_says_how_many_looks_decided_and_stays_as_it_is(system: System) -> None:
    system.api.put(endpoint_body(spec={"validation": {"failureThreshold": 1}}))
    await looks(system, FAST)
    before = system.api.bodies[KEY]["status"]
    await looks(system, *[FAST + number / 100 for number in range(25)])
    assert system.api.bodies[KEY]["status"] == before, "twenty-five looks wrote nothing"
    await looks(system, SLOW, SLOW)
    told = next(one for one in system.api.bodies[KEY]["status"]["conditions"] if one["type"] == "LatencyOk")
    assert "95th percentile of 20 looks when this was decided" in told["message"]
    assert system.api.bodies[KEY]["status"]["latencyMilliseconds"] == 6000


async def test_a_look_that_got_no_answer_says_nothing_of_the_latency(system: System) -> None:
    system.api.put(endpoint_body(spec={"validation": {"failureThreshold": 1}}))
    await looks(system, *[FAST] * 3)
    system.probes.sees = DOWN
    system.clock.advance(400)
    await system.reconcile(KEY)
    system.probes.sees = taking(SLOW)
    system.clock.advance(400)
    outcome = await system.reconcile(KEY)
    assert "of 4 looks" in finding(outcome, Type.LATENCY_OK).message


async def test_another_limit_is_judged_by_the_looks_that_there_were(system: System) -> None:
    system.api.put(endpoint_body())
    await looks(system, *[3.0] * 5)
    system.api.change(KEY, {"spec": {"validation": {"maxLatency": "2s"}}})
    outcome = await system.reconcile(KEY)
    assert finding(outcome, Type.LATENCY_OK).reason == "TooSlow"
    assert "longer than 2s (95th percentile of 6 looks" in finding(outcome, Type.LATENCY_OK).message
