"""How fast the operator reconciles, beside a Kopf handler that does nothing but patch status.

Both run one after the other against the same kube-apiserver on this machine. Ours validates each FhirEndpoint over HTTPS
against a stand-in that answers after 20 ms (CapabilityStatement, SMART configuration, and by the connector a token and an
Appointment search), writes two IntegrationRecords each and configures the connector; the peer looks at nothing. So the
ratio is the price of the real work, and API requests and memory for each resource are the figures to watch.

Prints a table, and last one JSON object a line for each figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid5

import httpx
import psutil

from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.demo.layout import Layout
from ehr_sandbox.demo.processes import Program, Supervised
from ehr_sandbox.demo.system import System
from ehr_sandbox.local_ca import LocalCA

_EHR_LATENCY_S = 0.02
_WRITERS = 16
_POLL_S = 0.5
_LIMIT_S = 1800.0
_IDLE_S = 20.0
_PEER = "Kopf handler that only patches status"
_TENANTS = UUID("0b8e2a54-3c1d-4f6e-9a7b-112233445566")


@dataclass(frozen=True, slots=True)
class Run:
    """What one operator did with N resources."""

    seconds: float
    api_requests: float
    resident_mib: float
    idle_cpu_percent: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """The API server as the load generator uses it."""

    http: httpx.AsyncClient
    system: System

    async def requests_served(self) -> float:
        """Return how many requests the API server has answered, those of the bench included."""
        text = (await self.http.get("/metrics")).text
        lines = (line for line in text.splitlines() if line.startswith("apiserver_request_total{"))
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if 'group="ehrconnector.io"' in line or "events" in line
        )

    async def create(self, namespace: str, bodies: list[dict[str, Any]]) -> None:
        """Create objects, several at a time."""
        gate = asyncio.Semaphore(_WRITERS)

        async def one(body: dict[str, Any]) -> None:
            plural = body["kind"].lower() + "s"
            async with gate:
                answer = await self.http.post(
                    f"/apis/ehrconnector.io/v1alpha1/namespaces/{namespace}/{plural}", json=body
                )
            answer.raise_for_status()

        await asyncio.gather(*(one(body) for body in bodies))

    async def validated(self, namespace: str) -> int:
        """Return how many endpoints are Validated."""
        path = f"/apis/ehrconnector.io/v1alpha1/namespaces/{namespace}/fhirendpoints"
        items = (await self.http.get(path, params={"resourceVersion": "0"})).json()["items"]
        return sum(
            any(
                condition["type"] == "Validated" and condition["status"] == "True"
                for condition in item.get("status", {}).get("conditions", [])
            )
            for item in items
        )


def _config(system: System, namespace: str) -> dict[str, Any]:
    url = system.layout.connector_url
    return {
        "apiVersion": "ehrconnector.io/v1alpha1",
        "kind": "EHRConnectorConfig",
        "metadata": {"name": "bench", "namespace": namespace},
        "spec": {
            "displayName": "Bench",
            "ehr": {"system": "Cerner", "release": "2024.05"},
            "dataGeography": "Americas",
            "microsoft365": {
                "tenantID": str(_TENANTS),
                "clientID": str(_TENANTS),
                "meetingOrganizers": [str(_TENANTS)],
            },
            "connector": {"publicURL": url, "controlURL": url},
        },
    }


def _endpoint(system: System, namespace: str, number: int) -> dict[str, Any]:
    tenant = uuid5(_TENANTS, f"{namespace}/{number}")
    return {
        "apiVersion": "ehrconnector.io/v1alpha1",
        "kind": "FhirEndpoint",
        "metadata": {"name": f"endpoint-{number:05}", "namespace": namespace},
        "spec": {
            "configRef": {"name": "bench"},
            "baseURL": f"{system.layout.cerner_url}/r4/{tenant}",
            "environment": "Test",
            "departments": [{"name": "clinic", "displayName": "Clinic"}],
            "smart": {"clinicianClientID": "bench-clinician", "systemClientID": "lamna-system"},
            "appointments": {
                "locations": ["21304876"],
                "virtualVisitTypes": ["Video Visit"],
                "timeZone": "America/Chicago",
            },
        },
    }


async def _measure(cluster: Cluster, program: Supervised, namespace: str, size: int, *, with_config: bool) -> Run:
    await cluster.system.kubectl("create", "namespace", namespace)
    requests_before = await cluster.requests_served()
    own = 0
    began_s = time.monotonic()
    bodies = [_endpoint(cluster.system, namespace, number) for number in range(size)]
    if with_config:
        bodies.insert(0, _config(cluster.system, namespace))
    await cluster.create(namespace, bodies)
    own += len(bodies)
    done = 0
    async with asyncio.timeout(_LIMIT_S):
        pause_s = _POLL_S
        while done < size:
            await asyncio.sleep(pause_s)
            asked_s = time.monotonic()
            done = await cluster.validated(namespace)
            # Listing thousands is work for the API server, which must not spend its time on us.
            pause_s = max(_POLL_S, 10 * (time.monotonic() - asked_s))
            own += 1
            print(f"  {done} of {size} validated after {time.monotonic() - began_s:.1f} s", file=sys.stderr)
    seconds = time.monotonic() - began_s
    await asyncio.sleep(5.0)  # trailing writes, such as the records' status, belong to the count
    api_requests = await cluster.requests_served() - requests_before - own
    process = psutil.Process(program.pid)
    before = process.cpu_times()
    await asyncio.sleep(_IDLE_S)
    after = process.cpu_times()
    idle = (after.user + after.system - before.user - before.system) / _IDLE_S * 100
    return Run(seconds, api_requests / size, process.memory_info().rss / 2**20, idle)


async def _ours(cluster: Cluster, size: int) -> Run:
    system = cluster.system
    await system.start_operator()
    await system.operator_ready()
    operator = system.programs["operator"]
    try:
        return await _measure(cluster, operator, f"ours-{size}", size, with_config=True)
    finally:
        await _clear(cluster, f"ours-{size}")
        await operator.stop()


async def _peer(cluster: Cluster, size: int) -> Run:
    system = cluster.system
    namespace = f"peer-{size}"
    command = [
        sys.executable,
        "-m",
        "kopf",
        "run",
        "--quiet",
        "--all-namespaces",
        str(Path(__file__).with_name("kopf_peer.py")),
    ]
    environment = {**os.environ, "KUBECONFIG": str(system.control_plane.kubeconfig)}
    peer = Supervised(Program("peer", command, environment, system.layout.log("peer")))
    await peer.start()
    try:
        await asyncio.sleep(5.0)  # it has no readiness to ask for
        return await _measure(cluster, peer, namespace, size, with_config=False)
    finally:
        await peer.stop()
        await _clear(cluster, namespace)


async def _clear(cluster: Cluster, namespace: str) -> None:
    """Delete what a run made, so that the next one starts from an empty cluster; the peer may have left finalizers."""
    path = f"/apis/ehrconnector.io/v1alpha1/namespaces/{namespace}/fhirendpoints"
    await cluster.http.delete(path, timeout=300.0)
    await cluster.system.kubectl("delete", "namespace", namespace, "--timeout=300s")


@asynccontextmanager
async def _cluster() -> AsyncGenerator[Cluster]:
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="ehr-bench-")))
        control_plane = await stack.enter_async_context(ControlPlane.start(progress=PlainProgress()))
        system = System(Layout(work, 29443), control_plane, stack, LocalCA.create(work / "ca"))
        await system.start_stand_ins("--any-tenant", f"--latency-s={_EHR_LATENCY_S}")
        await system.install()
        await system.start_connector()
        await system.connector_ready()
        tls = ssl.create_default_context(cafile=control_plane.ca_file)
        tls.load_cert_chain(control_plane.credentials.admin_cert, control_plane.credentials.admin_key)
        http = httpx.AsyncClient(base_url=control_plane.server_url, verify=tls, trust_env=False, timeout=60.0)
        yield Cluster(await stack.enter_async_context(http), system)


def _figures(size: int, ours: Run, peer: Run) -> list[dict[str, Any]]:
    rows = (
        ("apply_to_validated", ours.seconds, peer.seconds, "s"),
        ("api_requests_per_resource", ours.api_requests, peer.api_requests, "requests"),
        ("resident_memory", ours.resident_mib, peer.resident_mib, "MiB"),
        ("idle_cpu", ours.idle_cpu_percent, peer.idle_cpu_percent, "percent of a core"),
    )
    return [
        {
            "name": f"{name}_{size}",
            "value": round(value, 2),
            "unit": unit,
            "peer": _PEER,
            "peer_value": round(peer_value, 2),
            "ratio": round(value / peer_value, 2) if round(peer_value, 2) else None,
        }
        for name, value, peer_value, unit in rows
    ]


async def _main(sizes: list[int]) -> None:
    figures: list[dict[str, Any]] = []
    async with _cluster() as cluster:
        for size in sizes:
            print(f"{size} FhirEndpoints: {_PEER}", file=sys.stderr)
            peer = await _peer(cluster, size)
            print(f"{size} FhirEndpoints: ours", file=sys.stderr)
            figures += _figures(size, await _ours(cluster, size), peer)
    print(f"{'figure':<34}{'ours':>10}{'peer':>10}{'ratio':>8}  unit")
    for figure in figures:
        print(
            f"{figure['name']:<34}{figure['value']:>10}{figure['peer_value']:>10}{figure['ratio']!s:>8}  {figure['unit']}"
        )
    for figure in figures:
        print(json.dumps(figure))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs="+", default=[200, 2000], help="FhirEndpoints of each run")
    asyncio.run(_main(parser.parse_args().size))
