"""`python -m ehr_sandbox azurite`: the emulator's queue as a program."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ehr_sandbox.azurite.finding import NoAzuriteError, find_or_get
from ehr_sandbox.azurite.running import AzuriteError, running
from ehr_sandbox.control_plane.progress import progress_for

app = typer.Typer(add_completion=False)


@app.command()
def azurite(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    queue: Annotated[str, typer.Option(help="Queue to create.")] = "acs-events",
) -> None:
    """Run a Storage queue in memory until Ctrl-C or SIGTERM, and print its address with a signature that lets you in.

    What it needs is fetched into the user's cache the first time.
    """
    try:
        command = find_or_get(progress_for(sys.stderr))
        asyncio.run(_serve(command, port, queue))
    except (NoAzuriteError, AzuriteError) as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from None


async def _serve(command: Sequence[str], port: int, queue: str) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with running(command, port=port) as service:
        typer.echo(await service.create_queue(queue))
        await ended.wait()
