"""The stand-in's Azure: a file of resources by id, which tests read, and change behind Pulumi's back."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """A resource as it was declared, and what Azure would add to it."""

    token: str
    """The type, for example `azure-native:keyvault:Vault`."""
    inputs: dict[str, Any]
    computed: dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """All resources; each change is one exclusive turn, since the engine works on several at once."""

    file: Path

    def read(self) -> dict[str, Recorded]:
        """Return every resource by its Azure resource id."""
        text = self.file.read_text() if self.file.exists() else ""
        return {key: Recorded(**value) for key, value in json.loads(text or "{}").items()}

    @contextmanager
    def changed(self) -> Generator[dict[str, Recorded]]:
        """The resources, to be changed in place; nobody else reads or writes meanwhile."""
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            resources = self.read()
            yield resources
            text = json.dumps({key: asdict(value) for key, value in resources.items()}, indent=1, sort_keys=True)
            partial = self.file.with_suffix(".partial")
            partial.write_text(text)
            partial.rename(self.file)
