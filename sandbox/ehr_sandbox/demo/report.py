"""The steps of a run: shown as they happen, kept for the report."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ehr_sandbox.control_plane.progress import Progress


class StepFailedError(Exception):
    """A step did not hold; the message says what was seen and what was expected."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step as the report tells it."""

    name: str
    ok: bool
    seconds: float
    detail: str


@dataclass
class StepDetail:
    """What a running step has to say about its outcome."""

    text: str = "done"


@dataclass
class Report:
    """What became of the run. The steps are in the order in which they ran; a failing one is the last."""

    progress: Progress
    steps: list[StepResult] = field(default_factory=list[StepResult])
    resources: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @asynccontextmanager
    async def step(self, name: str) -> AsyncGenerator[StepDetail]:
        """Run a block as one step; whatever it raises is recorded and raised again."""
        began_s = time.monotonic()
        detail = StepDetail()
        self.progress.begin(name)
        try:
            yield detail
        except BaseException as exc:
            reason = str(exc) or type(exc).__name__
            self.steps.append(StepResult(name, ok=False, seconds=_since(began_s), detail=reason))
            self.progress.end("failed")
            raise
        self.steps.append(StepResult(name, ok=True, seconds=_since(began_s), detail=detail.text))
        self.progress.end(detail.text)

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        document = {"steps": [asdict(step) for step in self.steps], "resources": self.resources}
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _since(began_s: float) -> float:
    return round(time.monotonic() - began_s, 3)
