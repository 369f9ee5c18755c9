"""`python -m ehr_sandbox.pulumi_engine`: what the stack would build, by the real engine, without an Azure account."""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pulumi import automation

from ehr_sandbox.control_plane.progress import progress_for
from ehr_sandbox.pulumi_engine.engine import EngineError, find
from ehr_sandbox.pulumi_engine.session import Session

_SAMPLE = Path("Pulumi.dev.yaml.example")


def preview(
    stack_file: Annotated[
        Path, typer.Argument(help="Pulumi.STACK.yaml, or the sample of one.", exists=True, dir_okay=False)
    ] = _SAMPLE,
    diff: Annotated[bool, typer.Option("--diff", help="Show every property of each resource.")] = False,
) -> None:
    """Preview a stack with the real engine and a stand-in for Azure: nothing is built, and nothing is looked up in Azure."""
    project = yaml.safe_load(Path("Pulumi.yaml").read_text())
    stack = stack_file.name.split(".")[1]

    def program() -> None:
        runpy.run_path(str(Path(project["main"]) / "__main__.py"), run_name="__main__")

    try:
        engine = find(progress_for(sys.stderr))
    except EngineError as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory(prefix="ehr-preview-") as folder:
        try:
            chosen = Session(Path(folder), engine).stack(project["name"], stack, program, stack_file)
            chosen.preview(on_output=typer.echo, diff=diff)
        except automation.CommandError as error:
            # The engine has printed its reasons already, unless it did not get so far.
            sys.exit("The preview failed." if "Previewing update" in str(error) else str(error))
    typer.echo(f"\nA stand-in took the place of Azure, and {stack_file} was previewed. Nothing was built.")


if __name__ == "__main__":
    typer.run(preview)
