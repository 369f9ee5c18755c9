"""Whatever ends whoever started a control plane, nothing of it is left; and what dies inside comes back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from cluster.control_plane.kubectl import Kubectl

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.cluster import ControlPlane, ControlPlaneError, running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress

STARTER = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in its background
from ehr_sandbox.control_plane.cluster import running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress
with running_control_plane(progress=PlainProgress()) as running:
    pids = [running.supervisor_pid, *running.pids.values()]
    print(json.dumps({"pids": pids, "data_dir": str(running.data_dir)}), flush=True)
    time.sleep(600)
"""


def quiet() -> PlainProgress:
    return PlainProgress(sys.stderr)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_end_of_the_starter_leaves_no_process_and_no_data(ending: signal.Signals, assets: Assets) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with starter:
        assert starter.stdout is not None
        told = json.loads(starter.stdout.readline())
        processes = [psutil.Process(pid) for pid in told["pids"]]

        starter.send_signal(ending)
        starter.wait(30)

    _, alive = psutil.wait_procs(processes, timeout=30)
    assert len(processes) == 4
    assert alive == []
    assert not Path(told["data_dir"]).exists()
    assert assets.etcd.exists()


def test_a_killed_supervisor_takes_its_programs_with_it(assets: Assets) -> None:
    with running_control_plane(progress=quiet(), assets=assets) as running:
        processes = [psutil.Process(pid) for pid in running.pids.values()]

        psutil.Process(running.supervisor_pid).kill()

        _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []
    assert not running.data_dir.exists()


async def test_a_restarted_api_server_has_the_same_address_and_data(assets: Assets) -> None:
    async with ControlPlane.start(progress=quiet(), assets=assets) as running:
        kubectl = Kubectl(running, "default")
        kubectl.ok("create", "configmap", "kept")
        before = running.pids

        await running.restart_api_server()

        after = running.pids
        assert {name for name in before if before[name] != after[name]} == {Binary.KUBE_APISERVER}
        assert kubectl.ok("get", "configmap", "kept", "--output=name") == "configmap/kept\n"
    with pytest.raises(ControlPlaneError, match="was stopped; start a new one"):
        _ = running.pids


async def test_a_cancelled_start_leaves_no_process(assets: Assets) -> None:
    loop, spawned = asyncio.get_running_loop(), asyncio.Event()
    before = set(psutil.Process().children(recursive=True))

    class Watcher(PlainProgress):
        def advance(self, done: int, total: int | None, unit: str) -> None:
            super().advance(done, total, unit)
            if len(set(psutil.Process().children(recursive=True)) - before) >= 3:
                loop.call_soon_threadsafe(spawned.set)

    async def start() -> None:
        async with ControlPlane.start(progress=Watcher(), assets=assets):
            await asyncio.sleep(600)

    starting = asyncio.create_task(start())
    await spawned.wait()
    processes = set(psutil.Process().children(recursive=True)) - before

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    _, alive = psutil.wait_procs(list(processes), timeout=30)
    assert len(processes) >= 3
    assert alive == []


def test_a_program_that_cannot_start_is_named_with_its_last_words(assets: Assets, tmp_path: Path) -> None:
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho no luck today\nexit 3\n")
    broken.chmod(0o755)
    with_broken = Assets(assets.etcd, broken, assets.kube_controller_manager, assets.kubectl)

    with (
        pytest.raises(ControlPlaneError, match=r"(?s)kube-apiserver ended with status 3: .*no luck today"),
        running_control_plane(progress=quiet(), assets=with_broken),
    ):
        pass
