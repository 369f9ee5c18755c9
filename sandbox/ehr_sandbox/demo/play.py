"""The run: from an empty machine to a configured connector, and back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ehr_api.digest import digest_of
from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.control_plane.existing import ExistingCluster, is_wanted
from ehr_sandbox.demo.layout import NAMESPACE, OVERLAY, Layout
from ehr_sandbox.demo.report import Report, StepFailedError
from ehr_sandbox.demo.system import System
from ehr_sandbox.local_ca import LocalCA

_WAIT = "--timeout=120s"
_KINDS = ("ehrconnectorconfigs", "fhirendpoints", "smsnumbers", "integrationrecords")
_RECORDS = tuple(
    f"lamna-{environment}-{record}"
    for environment in ("production", "test")
    for record in ("device-test", "patient", "provider", "sms")
)


@asynccontextmanager
async def running_system(
    report: Report, *, first_port: int, restart_pause_max_s: float = 30.0, way_to_control: str | None = None
) -> AsyncGenerator[System]:
    """Bring the system up, a step at a time; at the end of the block nothing of it is left.

    `way_to_control` is the address of what the caller puts between the operator and the connector, if anything.
    """
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="ehr-demo-")))
        async with report.step("control plane ready") as detail:
            starting = ExistingCluster.use() if is_wanted() else ControlPlane.start(progress=report.progress)
            control_plane = await stack.enter_async_context(starting)
            detail.text = control_plane.server_url
        system = System(
            Layout(work, first_port, way_to_control),
            control_plane,
            stack,
            LocalCA.create(work / "ca"),
            restart_pause_max_s,
        )
        async with report.step("stand-ins ready") as detail:
            await system.start_stand_ins()
            detail.text = (
                f"EHR {system.layout.cerner_url}, Communication Services {system.layout.acs_url},"
                f" Entra ID, Graph and Teams {system.layout.graph_url}"
            )
        async with report.step("operator ready") as detail:
            await system.install()
            await system.start_operator()
            await system.operator_ready()
            detail.text = system.layout.operator_url
        async with report.step("connector ready") as detail:
            await system.start_connector()
            await system.connector_ready()
            detail.text = system.layout.connector_url
        yield system


async def configure(system: System, report: Report) -> None:
    """Apply the overlay, and wait until everything is as it must be."""
    async with report.step("resources applied") as detail:
        detail.text = await apply(system)
    async with report.step("resources ready") as detail:
        await resources_ready(system)
        detail.text = "organisation, number and Test endpoint Ready; Production validated, awaiting its evidence"
    async with report.step("integration records written") as detail:
        names = await records_written(system)
        detail.text = f"{len(names)}: {', '.join(names)}"
    report.resources = await resources(system)


async def remove(system: System, report: Report) -> None:
    """Delete everything that was applied, and see that nothing is left but the number, which is retained."""
    async with report.step("resources deleted") as detail:
        await system.kubectl("delete", "-f", "-", _WAIT, stdin=await overlay(system))
        for kind in _KINDS:
            left = json.loads(await system.kubectl("get", kind, "-A", "-o", "json"))["items"]
            if left:
                raise StepFailedError(f"{len(left)} {kind} are left although everything was deleted")
        ledger = await ledger_of(system)
        if len(ledger["purchases"]) != 1 or ledger["releases"]:
            raise StepFailedError(f"the number must be bought once and kept, but the ledger says {ledger}")
        detail.text = f"the number {ledger['purchases'][0]['phoneNumber']} is kept, bought once"


async def overlay(system: System) -> str:
    """Return the overlay as YAML, with this run's ports."""
    mine, written = system.layout, Layout(system.layout.work)
    ports = {
        str(written.cerner_port): mine.cerner_port,
        str(written.acs_port): mine.acs_port,
        str(written.connector_port): mine.connector_port,
        str(written.graph_port): mine.graph_port,
    }
    text = await system.kubectl("kustomize", str(OVERLAY))
    text = re.sub(rf":({'|'.join(ports)})\b", lambda match: f":{ports[match[1]]}", text)
    return text.replace(f"controlURL: {mine.connector_url}\n", f"controlURL: {mine.control_url}\n")


async def apply(system: System) -> str:
    """Apply the overlay and return what kubectl says, in one line."""
    return "; ".join((await system.kubectl("apply", "-f", "-", stdin=await overlay(system))).split("\n")[:-1])


async def resources_ready(system: System) -> None:
    """Wait for the state that the overlay must reach.

    Raises:
        StepFailedError: It was not reached in time; the message tells the conditions that stand in the way.
    """
    kubectl = system.kubectl
    try:
        for name in ("fhirendpoint/lamna-test", "smsnumber/lamna-sms", "ehrconnectorconfig/lamna"):
            await kubectl("wait", name, "-n", NAMESPACE, "--for=condition=Ready", _WAIT)
        production = ("wait", "fhirendpoint/lamna-production", "-n", NAMESPACE)
        await kubectl(*production, "--for=condition=Validated", _WAIT)
        reason = '--for=jsonpath={.status.conditions[?(@.type=="Promoted")].reason}=AwaitingEvidence'
        await kubectl(*production, reason, _WAIT)
        await kubectl(*production, "--for=condition=Promoted=False", "--timeout=5s")
        await kubectl(*production, "--for=condition=Ready=False", "--timeout=5s")
    except StepFailedError as exc:
        raise StepFailedError(f"{exc}\n{await _in_the_way(system)}") from None


async def records_written(system: System) -> list[str]:
    """Check that every record is there and that its digest covers what it says; return their names."""
    async with asyncio.timeout(60):
        while True:
            records = await system.kubectl.items("integrationrecords", NAMESPACE)
            names = sorted(record["metadata"]["name"] for record in records)
            if tuple(names) == _RECORDS:
                break
            await asyncio.sleep(0.5)
    for record in records:
        spec: dict[str, Any] = record["spec"]
        content = {key: value for key, value in spec.items() if key != "digest"}
        if digest_of(content) != spec["digest"]:
            raise StepFailedError(f"the digest of {record['metadata']['name']} does not fit its content")
    return names


async def resources(system: System) -> list[dict[str, Any]]:
    """Return every resource with its conditions, for the report."""
    return [
        {
            "kind": item["kind"],
            "name": item["metadata"]["name"],
            "namespace": item["metadata"]["namespace"],
            "conditions": item.get("status", {}).get("conditions", []),
        }
        for kind in _KINDS
        for item in await system.kubectl.items(kind, NAMESPACE)
    ]


async def ledger_of(system: System) -> dict[str, Any]:
    """Return the stand-in's ledger: the truth about money."""
    async with system.http() as http:
        return (await http.get(f"{system.layout.acs_url}/_sandbox/ledger")).json()


async def _in_the_way(system: System) -> str:
    lines = [
        f"{resource['kind']}/{resource['name']}: {condition['type']}={condition['status']}"
        f" {condition['reason']}: {condition['message']}"
        for resource in await resources(system)
        for condition in resource["conditions"]
        if condition["status"] != "True"
    ]
    return "\n".join(lines) or "no resource has a status yet"
