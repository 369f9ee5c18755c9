"""Given folder, cache and sources are asked in this order, and what was fetched is complete or not there."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from unit.sandbox.control_plane.shelf import RecordingProgress, ShelfSource, put_program

from ehr_sandbox.control_plane.assets import AssetsError, Finder
from ehr_sandbox.control_plane.binaries import ETCD_VERSION, KUBERNETES_VERSION, Binary, Platform
from ehr_sandbox.control_plane.cache import Cache

EVERYTHING = tuple(Binary)


def origin(path: Path) -> str:
    return subprocess.run([path], capture_output=True, text=True, check=True).stdout.strip()


def test_a_given_folder_comes_before_the_cache(tmp_path: Path, cache: Cache, progress: RecordingProgress) -> None:
    given = tmp_path / "given"
    for folder, name in ((given, "given"), (cache.folder, "cached")):
        folder.mkdir()
        for binary in Binary:
            put_program(folder, binary, name)

    assets = Finder(given, cache, ()).find(progress)

    assert {origin(assets.path(binary)) for binary in Binary} == {"given"}


def test_what_a_given_folder_lacks_is_filled_from_the_other_sources(
    tmp_path: Path, cache: Cache, progress: RecordingProgress
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for binary in set(Binary) - {Binary.KUBE_CONTROLLER_MANAGER}:
        put_program(given, binary, "given")
    source = ShelfSource("shelf")

    assets = Finder(given, cache, (source,)).find(progress)

    assert source.asked == [(Binary.KUBE_CONTROLLER_MANAGER,)]
    assert origin(assets.kube_controller_manager) == "shelf"
    assert origin(assets.kube_apiserver) == "given"


def test_a_given_folder_that_does_not_exist_is_refused(
    tmp_path: Path, cache: Cache, progress: RecordingProgress
) -> None:
    with pytest.raises(AssetsError, match=r"KUBEBUILDER_ASSETS is '.*/nowhere', which must be a folder"):
        Finder(tmp_path / "nowhere", cache, (ShelfSource("shelf"),)).find(progress)


def test_the_second_search_asks_no_source(cache: Cache, progress: RecordingProgress) -> None:
    source = ShelfSource("shelf")
    finder = Finder(None, cache, (source,))
    first = finder.find(progress)

    second = finder.find(progress)

    assert second == first
    assert source.asked == [EVERYTHING]


def test_a_later_source_is_asked_only_for_what_an_earlier_one_did_not_give(
    cache: Cache, progress: RecordingProgress
) -> None:
    earlier = ShelfSource("earlier", frozenset({Binary.ETCD}))
    later = ShelfSource("later")

    assets = Finder(None, cache, (earlier, later)).find(progress)

    assert origin(assets.etcd) == "earlier"
    assert origin(assets.kubectl) == "later"
    assert later.asked == [tuple(binary for binary in Binary if binary is not Binary.ETCD)]
    assert "Not from the earlier: no kube-apiserver on the shelf" in progress.lines


def test_when_nothing_works_the_message_names_every_source_its_reason_and_the_remedy(
    cache: Cache, progress: RecordingProgress
) -> None:
    sources = [ShelfSource("first shop", frozenset()), ShelfSource("second shop", frozenset())]

    with pytest.raises(AssetsError) as failure:
        Finder(None, cache, sources).find(progress)

    message = str(failure.value)
    assert "No source has etcd, kube-apiserver, kube-controller-manager, kubectl" in message
    assert "KUBEBUILDER_ASSETS: not set" in message
    assert f"cache: not in '{cache.folder}'" in message
    assert "first shop: no etcd on the shelf" in message
    assert "second shop: no etcd on the shelf" in message
    assert "Remedy: " in message


def test_an_interrupted_fetch_leaves_only_complete_programs(cache: Cache, progress: RecordingProgress) -> None:
    def interrupt_the_second() -> None:
        if progress.lines.count("1/1 bytes") == 2:
            raise KeyboardInterrupt

    progress.on_advance = interrupt_the_second

    with pytest.raises(KeyboardInterrupt):
        Finder(None, cache, (ShelfSource("shelf"),)).find(progress)

    assert sorted(path.name for path in cache.folder.iterdir()) == [".lock", "etcd"]
    assert origin(cache.folder / "etcd") == "shelf"


def test_what_a_killed_fetch_left_is_removed_by_the_next(cache: Cache, progress: RecordingProgress) -> None:
    killed_after_a_write = f"""
import os, signal
from pathlib import Path
from ehr_sandbox.control_plane.cache import Cache
from ehr_sandbox.control_plane.progress import PlainProgress
cache = Cache(Path({str(cache.folder)!r}))
with cache.locked(PlainProgress()), cache.partial_folder() as folder:
    (folder / "etcd").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", killed_after_a_write], check=False)
    left_over = [path.name for path in cache.folder.iterdir() if path.is_dir()]

    assets = Finder(None, cache, (ShelfSource("shelf"),)).find(progress)

    assert len(left_over) == 1
    assert origin(assets.etcd) == "shelf"
    assert not [path for path in cache.folder.iterdir() if path.is_dir()]


def test_two_processes_do_not_fetch_at_once(cache: Cache, progress: RecordingProgress) -> None:
    finder, source = Finder(None, cache, ()), ShelfSource("other process")
    waiting, found = threading.Event(), threading.Event()

    class Waiter(RecordingProgress):
        def note(self, message: str) -> None:
            super().note(message)
            waiting.set()

    def search() -> None:
        finder.find(Waiter())
        found.set()

    # Locks of one file that was opened twice exclude each other, so a thread stands for another process.
    other = threading.Thread(target=search)
    with cache.locked(progress), cache.partial_folder() as partial:
        other.start()
        assert waiting.wait(10)
        for binary in source.fetch(list(Binary), partial, progress):
            cache.adopt(partial, binary)
        assert not found.is_set()
    other.join(10)

    assert found.is_set()


def test_the_cache_of_a_user_is_named_after_versions_and_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    cache = Cache.of_user(Platform("linux", "arm64"))

    expected = f"{KUBERNETES_VERSION}-etcd-{ETCD_VERSION}-linux-arm64"
    assert cache.folder == tmp_path / "teams-ehr-connector" / "control-plane" / expected
