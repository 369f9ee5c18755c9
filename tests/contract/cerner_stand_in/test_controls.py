"""The controls: what the simulator is, how it is made to fail, and how slow it is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from contract.cerner_stand_in.running import TENANT, CernerStandIn, Starter

METADATA = f"/r4/{TENANT}/metadata"


async def put_faults(cerner: CernerStandIn, *rules: dict[str, Any]) -> None:
    (await cerner.http.put("/_sandbox/faults", json=list(rules))).raise_for_status()


async def test_the_simulator_says_that_it_is_one(cerner: CernerStandIn) -> None:
    page = await cerner.http.get("/_sandbox/")
    answer = await cerner.http.get(METADATA)

    assert page.json()["simulator"] is True
    assert {"GET /_sandbox/population", "PUT /_sandbox/faults"} <= set(page.json()["controls"])
    assert answer.headers["server"] == "ehr-sandbox-cerner-simulator"


@pytest.mark.parametrize(("status", "code"), [(429, "throttled"), (500, "exception"), (503, "transient")])
async def test_a_status_on_request_comes_as_an_operation_outcome(cerner: CernerStandIn, status: int, code: str) -> None:
    await put_faults(cerner, {"action": "status", "status": status, "path": "metadata", "retry_after_s": 3})
    failed, after = [await cerner.http.get(METADATA) for _ in range(2)]

    assert failed.status_code == status
    assert failed.headers["retry-after"] == "3"
    assert failed.json()["issue"][0]["code"] == code
    assert after.status_code == 200


async def test_a_cut_connection_is_seen_by_the_caller(cerner: CernerStandIn) -> None:
    await put_faults(cerner, {"action": "cut", "path": "/token$"})

    with pytest.raises(httpx.RemoteProtocolError):
        await cerner.ask_token()
    assert (await cerner.ask_token()).status_code == 200


async def test_requests_are_remembered_by_path(cerner: CernerStandIn) -> None:
    await cerner.get("Location/21304876")
    log = (await cerner.http.get("/_sandbox/requests", params={"path": "Location"})).json()

    assert [(entry["method"], entry["status"]) for entry in log["requests"]] == [("GET", 200)]


async def test_every_answer_but_the_controls_takes_the_latency_longer(start_cerner: Starter) -> None:
    cerner = await start_cerner(latency_s=0.2)
    loop = asyncio.get_running_loop()
    times: list[float] = []
    for path in (METADATA, "/_sandbox/population"):
        began = loop.time()
        await cerner.http.get(path)
        times.append(loop.time() - began)

    assert times[0] >= 0.2
    assert times[1] < 0.2
