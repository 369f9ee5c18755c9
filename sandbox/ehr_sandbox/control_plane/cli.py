"""`python -m ehr_sandbox control-plane`: a control plane that stays up between commands."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ehr_sandbox.control_plane.assets import GIVEN_VARIABLE, AssetsError, usual_finder
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.cluster import (
    ControlPlane,
    ControlPlaneError,
    attach_control_plane,
    discard_remains,
    is_starting,
    start_control_plane,
)
from ehr_sandbox.control_plane.progress import progress_for

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A real Kubernetes control plane on loopback: etcd, API server, controllers; no nodes.",
)

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def _valid_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise typer.BadParameter("must be 1 to 32 lower-case letters, digits and inner hyphens")
    return name


Name = Annotated[str, typer.Option(help="Several may run side by side, by name.", callback=_valid_name)]


@app.command()
def up(name: Name = "default") -> None:
    """Start a control plane that stays up until `down`; print how to use it."""
    control_plane = attach_control_plane(_data_dir(name))
    if control_plane is not None:
        typer.echo(f"Control plane '{name}' runs already at {control_plane.server_url}.", err=True)
    else:
        control_plane = _start(name)
    typer.echo(f'To use it: eval "$({_own_command("env", name)})"', err=True)


@app.command()
def env(name: Name = "default") -> None:
    """Print the environment of a running control plane, for a shell's `eval`."""
    control_plane = attach_control_plane(_data_dir(name))
    if control_plane is None:
        _fail(f"Control plane '{name}' does not run; start it with `{_own_command('up', name)}`.")
    programs = str(control_plane.layout.bin)
    typer.echo(f"export KUBECONFIG={shlex.quote(str(control_plane.kubeconfig))}")
    typer.echo(f"export {GIVEN_VARIABLE}={shlex.quote(programs)}")
    typer.echo(f'export PATH={shlex.quote(programs)}:"$PATH"')


@app.command()
def down(name: Name = "default") -> None:
    """Stop a control plane and remove its data."""
    data_dir = _data_dir(name)
    control_plane = attach_control_plane(data_dir)
    if control_plane is not None:
        control_plane.stop()
        typer.echo(f"Control plane '{name}' is stopped, and its data is removed.", err=True)
    elif discard_remains(data_dir):
        typer.echo(f"Control plane '{name}' was dead already; what it left is removed.", err=True)
    else:
        typer.echo(f"Control plane '{name}' does not run.", err=True)


@app.command()
def fetch() -> None:
    """Get the programs only, and print where they are."""
    _end_in_order_on_sigterm()
    try:
        assets = usual_finder().find(progress_for(sys.stderr))
    except AssetsError as exc:
        _fail(str(exc))
    for binary in Binary:
        typer.echo(assets.path(binary))


def _start(name: str) -> ControlPlane:
    _end_in_order_on_sigterm()
    data_dir = _data_dir(name)
    if is_starting(data_dir):
        _fail(f"Control plane '{name}' is being started by another process; wait, or end it with `down`.")
    if discard_remains(data_dir):
        typer.echo(f"Control plane '{name}' had died; its data is removed, and a new one starts.", err=True)
    try:
        return start_control_plane(progress=progress_for(sys.stderr), data_dir=data_dir, detached=True)
    except (AssetsError, ControlPlaneError) as exc:
        _fail(str(exc))


def _data_dir(name: str) -> Path:
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "teams-ehr-connector" / "control-plane" / name


def _own_command(command: str, name: str) -> str:
    option = "" if name == "default" else f" --name {name}"
    return f"python -m ehr_sandbox control-plane {command}{option}"


def _end_in_order_on_sigterm() -> None:
    """Let SIGTERM end downloads, builds and starts as Ctrl-C does: with everything started stopped again."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
