"""Sends under every fault: which error comes, and that a repetition under the same id makes one message."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from contract.acs_messages.connected import REQUEST, Connected
from contract.acs_stand_in.messaging import PATIENT, SENDER

from ehr_clients.acs_sms import Sms
from ehr_clients.errors import TemporaryError

TIMEOUT_S = 1.0
"""Long enough for a busy machine to hear of the send."""
DELAY_S = 1.5

Send = Callable[[Connected], Awaitable[object]]
SENDS: dict[str, Send] = {"text": lambda connected: connected.text(), "e-mail": lambda connected: connected.mail()}
FAULTS: dict[str, tuple[dict[str, Any], bool, float | None]] = {
    "delay": ({"action": "delay", "delay_s": DELAY_S}, True, None),
    "429": ({"action": "status", "status": 429, "retry_after_s": 7}, False, 7),
    "500": ({"action": "status", "status": 500}, True, None),
    "503": ({"action": "status", "status": 503, "retry_after_s": 120}, True, 120),
    "cut": ({"action": "cut"}, True, None),
    "half answer": ({"action": "half_answer"}, True, None),
    "lost answer": ({"action": "lose_answer"}, True, None),
}
"""Each rule, whether the send may have happened, and what the service asks to wait."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
async def test_a_send_repeated_after_a_fault_is_one_message(connected: Connected, send: Send, fault: str) -> None:
    rule, ambiguous, retry_after_s = FAULTS[fault]
    usual = connected.http.timeout
    if "delay_s" in rule:
        connected.http.timeout = httpx.Timeout(TIMEOUT_S)
    await connected.acs.control("PUT", "faults", [rule])

    with pytest.raises(TemporaryError) as failed:
        await send(connected)
    arrived = (await connected.acs.control("GET", "faults"))[0]["matched"]
    connected.http.timeout = usual
    if "delay_s" in rule:
        await asyncio.sleep(DELAY_S)  # the caller has hung up; the service carries on
    await send(connected)

    assert (failed.value.ambiguous, failed.value.retry_after_s) == (ambiguous, retry_after_s)
    assert arrived == 1
    assert await connected.accepted() == 1


OTHER_CALLS: dict[str, Send] = {
    "get delivery report": lambda connected: connected.sms.delivery_report("Outgoing_1"),
    "check opt-out": lambda connected: connected.sms.is_opted_out(SENDER, PATIENT),
    "add opt-out": lambda connected: connected.sms.opt_out(SENDER, PATIENT),
    "remove opt-out": lambda connected: connected.sms.opt_in(SENDER, PATIENT),
    "get e-mail operation": lambda connected: connected.email.operation(REQUEST),
}


@pytest.mark.parametrize("operation", OTHER_CALLS)
async def test_every_other_call_under_a_fault_is_temporary_and_sent_once(connected: Connected, operation: str) -> None:
    await connected.acs.control("PUT", "faults", [{"action": "cut", "count": None}])

    with pytest.raises(TemporaryError) as failed:
        await OTHER_CALLS[operation](connected)

    assert failed.value.operation == operation
    assert (await connected.acs.control("GET", "faults"))[0]["matched"] == 1


async def test_a_service_that_accepts_no_connection_has_surely_sent_nothing(connected: Connected) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(TemporaryError, match="connection refused") as failed:
        await Sms(connected.http, f"http://127.0.0.1:{port}").send(
            SENDER, PATIENT, "Hello", request_id=UUID(int=1), first_sent=connected.acs.settings.now(), tag="tag"
        )

    assert not failed.value.ambiguous
