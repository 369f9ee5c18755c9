"""`python -m ehr_sandbox`: every command of the sandbox, each imported only when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import typer

_PROGRAM = "python -m ehr_sandbox"

_COMMANDS = {
    "control-plane": ("ehr_sandbox.control_plane", "A real Kubernetes control plane on loopback."),
    "acs": ("ehr_sandbox.acs", "A simulator of Azure Communication Services: phone numbers, SMS, e-mail."),
    "cerner": ("ehr_sandbox.cerner", "A simulator of a Cerner FHIR R4 server."),
    "graph": ("ehr_sandbox.graph", "A simulator of Entra ID, Microsoft Graph and Teams meetings."),
    "azurite": ("ehr_sandbox.azurite", "Azurite, the emulator of Storage queues."),
    "chromium": ("ehr_sandbox.chromium", "A real Chromium for the demo and the browser tests."),
    "demo": ("ehr_sandbox.demo", "The whole system on this machine."),
}
"""Each package has a module `cli` with a Typer application `app`."""


def main(arguments: Sequence[str]) -> None:
    """Run the named command, which gets the arguments after its name, or else print the list of commands."""
    available = {name: entry for name, entry in _COMMANDS.items() if find_spec(entry[0])}
    if arguments and arguments[0] in available:
        name, *rest = arguments
        app: typer.Typer = import_module(f"{available[name][0]}.cli").app
        app(args=rest, prog_name=f"{_PROGRAM} {name}")
    else:
        _listing({name: summary for name, (_, summary) in available.items()})(args=arguments, prog_name=_PROGRAM)


def _listing(summaries: dict[str, str]) -> typer.Typer:
    """An application that knows the commands by name and summary only: for help, and to refuse other names."""
    root = typer.Typer(no_args_is_help=True, add_completion=False)

    @root.callback()
    def sandbox() -> None:  # pyright: ignore[reportUnusedFunction]  # Typer calls it.
        """Everything that the system needs around it, on this machine alone."""

    for name, summary in summaries.items():
        root.command(name, help=summary)(_never_reached)
    return root


def _never_reached() -> None:
    """`main` runs a command that exists before the listing is asked."""
    raise AssertionError


if __name__ == "__main__":
    main(sys.argv[1:])
