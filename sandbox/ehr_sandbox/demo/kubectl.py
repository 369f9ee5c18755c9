"""kubectl, as a user would call it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ehr_sandbox.demo.report import StepFailedError


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with a kubeconfig."""

    program: Path
    kubeconfig: Path

    async def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it prints.

        Raises:
            StepFailedError: kubectl failed; the message is its own.
        """
        process = await asyncio.create_subprocess_exec(
            str(self.program),
            f"--kubeconfig={self.kubeconfig}",
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate(stdin.encode() if stdin is not None else None)
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise StepFailedError(f"kubectl {' '.join(arguments)}: {err.decode(errors='replace').strip()}")
        return out.decode()

    async def items(self, resource: str, namespace: str) -> list[dict[str, Any]]:
        """Return the objects of a resource as plain documents."""
        found: list[dict[str, Any]] = json.loads(await self("get", resource, "-n", namespace, "-o", "json"))["items"]
        return found
