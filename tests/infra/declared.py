"""What a program declares, with and without an engine, in a process of its own.

Pulumi keeps event loops and its root resource in globals of the process; tests share neither.
"""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import pulumi
import yaml
from pulumi import automation
from pulumi.runtime import mocks
from pulumi.runtime.stack import run_pulumi_func
from pulumi_azure_native import dbforpostgresql

from ehr_infra.config import PROJECT, Settings, parse
from ehr_infra.program import build
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.pulumi_engine.engine import find
from ehr_sandbox.pulumi_engine.session import Session
from ehr_sandbox.pulumi_provider.computed import computed
from ehr_sandbox.pulumi_provider.resource_ids import resource_id
from ehr_sandbox.pulumi_provider.world import Recorded

REPOSITORY = Path(__file__).parents[2]

Fault = Literal["none", "misspelt", "missing", "public", "elsewhere"]
Action = Literal["preview", "up", "refresh", "destroy"]


def sample(stack: str) -> Path:
    """The configuration that stands ready for a stack."""
    return REPOSITORY / f"Pulumi.{stack}.yaml.example"


def values_of(stack: str, **changes: Any) -> dict[str, Any]:
    """The configuration of a sample, with changes; a change to None removes the key."""
    values: dict[str, Any] = yaml.safe_load(sample(stack).read_text())["config"]
    values.update({f"{PROJECT}:{key}": value for key, value in changes.items()})
    return {key: value for key, value in values.items() if value is not None}


def settings_of(stack: str, **changes: Any) -> Settings:
    """The settings of a sample, with changes."""
    return parse(values_of(stack, **changes), stack, frozenset({f"{PROJECT}:gitToken"}))


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Takes every resource as it comes, and adds what the stand-in for Azure would."""

    resources: dict[str, Recorded] = field(default_factory=dict[str, Recorded])
    """By the name in the program."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Record a resource."""
        inputs: dict[str, Any] = args.inputs
        if not args.typ.startswith("azure-native:"):
            return args.name, inputs
        key = resource_id(args.typ, inputs)
        outputs = computed(args.typ, key, inputs)
        self.resources[args.name] = Recorded(args.typ, inputs, outputs)
        return key, {**inputs, **outputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> NoReturn:
        """No program of ours looks anything up."""
        raise AssertionError(args.token)


def declare(stack: str, changes: Mapping[str, Any], fault: Fault = "none") -> Mapping[str, Recorded]:
    """Declare a sample's stack without an engine; return its resources by their names in the program.

    Raises:
        RuntimeError: The program failed.
    """
    recorder = Recorder()
    settings = settings_of(stack, **changes)

    async def run() -> None:
        mocks.set_mocks(recorder, project=PROJECT, stack=stack, preview=False)
        with_fault(fault)
        await run_pulumi_func(lambda: (build(settings, stack), None)[1])

    try:
        asyncio.run(run())
    except Exception as error:  # noqa: BLE001 (whatever it was, it must get through to the other process)
        raise RuntimeError(str(error)) from None
    return recorder.resources


def act(
    folder: Path, stack: str, config: Path, action: Action, fault: Fault = "none", git_token: str | None = None
) -> dict[str, Any]:
    """Let the real engine act on a stack; return how many resources it would change or changed, by what it does.

    Raises:
        RuntimeError: The engine refused; with what it printed.
    """

    def program() -> None:
        with_fault(fault)
        runpy.run_path(str(REPOSITORY / "infra" / "__main__.py"), run_name="__main__")

    session = Session(folder, find(PlainProgress()))
    try:
        found = session.stack(PROJECT, stack, program, config)
        if git_token is not None:
            found.set_config(f"{PROJECT}:gitToken", automation.ConfigValue(git_token, secret=True))
        if action == "preview":
            return _by_name(found.preview().change_summary)
        done = {"up": found.up, "refresh": found.refresh, "destroy": found.destroy}[action]()
        outputs = {key: value.value for key, value in found.outputs().items()}
    except automation.CommandError as error:
        raise RuntimeError(str(error)) from None
    return {"outputs": outputs, **_by_name(done.summary.resource_changes or {})}


def _by_name(changes: Mapping[automation.OpType, int]) -> dict[str, Any]:
    return {str(getattr(operation, "value", operation)): count for operation, count in changes.items()}


def with_fault(fault: Fault) -> None:
    """Make a mistake in the program, as a hurried change might."""
    faults: dict[Fault, tuple[str, Callable[[dict[str, Any]], None]]] = {
        "misspelt": ("events-account", lambda properties: properties.update(minimum_tls_versoin="TLS1_0")),
        "missing": ("events-account", lambda properties: properties.update(sku=None)),
        "public": (
            "database-server",
            lambda properties: properties.update(network=dbforpostgresql.NetworkArgs(public_network_access="Enabled")),
        ),
        "elsewhere": ("vault", lambda properties: properties.update(location="westeurope")),
    }
    if fault == "none":
        return
    name, change = faults[fault]

    def transformation(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.name != name or not args.type_.startswith("azure-native:"):
            return None
        properties = dict[str, Any](args.props)
        change(properties)
        return pulumi.ResourceTransformationResult(properties, args.opts)

    pulumi.runtime.register_stack_transformation(transformation)
