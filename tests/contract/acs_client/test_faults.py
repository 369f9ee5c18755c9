"""Every call under every fault: which error comes, and that one request was sent and no more."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from contract.acs_client.connected import TEXTS, Connected

from ehr_clients.acs_numbers import AvailableNumber, PhoneNumbers
from ehr_clients.errors import TemporaryError

TIMEOUT_S = 0.25
DELAY_S = 0.4
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Arranged:
    """What there must be for each call to succeed."""

    owned: str
    operation: str
    reservation: str
    free: AvailableNumber


async def arrange(connected: Connected) -> Arranged:
    bought = await connected.reserved()
    operation = await connected.numbers.purchase(bought)
    (owned,) = await connected.acs.bought()
    return Arranged(owned, operation, await connected.reserved(), (await connected.on_sale())[0])


CALLS: dict[str, Callable[[PhoneNumbers, Arranged], Awaitable[object]]] = {
    "list numbers": lambda numbers, _: numbers.owned(),
    "get number": lambda numbers, there: numbers.owned_number(there.owned),
    "browse numbers": lambda numbers, _: numbers.browse("US", "tollFree", TEXTS, None),
    "get reservation": lambda numbers, there: numbers.reservation(there.reservation),
    "reserve number": lambda numbers, there: numbers.reserve(there.reservation, there.free),
    "purchase reservation": lambda numbers, there: numbers.purchase(there.reservation),
    "get operation": lambda numbers, there: numbers.operation(there.operation),
    "release number": lambda numbers, there: numbers.release(there.owned),
}


@dataclass(frozen=True)
class Fault:
    """A fault, and the error that it must become."""

    rule: dict[str, Any]
    detail: str
    ambiguous: bool
    retry_after_s: float | None = None
    handled: bool = False
    """Whether the call is carried out all the same."""


FAULTS = {
    "delay": Fault({"action": "delay", "delay_s": DELAY_S}, "no answer in time", ambiguous=True, handled=True),
    "429": Fault(
        {"action": "status", "status": 429, "retry_after_s": 7},
        "status 429 (TooManyRequests)",
        ambiguous=False,
        retry_after_s=7,
    ),
    "500": Fault({"action": "status", "status": 500}, "status 500 (InternalServerError)", ambiguous=True),
    "503": Fault(
        {"action": "status", "status": 503, "retry_after_s": 120},
        "status 503 (ServiceUnavailable)",
        ambiguous=True,
        retry_after_s=120,
    ),
    "cut": Fault({"action": "cut"}, "the connection broke off", ambiguous=True),
    "half answer": Fault({"action": "half_answer"}, "the connection broke off", ambiguous=True, handled=True),
    "lost answer": Fault({"action": "lose_answer"}, "the connection broke off", ambiguous=True, handled=True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize(("operation", "call"), CALLS.items(), ids=CALLS)
async def test_a_fault_becomes_an_error_that_says_what_to_do_after_one_request(
    connected: Connected, operation: str, call: Callable[[PhoneNumbers, Arranged], Awaitable[object]], fault: Fault
) -> None:
    there = await arrange(connected)
    if "delay_s" in fault.rule:
        connected.http.timeout = httpx.Timeout(TIMEOUT_S)
    await connected.acs.control("PUT", "faults", [{**fault.rule, "count": None}])

    with pytest.raises(TemporaryError) as failed:
        await call(connected.numbers, there)

    error = failed.value
    assert (error.system, error.operation) == ("Communication Services", operation)
    assert fault.detail in error.detail
    assert (error.ambiguous, error.retry_after_s) == (fault.ambiguous, fault.retry_after_s)
    assert await connected.arrivals() == 1


@pytest.mark.parametrize("name", FAULTS)
async def test_after_a_fault_the_reservation_tells_whether_it_was_bought(connected: Connected, name: str) -> None:
    fault = FAULTS[name]
    reservation_id = await connected.reserved()
    await connected.acs.control("PUT", "faults", [fault.rule])
    usual = connected.http.timeout
    if "delay_s" in fault.rule:
        connected.http.timeout = httpx.Timeout(TIMEOUT_S)
    with pytest.raises(TemporaryError):
        await connected.numbers.purchase(reservation_id)
    connected.http.timeout = usual

    asked = await connected.numbers.reservation(reservation_id)
    async with asyncio.timeout(PATIENCE_S):
        while "delay_s" in fault.rule and asked is not None and asked.status == "active":
            await asyncio.sleep(DELAY_S)  # the caller has hung up; the service carries on
            asked = await connected.numbers.reservation(reservation_id)

    assert asked is not None
    assert asked.status == ("completed" if fault.handled else "active")
    assert len(await connected.acs.bought()) == (1 if fault.handled else 0)


async def test_a_service_that_accepts_no_connection_has_surely_done_nothing(connected: Connected) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(TemporaryError, match="connection refused") as failed:
        await PhoneNumbers(connected.http, f"http://127.0.0.1:{port}").purchase("1")

    assert (failed.value.ambiguous, failed.value.retry_after_s) == (False, None)
