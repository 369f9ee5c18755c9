"""etcdutl, which only a restore from a snapshot needs: given, cached, or built from the same pinned modules as etcd."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ehr_sandbox.control_plane.assets import GIVEN_VARIABLE, AssetsError
from ehr_sandbox.control_plane.binaries import Platform
from ehr_sandbox.control_plane.cache import Cache
from ehr_sandbox.control_plane.go_build import GoBuildSource
from ehr_sandbox.control_plane.progress import Progress
from ehr_sandbox.control_plane.sources import SourceError

NAME = "etcdutl"


def find_etcdutl(progress: Progress) -> Path:
    """Return the path of etcdutl, built into the user's cache where there is none.

    Raises:
        AssetsError: It is nowhere and cannot be built.
    """
    cache = Cache.of_user(Platform.here())
    found = _present(cache)
    if found is not None:
        return found
    with cache.locked(progress):
        found = _present(cache)  # another process may have built it while this one waited for the lock
        if found is not None:
            return found
        try:
            with cache.partial_folder() as partial:
                GoBuildSource().fetch_etcdutl(partial, progress)
                return (partial / NAME).rename(cache.folder / NAME)
        except SourceError as exc:
            raise AssetsError(
                f"no {NAME}: neither in {GIVEN_VARIABLE}, on PATH nor in '{cache.folder}', and it cannot be built: {exc}"
            ) from exc


def _present(cache: Cache) -> Path | None:
    given = os.environ.get(GIVEN_VARIABLE)
    found = shutil.which(NAME, path=given) if given else None
    found = found or shutil.which(NAME) or shutil.which(NAME, path=str(cache.folder))
    return Path(found) if found else None
