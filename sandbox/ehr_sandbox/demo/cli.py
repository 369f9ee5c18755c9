"""`make demo`: the whole system on this machine."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ehr_sandbox.control_plane.assets import AssetsError
from ehr_sandbox.control_plane.cluster import ControlPlaneError
from ehr_sandbox.control_plane.progress import progress_for
from ehr_sandbox.demo.layout import FIRST_PORT, NAMESPACE
from ehr_sandbox.demo.play import configure, remove, resources, running_system
from ehr_sandbox.demo.report import Report, StepFailedError
from ehr_sandbox.demo.system import System
from ehr_sandbox.demo.visit import play, set_up_ehr

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option(help="Play everything once, check every step, and end.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write steps and resources to this file, as JSON.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="With --once: save a picture of every page of the visit in this folder.")
    ] = None,
    first_port: Annotated[int, typer.Option(help="First of five free ports on loopback.")] = FIRST_PORT,
) -> None:
    """Run control plane, stand-ins, operator and connector on loopback, and apply deploy/overlays/local.

    The stand-ins are simulators: no EHR, no telephone network and no Azure is reached. Without --once everything stays
    up until Ctrl-C, and leaves nothing behind. USE_EXISTING_CLUSTER=true takes the cluster of the current kubeconfig. The exit status is 0 only when every step held.
    """
    run = Report(progress_for(sys.stderr))
    try:
        ok = asyncio.run(_interruptible(run, once=once, first_port=first_port, pictures=pictures))
    finally:
        if report is not None:
            run.write(report)
    raise typer.Exit(0 if ok else 1)


async def _interruptible(run: Report, *, once: bool, first_port: int, pictures: Path | None) -> bool:
    """Run until it is done, or until Ctrl-C or SIGTERM, which end everything in order."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (we are in it)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with running_system(run, first_port=first_port) as system:
            try:
                await configure(system, run)
                if not once:
                    await set_up_ehr(system)
                await _show(system)
                if not once:
                    await _stay_up()
                    if system.is_guest:
                        await remove(system, run)
                    return True
                await play(system, run, pictures)
                run.resources = await resources(system)
                await remove(system, run)
            except StepFailedError:
                typer.echo(system.logs(), err=True)
                raise
    except (StepFailedError, AssetsError, ControlPlaneError, TimeoutError) as exc:
        typer.echo(f"\nThe demo failed: {exc}", err=True)
        return False
    except asyncio.CancelledError:
        typer.echo("\nInterrupted; everything that was started is stopped.", err=True)
        return not once
    return True


async def _show(system: System) -> None:
    typer.echo("")
    typer.echo(await system.kubectl("get", "ehr", "-n", NAMESPACE))
    typer.echo(await system.kubectl("get", "integrationrecords", "-n", NAMESPACE, "-o", "wide"))
    layout = system.layout
    typer.echo(
        f"To look around:  export KUBECONFIG={system.control_plane.kubeconfig}\n"
        f"                 {system.control_plane.kubectl} describe fhirendpoints -n {NAMESPACE}\n"
        f"Connector:       {layout.connector_url}/readyz  (trust {system.ca.ca_file})\n"
        f"To play a visit: {layout.cerner_url}/powerchart  (clinician)\n"
        f"                 the patient's link is in the chart's board, for another browser window;\n"
        f"                 when it is sent by text, it is at {layout.acs_url}/phone/NUMBER\n"
        f"Reports:         {layout.connector_url}/reports/  (Cleo Martin reads them, Dara Singh the audit log too)\n"
        f"EHR stand-in:    {layout.cerner_url}/_sandbox\n"
        f"Teams stand-in:  {layout.graph_url}/_sandbox\n"
        f"ACS stand-in:    {layout.acs_url}/_sandbox/ledger\n"
        f"Operator:        {layout.operator_url}/metrics\n"
        f"Logs:            {layout.work}/*.log\n"
    )


async def _stay_up() -> None:
    typer.echo("Running; Ctrl-C stops everything.")
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    typer.echo("\nStopping ...")
