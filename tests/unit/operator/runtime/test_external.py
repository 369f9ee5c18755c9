"""Calls to other systems are counted by what came of them."""

from __future__ import annotations

import pytest

from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_operator.runtime.external import Calls
from ehr_operator.runtime.metrics import Metrics


class Client:
    """A client whose one call ends as a test says."""

    address = "https://connector.lamna.example"

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error

    async def fetch(self, name: str, *, suffix: str) -> str:
        if self._error is not None:
            raise self._error
        return name + suffix


def counted(metrics: Metrics, outcome: str) -> float | None:
    labels = {"system": "connector", "operation": "fetch", "outcome": outcome}
    return metrics.registry.get_sample_value("ehr_operator_external_calls_total", labels)


async def test_a_call_returns_what_the_client_returns_and_is_counted_with_its_time(metrics: Metrics) -> None:
    times_s = iter([10.0, 12.5])
    client = Calls(metrics, lambda: next(times_s)).of(Client(), "connector")

    assert await client.fetch("a", suffix="b") == "ab"
    assert client.address == Client.address

    assert counted(metrics, "ok") == 1.0
    labels = {"system": "connector", "operation": "fetch"}
    assert metrics.registry.get_sample_value("ehr_operator_external_call_duration_seconds_sum", labels) == 2.5


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TemporaryError("connector", "fetch", "no answer"), "unavailable"),
        (RefusedError("connector", "fetch", "status 403", status=403), "refused"),
        (ContractError("connector", "fetch", "no JSON"), "unusable"),
        (RemoteError("connector", "fetch", "no address"), "error"),
        (ValueError("ours"), "error"),
        (KeyboardInterrupt(), "cancelled"),
    ],
)
async def test_an_error_reaches_the_caller_and_its_meaning_is_the_outcome(
    metrics: Metrics, error: BaseException, outcome: str
) -> None:
    client = Calls(metrics).of(Client(error), "connector")

    with pytest.raises(type(error)):
        await client.fetch("a", suffix="b")

    assert counted(metrics, outcome) == 1.0


async def test_an_answer_that_tells_of_failure_itself_is_read(metrics: Metrics) -> None:
    seen = await Calls(metrics).count("connector", "fetch", Client().fetch("a", suffix="b"), lambda text: text.upper())

    assert seen == "ab"
    assert counted(metrics, "AB") == 1.0
