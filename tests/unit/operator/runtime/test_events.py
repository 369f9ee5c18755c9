"""Events: counted up when they repeat, limited for each object, and never in the way of the work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from unit.operator.runtime.cluster import MemoryKube, answer, refuse, unavailable
from unit.operator.runtime.widgets import START, widget_body

from ehr_operator.runtime.events import Recorder
from ehr_operator.runtime.kube import ApiUnavailableError, ForbiddenError, NotFoundError
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import ConflictError, Note

BODY = widget_body()
FITS = Note("Fits", "it fits")


@pytest.fixture
async def recorder(kube: MemoryKube, metrics: Metrics) -> AsyncGenerator[Recorder]:
    """A recorder that runs, in the loop's own time."""
    loop = asyncio.get_running_loop()
    recorder = Recorder(kube, metrics, lambda: START + timedelta(seconds=loop.time()), loop.time)
    running = asyncio.create_task(recorder.run())
    yield recorder
    assert not running.done()
    running.cancel()


def dropped(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("ehr_operator_events_dropped_total")


async def test_an_event_names_the_object_the_reason_and_who_says_so(recorder: Recorder, kube: MemoryKube) -> None:
    recorder.post(BODY, Note("TooLarge", "9 is too large", warning=True))
    await recorder.drain()

    [event] = kube.written("event")
    assert (event["reason"], event["note"], event["type"]) == ("TooLarge", "9 is too large", "Warning")
    assert event["regarding"] == {
        "apiVersion": "ehrconnector.io/v1alpha1",
        "kind": "Widget",
        "namespace": "lamna",
        "name": "a",
        "uid": "uid-of-a",
        "resourceVersion": "1",
    }
    assert event["metadata"]["namespace"] == "lamna"
    assert re.fullmatch(r"2026-03-02T09:00:00\.\d{6}Z", event["eventTime"])
    assert event["reportingController"] == "ehrconnector.io/ehr-operator"


async def test_what_is_no_warning_is_normal(recorder: Recorder, kube: MemoryKube) -> None:
    recorder.post(BODY, FITS)
    await recorder.drain()

    assert [event["type"] for event in kube.written("event")] == ["Normal"]


async def test_a_repetition_is_counted_on_the_event_that_stands(recorder: Recorder, kube: MemoryKube) -> None:
    for _ in range(3):
        recorder.post(BODY, FITS)
        await recorder.drain()
        await asyncio.sleep(60)

    [event] = kube.written("event")
    counted = [(series["count"], series["lastObservedTime"][:19]) for series in kube.written("series")]
    assert counted == [(2, "2026-03-02T09:01:00"), (3, "2026-03-02T09:02:00")]
    assert {write.name for write in kube.writes if write.what == "series"} == {event["metadata"]["name"]}


async def test_a_repetition_after_a_long_pause_is_a_new_event(recorder: Recorder, kube: MemoryKube) -> None:
    recorder.post(BODY, FITS)
    await asyncio.sleep(360)
    recorder.post(BODY, FITS)
    await recorder.drain()

    assert len(kube.written("event")) == 2
    assert kube.written("series") == []


async def test_an_event_that_has_expired_is_posted_anew(recorder: Recorder, kube: MemoryKube) -> None:
    recorder.post(BODY, FITS)
    await recorder.drain()
    kube.fail = refuse(NotFoundError("expired"), "series")

    recorder.post(BODY, FITS)
    await recorder.drain()

    first, second = kube.written("event")
    assert first["metadata"]["name"] != second["metadata"]["name"]


async def test_an_object_posts_a_burst_of_ten_and_then_one_in_five_minutes(
    recorder: Recorder, kube: MemoryKube, metrics: Metrics
) -> None:
    for number in range(15):
        recorder.post(BODY, Note("Changed", f"change {number}"))
    await recorder.drain()
    assert (len(kube.written("event")), dropped(metrics)) == (10, 5.0)

    await asyncio.sleep(300)
    for number in range(2):
        recorder.post(BODY, Note("Changed", f"later change {number}"))
    await recorder.drain()
    assert (len(kube.written("event")), dropped(metrics)) == (11, 6.0)


async def test_a_noisy_object_does_not_silence_another(recorder: Recorder, kube: MemoryKube) -> None:
    for number in range(20):
        recorder.post(BODY, Note("Changed", f"change {number}"))
    recorder.post(widget_body("b"), FITS)
    await recorder.drain()

    assert [write.name for write in kube.writes].count("b") == 1


@pytest.mark.parametrize(
    "refusal", [ForbiddenError("no rule"), ConflictError("exists"), ApiUnavailableError("no answer")], ids=type
)
async def test_a_refusal_is_counted_and_the_next_event_is_posted(
    recorder: Recorder, kube: MemoryKube, metrics: Metrics, refusal: Exception
) -> None:
    kube.fail = refuse(refusal, "event", name="a")

    recorder.post(BODY, FITS)
    recorder.post(widget_body("b"), FITS)
    await recorder.drain()

    assert [write.name for write in kube.writes] == ["a", "b"]
    assert dropped(metrics) == 1.0


async def test_a_refused_event_is_no_series_to_be_counted_on(recorder: Recorder, kube: MemoryKube) -> None:
    kube.fail = unavailable("event")
    recorder.post(BODY, FITS)
    await recorder.drain()
    kube.fail = answer

    recorder.post(BODY, FITS)
    await recorder.drain()

    assert [write.what for write in kube.writes] == ["event", "event"]


async def test_more_events_than_can_wait_are_dropped_and_counted(kube: MemoryKube, metrics: Metrics) -> None:
    idle = Recorder(kube, metrics, lambda: START, lambda: 0.0)

    for _ in range(10_003):
        idle.post(BODY, FITS)

    assert dropped(metrics) == 3.0


async def test_a_long_note_is_cut_to_what_the_api_takes(recorder: Recorder, kube: MemoryKube) -> None:
    recorder.post(BODY, Note("Verbose", "x" * 5000))
    await recorder.drain()

    assert [event["note"] for event in kube.written("event")] == ["x" * 1024]


async def test_the_name_of_an_event_fits_though_that_of_its_object_is_the_longest(
    recorder: Recorder, kube: MemoryKube
) -> None:
    recorder.post(widget_body("n" * 253), FITS)
    await recorder.drain()

    [event] = kube.written("event")
    assert len(event["metadata"]["name"]) <= 253
