"""Events as an administrator reads them with kubectl."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.runtime.conftest import NUMBER, number

from ehr_operator.runtime.events import Recorder
from ehr_operator.runtime.kube import Kube
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, Key, Note


@pytest.fixture
async def recorder(kube: Kube, metrics: Metrics) -> AsyncGenerator[Recorder]:
    recorder = Recorder(kube, metrics, lambda: datetime.now(UTC), time.monotonic)
    running = asyncio.create_task(recorder.run())
    yield recorder
    running.cancel()


@pytest.fixture
async def body(kube: Kube, kubectl: Kubectl, namespace: str) -> Body:
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump(number("a", namespace)))
    read = await kube.read(Key(NUMBER, namespace, "a"))
    assert read is not None
    return read


async def test_an_event_stands_in_kubectl_describe(recorder: Recorder, body: Body, kubectl: Kubectl) -> None:
    recorder.post(body, Note("Purchased", "bought +18005550100"))
    recorder.post(body, Note("LimitReached", "no more today", warning=True))
    await recorder.drain()

    events = kubectl.ok("describe", "smsnumber", "a").partition("Events:")[2]
    assert [line.split()[:2] for line in events.splitlines() if "Purchased" in line] == [["Normal", "Purchased"]]
    assert [line.split()[:2] for line in events.splitlines() if "LimitReached" in line] == [["Warning", "LimitReached"]]
    assert "bought +18005550100" in events


async def test_a_repeated_event_is_one_that_counts(
    recorder: Recorder, body: Body, kubectl: Kubectl, metrics: Metrics
) -> None:
    for _ in range(3):
        recorder.post(body, Note("Purchased", "bought"))
    await recorder.drain()

    [event] = json.loads(kubectl.ok("get", "events.events.k8s.io", "--output=json"))["items"]
    assert event["series"]["count"] == 3
    assert metrics.registry.get_sample_value("ehr_operator_events_dropped_total") == 0.0
    [line] = [line for line in kubectl.ok("events", "--for=smsnumber/a").splitlines() if "Purchased" in line]
    assert "(x3 over" in line


async def test_a_note_of_any_length_is_taken(
    recorder: Recorder, body: Body, kubectl: Kubectl, metrics: Metrics
) -> None:
    recorder.post(body, Note("Verbose", "x" * 5000))
    await recorder.drain()

    [event] = json.loads(kubectl.ok("get", "events.events.k8s.io", "--output=json"))["items"]
    assert event["note"] == "x" * 1024
    assert metrics.registry.get_sample_value("ehr_operator_events_dropped_total") == 0.0
