"""What only ours does: a whole organisation, with its connector, its records, and a change that reaches every replica."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from contextlib import AsyncExitStack

import httpx
from api_server import ROOT, ApiServer, is_ready
from contestants import Contestant
from endpoints import CONFIG, config, endpoint
from scenarios import Figures, clear

from ehr_sandbox.demo.processes import Program, Supervised
from ehr_sandbox.demo.system import System

REPLICAS = 3
RATE = 10.0
_CHANGES = 20
_LIMIT_S = 1800.0
_POLL_S = 0.02
_SETTLE_S = 3.0


async def measure(api: ApiServer, system: System, ours: Contestant, size: int, open_loop_s: float) -> Figures:
    """Return what was measured."""
    figures: Figures = {}
    namespace = f"organization-{size}"
    layout = system.layout
    await system.kubectl("create", "namespace", namespace)
    before, cpu_s = await api.writes(), ours.cpu_s()
    async with api.watching(namespace, is_ready) as watch:
        began_s = time.monotonic()
        await api.write("POST", f"{namespace}/ehrconnectorconfigs", config(layout, namespace))
        await api.at_once(
            [("POST", f"{namespace}/fhirendpoints", endpoint(layout, namespace, number)) for number in range(size)]
        )
        ended_s = await watch.until((f"endpoint-{number:05}" for number in range(size)), 1, _LIMIT_S)
        figures["organization_speed"] = (size / (ended_s - began_s), "objects a second")
        await asyncio.sleep(_SETTLE_S)
        made = await api.writes() - before - size - 1
        figures["organization_api_writes"] = (made / size, "writes an object")
        figures["organization_cpu"] = ((ours.cpu_s() - cpu_s) * 1000 / size, "CPU ms an object")
        numbers = range(size, size + int(RATE * open_loop_s))
        writes = [("POST", f"{namespace}/fhirendpoints", endpoint(layout, namespace, number)) for number in numbers]
        acknowledged = await api.at_rate(writes, RATE)
        names = [f"endpoint-{number:05}" for number in numbers]
        await watch.until(names, 1, _LIMIT_S)
        latencies = sorted(watch.at_s[name][1] - at_s for name, at_s in zip(names, acknowledged, strict=True))
        figures["organization_open_loop_p50"] = (latencies[len(latencies) // 2], "s")
        figures["organization_open_loop_p99"] = (latencies[int(len(latencies) * 0.99)], "s")
    await clear(api, system, namespace)
    for name, (value, unit) in figures.items():
        print(f"  {ours.name}: {name} {value:.2f} {unit}", file=sys.stderr)
    return figures


async def propagation(api: ApiServer, system: System) -> Figures:
    """Return how long a change of an organisation takes to be on a page of every replica of the connector.

    The page is that of the device test: like every page, it is made from what the replica has in memory, which it looks
    up in the database now and then. The control API would answer from the database itself.
    """
    namespace = "propagation"
    await system.kubectl("create", "namespace", namespace)
    await api.write("POST", f"{namespace}/ehrconnectorconfigs", config(system.layout, namespace))
    await api.write("POST", f"{namespace}/fhirendpoints", endpoint(system.layout, namespace, 0))
    async with AsyncExitStack() as stack:
        addresses = [system.layout.connector_url, *[await _replica(system, stack, n) for n in range(1, REPLICAS)]]
        http = await stack.enter_async_context(system.http())
        page = f"/device-test?record={namespace}/endpoint-00000-device-test"
        await asyncio.gather(*(_shows(http, f"{address}{page}", "Bench") for address in addresses))
        took_s: list[float] = []
        for number in range(_CHANGES):
            began_s = time.monotonic()
            change = {"spec": {"displayName": f"Bench {number}."}}
            await api.write("PATCH", f"{namespace}/ehrconnectorconfigs/{CONFIG}", change)
            await asyncio.gather(*(_shows(http, f"{address}{page}", f"Bench {number}.") for address in addresses))
            took_s.append(time.monotonic() - began_s)
            await asyncio.sleep(random.uniform(0.5, 1.5))  # not in step with what the replicas do by the clock
    await api.http.delete(f"{ROOT}/{namespace}/fhirendpoints")
    await api.http.delete(f"{ROOT}/{namespace}/ehrconnectorconfigs/{CONFIG}")
    figures = {
        "propagation_p50": (statistics.median(took_s), "s"),
        "propagation_max": (max(took_s), "s"),
    }
    for name, (value, unit) in figures.items():
        print(f"  ours: {name} {value:.2f} {unit}", file=sys.stderr)
    return figures


async def _shows(http: httpx.AsyncClient, page: str, display_name: str) -> None:
    async with asyncio.timeout(60.0):
        while True:
            if display_name in (await http.get(page)).text:
                return
            await asyncio.sleep(_POLL_S)


async def _replica(system: System, stack: AsyncExitStack, number: int) -> str:
    """Start one more replica of the connector on the same database; return its address."""
    first = system.programs["connector"].program
    port = system.layout.connector_port + 10 + number
    environment = {**first.environment, "EHR_CONNECTOR_PORT": str(port)}
    log = system.layout.log(f"connector-{number}")
    replica = Supervised(Program(f"connector-{number}", first.command, environment, log))
    stack.push_async_callback(replica.stop)
    await replica.start()
    address = f"https://localhost:{port}"
    async with asyncio.timeout(60.0), system.http() as http:
        while True:
            try:
                if (await http.get(f"{address}/readyz")).status_code == httpx.codes.OK.value:
                    return address
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2)
