"""`control-plane up`, `env` and `down` as a person uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ehr_sandbox.control_plane.assets import Assets

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def state_home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def command(state_home: Path, assets: Assets) -> Iterator[Command]:
    """Runs `python -m ehr_sandbox control-plane`, with a state folder of the test's own; stops what it started."""
    assert assets.etcd.exists()
    environment = {**os.environ, "XDG_STATE_HOME": str(state_home)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "ehr_sandbox", "control-plane", *arguments]
        return subprocess.run(program, env=environment, capture_output=True, text=True, check=False, timeout=180)

    yield run
    run("down")


def supervisor_of(state_home: Path) -> psutil.Process:
    (state_file,) = state_home.rglob("state.json")
    return psutil.Process(json.loads(state_file.read_text())["supervisor_pid"])


def test_up_env_and_down_give_a_shell_a_cluster_and_take_it_away(command: Command, state_home: Path) -> None:
    first, second, env = command("up"), command("up"), command("env")
    script = f"{env.stdout}\nkubectl get --raw /readyz && echo && ls $KUBEBUILDER_ASSETS"
    used = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    supervisor = supervisor_of(state_home)
    down, again = command("down"), command("down")

    assert (first.returncode, second.returncode, env.returncode) == (0, 0, 0), first.stderr
    assert "runs already at https://127.0.0.1:" in second.stderr
    assert used.stdout.split() == ["ok", "etcd", "kube-apiserver", "kube-controller-manager", "kubectl"], used.stderr
    assert down.returncode == again.returncode == 0
    assert "Control plane 'default' does not run." in again.stderr
    assert not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE
    assert list(state_home.rglob("default")) == []


def test_up_replaces_a_control_plane_that_was_killed(command: Command, state_home: Path) -> None:
    command("up")
    supervisor_of(state_home).send_signal(signal.SIGKILL)
    psutil.wait_procs([supervisor_of(state_home)], timeout=5)

    env, up = command("env"), command("up")

    assert env.returncode == 1
    assert "does not run; start it with `python -m ehr_sandbox control-plane up`" in env.stderr
    assert up.returncode == 0
    assert "had died; its data is removed, and a new one starts" in up.stderr


def test_a_name_that_could_leave_the_folder_is_refused(command: Command) -> None:
    refused = command("up", "--name", "../other")

    assert refused.returncode == 2
    assert "must be 1 to 32 lower-case letters" in refused.stderr
