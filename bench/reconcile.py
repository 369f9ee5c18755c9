"""How fast and at what cost the operator reconciles, beside a Go peer and one written with Kopf's change handlers.

The three run one after the other against the same kube-apiserver, etcd and EHR stand-in on this machine, and do the same
for each FhirEndpoint: one new TLS connection to the EHR, CapabilityStatement and SMART configuration over it (the
stand-in takes 20 ms for each), a condition for each check, and the status written when it differs. The endpoints belong to
no organisation, since only ours knows connectors and records; what a whole organisation costs is measured of ours alone.

- burst: create N at once, until the last was looked at; update a changed spec of each; restart: a new process finds all N.
- open loop: 50 creations a second, from the API server's answer until the status is there.
- slowed by dead tenth: one more endpoint for each nine, at a server of its own that accepts and never answers; the time
  until the nine tenths were looked at, beside the time without. Slowed by failing tenth: at servers that answer each
  request with 503.
- organization: up to 1,000 endpoints with an organisation, until Ready: asked through the connector too, with two
  IntegrationRecords each; then an open loop of 10 more a second.
- propagation: a changed EHRConnectorConfig, until a page of each of three replicas of the connector shows it.

Prints a table, and last one JSON object a line for each figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import organization
from api_server import ApiServer
from contestants import GO, KOPF, OURS, build_go_peer, running
from scenarios import SCENARIOS, Bench, Figures

from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.demo.layout import Layout
from ehr_sandbox.demo.system import System
from ehr_sandbox.local_ca import LocalCA

_EHR_LATENCY_S = 0.02
_MOST_IN_ORGANIZATION = 1000
_QUICK_SIZE, _QUICK_OPEN_LOOP_S = 60, 2.0
_OPEN_LOOP_S = 60.0


@asynccontextmanager
async def _system() -> AsyncGenerator[tuple[System, ApiServer]]:
    """Start the cluster, the stand-ins and the connector."""
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
        http = httpx.AsyncClient(
            base_url=control_plane.server_url,
            verify=tls,
            trust_env=False,
            timeout=60.0,
            limits=httpx.Limits(max_connections=None),
        )
        yield system, ApiServer(await stack.enter_async_context(http))


async def _measure(size: int, open_loop_s: float, peers: list[str], scenarios: list[str]) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    async with _system() as (system, api):
        go_peer = build_go_peer(system.layout.work) if "go" in peers else None
        for name in (OURS, *((GO,) if go_peer else ()), *((KOPF,) if "kopf" in peers else ())):
            async with running(name, system, go_peer) as contestant:
                found[name] = await Bench(api, system, contestant, size, open_loop_s).run(scenarios)
                if name == OURS and "organization" in scenarios:
                    most = min(size, _MOST_IN_ORGANIZATION)
                    found[name] |= await organization.measure(api, system, contestant, most, min(open_loop_s, 10.0))
                if name == OURS and "propagation" in scenarios:
                    found[name] |= await organization.propagation(api, system)
    return found


def _rows(size: int, found: dict[str, Figures]) -> list[dict[str, Any]]:
    """Return a row for each figure and peer; ratios are ours to the peer's."""
    rows: list[dict[str, Any]] = []
    for name, (value, unit) in found[OURS].items():
        beside = {peer: found[peer][name][0] for peer in (GO, KOPF) if name in found.get(peer, {})}
        for peer, peer_value in beside.items() or [(None, None)]:
            rows.append(
                {
                    "name": f"{name}_{size}",
                    "value": round(value, 3),
                    "unit": unit,
                    "peer": peer,
                    "peer_value": None if peer_value is None else round(peer_value, 3),
                    "ratio": round(value / peer_value, 2) if peer_value else None,
                }
            )
    return rows


def _main(size: int, open_loop_s: float, peers: list[str], scenarios: list[str]) -> None:
    rows = _rows(size, asyncio.run(_measure(size, open_loop_s, peers, scenarios)))
    print(f"{'figure':<32}{'ours':>10}{'peer':>10}{'ratio':>8}  unit, peer")
    for row in rows:
        peer_value, ratio = ("-" if row[key] is None else row[key] for key in ("peer_value", "ratio"))
        beside = f", {row['peer']}" if row["peer"] else ""
        print(f"{row['name']:<32}{row['value']:>10}{peer_value:>10}{ratio:>8}  {row['unit']}{beside}")
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2000, help="FhirEndpoints of each run (default 2000)")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_SIZE} endpoints, and short loops")
    parser.add_argument("--peers", nargs="*", choices=["go", "kopf"], default=["go", "kopf"], help="beside whom")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS, help="which of them")
    arguments = parser.parse_args()
    extent = (_QUICK_SIZE, _QUICK_OPEN_LOOP_S) if arguments.quick else (arguments.size, _OPEN_LOOP_S)
    _main(*extent, arguments.peers, arguments.scenarios)
