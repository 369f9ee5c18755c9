"""A stack of the real engine, kept in a folder, whose Azure is the stand-in."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from ehr_sandbox.pulumi_provider.__main__ import STATE_FILE
from ehr_sandbox.pulumi_provider.world import World

_PLUGIN = "pulumi-resource-azure-native"
_OF_ENCRYPTION = {"encryptionsalt", "encryptedkey", "secretsprovider"}


@dataclass(frozen=True, slots=True)
class Session:
    """A folder with the state of stacks and of the stand-in's Azure; nothing outside it is read or written."""

    folder: Path
    engine: automation.PulumiCommand

    @property
    def world(self) -> World:
        """The stand-in's Azure."""
        return World(self.folder / "azure.json")

    def stack(
        self, project: str, name: str, program: Callable[[], None], stack_file: Path | None = None
    ) -> automation.Stack:
        """A stack with the configuration of `stack_file`, in Pulumi's own format for it.

        What is encrypted in the file stays so, since its key is nobody's business here: something stands in its place.
        """
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        secret_keys: list[str] = []
        if stack_file is not None:
            plain, secret_keys = _parted(stack_file.read_text(encoding="utf-8"))
            (work / f"Pulumi.{name}.yaml").write_text(plain, encoding="utf-8")
        (self.folder / "state").mkdir(exist_ok=True)
        stack = automation.create_or_select_stack(
            stack_name=name,
            project_name=project,
            program=program,
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(work),
                pulumi_command=self.engine,
                pulumi_home=str(self.folder / "home"),
                env_vars=self._environment(),
                project_settings=automation.ProjectSettings(
                    name=project,
                    runtime="python",
                    backend=automation.ProjectBackend(url=(self.folder / "state").as_uri()),
                ),
            ),
        )

        for key in secret_keys:
            stack.set_config(key, automation.ConfigValue("encrypted in the stack's file", secret=True))
        return stack

    def _environment(self) -> Mapping[str, str]:
        plugins = self.folder / "plugins"
        plugins.mkdir(exist_ok=True)
        plugin = plugins / _PLUGIN
        plugin.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ehr_sandbox.pulumi_provider "$@"\n')
        plugin.chmod(0o755)
        return {
            "PATH": f"{plugins}{os.pathsep}{os.environ.get('PATH', '')}",
            STATE_FILE: str(self.world.file),
            "PULUMI_CONFIG_PASSPHRASE": "of a stack that holds nothing",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }


def _parted(stack_file: str) -> tuple[str, list[str]]:
    """Return a stack's file without what is encrypted in it, and the keys of that."""
    document: dict[str, Any] = yaml.safe_load(stack_file)
    config: dict[str, Any] = document.get("config") or {}
    secret_keys = [key for key, value in config.items() if isinstance(value, dict) and "secure" in value]
    kept = {key: value for key, value in document.items() if key not in _OF_ENCRYPTION}
    kept["config"] = {key: value for key, value in config.items() if key not in secret_keys}
    return yaml.safe_dump(kept), secret_keys
