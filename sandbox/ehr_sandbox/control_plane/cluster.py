"""A control plane as a Python object: start, use, restart its API server, stop."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ehr_sandbox.control_plane.admin_api import AdminApi
from ehr_sandbox.control_plane.assets import Assets, usual_finder
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.credentials import Credentials, write_token_kubeconfig
from ehr_sandbox.control_plane.interrupt import InterruptedWorkError, InterruptibleProgress
from ehr_sandbox.control_plane.layout import Layout
from ehr_sandbox.control_plane.progress import Progress, piece_of_work
from ehr_sandbox.control_plane.state import Phase, State, is_supervised, read_state, supervision

_POLL_S = 0.05
_STOP_LIMIT_S = 15.0
_RESTART_GRACE_S = 3.0
_RESTART_LIMIT_S = 60.0


class ControlPlaneError(Exception):
    """The control plane did not start, did not come back, or is gone; the message says what its programs logged."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane that is ready. Its supervisor restarts what dies, at the same address and with the same data."""

    data_dir: Path
    server_url: str
    assets: Assets
    supervisor_pid: int
    supervisor: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    """The process as our child; None when another process started it."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.layout.kubeconfig

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server."""
        return self.credentials.ca_file

    @property
    def kubectl(self) -> Path:
        """The kubectl of the API server's version."""
        return self.assets.kubectl

    @property
    def issuer(self) -> str:
        """The issuer of service-account tokens."""
        return self.server_url

    @property
    def jwks_url(self) -> str | None:
        """Where the issuer's keys are; None where its own discovery document tells."""
        return None

    @property
    def layout(self) -> Layout:
        """What is where in the data folder."""
        return Layout(self.data_dir)

    @property
    def credentials(self) -> Credentials:
        """The files with keys and certificates, the administrator's among them."""
        return Credentials(self.layout.credentials)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by program name, as they are now.

        Raises:
            ControlPlaneError: It was stopped meanwhile.
        """
        return self._state().pids

    @classmethod
    @asynccontextmanager
    async def start(cls, *, progress: Progress, assets: Assets | None = None) -> AsyncGenerator[ControlPlane]:
        """A control plane for the time of the block; cancelling interrupts even a download or a build.

        Raises:
            AssetsError: A program cannot be had.
            ControlPlaneError: It did not become ready.
        """
        interruptible = InterruptibleProgress(progress)
        starting = asyncio.create_task(asyncio.to_thread(start_control_plane, progress=interruptible, assets=assets))
        try:
            control_plane = await asyncio.shield(starting)
        except asyncio.CancelledError:
            interruptible.interrupted.set()
            with suppress(InterruptedWorkError):
                (await starting).stop()
            raise
        try:
            yield control_plane
        finally:
            await asyncio.to_thread(control_plane.stop)

    @classmethod
    def of_state(cls, data_dir: Path, state: State) -> ControlPlane:
        """The control plane that another process started, as its state says."""
        links = Layout(data_dir).bin
        assets = Assets.of({binary: (links / binary).resolve() for binary in Binary})
        return cls(data_dir, state.server_url, assets, state.supervisor_pid)

    def stop(self) -> None:
        """End all processes and remove the data folder. May be repeated."""
        if self.supervisor is not None:
            _stop_child(self.supervisor, self.data_dir)
            return
        if is_supervised(self.data_dir):
            with suppress(ProcessLookupError):
                os.kill(self.supervisor_pid, signal.SIGTERM)
        _poll_until(lambda: not is_supervised(self.data_dir), _STOP_LIMIT_S, "the supervisor did not stop")
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def kill_component(self, binary: Binary) -> None:
        """Send SIGKILL to one program; the supervisor starts it again."""
        os.kill(self.pids[binary], signal.SIGKILL)

    def restart_component(self, binary: Binary) -> None:
        """End one program as a kubelet does, and wait until its successor runs and the API server is ready.

        The program is killed after a grace of 3 seconds: an API server waits a minute for open watches to end.

        Raises:
            ControlPlaneError: It did not come back within a minute.
        """
        old_pid = self.pids[binary]
        os.kill(old_pid, signal.SIGTERM)
        with suppress(ControlPlaneError):
            _poll_until(lambda: self.pids[binary] != old_pid, _RESTART_GRACE_S, f"{binary} did not end")
        if self.pids[binary] == old_pid:
            os.kill(old_pid, signal.SIGKILL)
        api = AdminApi(self.server_url, self.credentials)
        _poll_until(
            lambda: self.pids[binary] != old_pid and api.is_ready(), _RESTART_LIMIT_S, f"{binary} did not come back"
        )

    async def restart_api_server(self) -> None:
        """Restart kube-apiserver alone; the same address and data. Raises as `restart_component` does."""
        await asyncio.to_thread(self.restart_component, Binary.KUBE_APISERVER)

    def write_kubeconfig(
        self, path: Path, *, token_file: Path | None = None, token: str | None = None, namespace: str = "default"
    ) -> None:
        """Write a kubeconfig for a service account, by the file that holds its token or by the token itself."""
        write_token_kubeconfig(
            path, self.server_url, self.ca_file, token_file=token_file, token=token, namespace=namespace
        )

    def mint_token_now(self, namespace: str, service_account: str, audience: str | None, seconds: int) -> str:
        """A token of the service account, for `audience` or else for the API server itself.

        Raises:
            ApiError: There is no such service account, or `seconds` is less than 600.
        """
        return AdminApi(self.server_url, self.credentials).mint_token(namespace, service_account, audience, seconds)

    async def mint_token(self, namespace: str, service_account: str, audience: str | None, seconds: int) -> str:
        """The same as `mint_token_now`, for coroutines."""
        return await asyncio.to_thread(self.mint_token_now, namespace, service_account, audience, seconds)

    def _state(self) -> State:
        state = read_state(self.data_dir)
        if state is None:
            raise ControlPlaneError(f"the control plane in '{self.data_dir}' was stopped; start a new one")
        return state


@contextmanager
def running_control_plane(*, progress: Progress, assets: Assets | None = None) -> Generator[ControlPlane]:
    """A control plane for the time of the block, without asyncio. Raises as `start_control_plane` does."""
    control_plane = start_control_plane(progress=progress, assets=assets)
    try:
        yield control_plane
    finally:
        control_plane.stop()


def start_control_plane(
    *, progress: Progress, assets: Assets | None = None, data_dir: Path | None = None, detached: bool = False
) -> ControlPlane:
    """Find or fetch the programs, start them, and return when everything is ready.

    Unless `detached`, everything ends with this process, however it ends. `data_dir` must not exist yet; without one,
    a temporary folder is used.

    Raises:
        AssetsError: A program cannot be had.
        ControlPlaneError: It did not become ready.
    """
    assets = assets or usual_finder().find(progress)
    if data_dir is None:
        data_dir = Path(tempfile.mkdtemp(prefix="ehr-control-plane-"))
    else:
        data_dir.mkdir(mode=0o700, parents=True)
    supervisor = _spawn_supervisor(assets, data_dir, detached=detached)
    try:
        state = _await_ready(supervisor, data_dir, progress)
    except BaseException:
        _stop_child(supervisor, data_dir)
        raise
    return ControlPlane(data_dir, state.server_url, assets, supervisor.pid, supervisor)


def attach_control_plane(data_dir: Path) -> ControlPlane | None:
    """The control plane that another process started in `data_dir`, or None when there is none that is alive."""
    state = read_state(data_dir)
    if state is None or state.phase is not Phase.READY or not is_supervised(data_dir):
        return None
    return ControlPlane.of_state(data_dir, state)


def is_starting(data_dir: Path) -> bool:
    """Whether a supervisor in `data_dir` is alive but not ready yet."""
    state = read_state(data_dir)
    return state is not None and state.phase is Phase.STARTING and is_supervised(data_dir)


def discard_remains(data_dir: Path) -> bool:
    """End and remove what a dead or half-started control plane left; returns whether there was anything."""
    state = read_state(data_dir)
    if state is not None and is_supervised(data_dir):
        ControlPlane.of_state(data_dir, state).stop()
    elif not data_dir.exists():
        return False
    shutil.rmtree(data_dir, ignore_errors=True)
    return True


def _spawn_supervisor(assets: Assets, data_dir: Path, *, detached: bool) -> subprocess.Popen[bytes]:
    paths = json.dumps({binary: str(assets.path(binary).absolute()) for binary in Binary})
    command = [sys.executable, "-m", "ehr_sandbox.control_plane.supervisor", f"--data-dir={data_dir}"]
    lifeline = [] if detached else ["--lifeline"]
    with Layout(data_dir).supervisor_log.open("ab") as log, supervision(data_dir) as lock:
        return subprocess.Popen(
            [*command, f"--assets={paths}", *lifeline],
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C is for us to hear; we end the supervisor in order.
        )


def _await_ready(supervisor: subprocess.Popen[bytes], data_dir: Path, progress: Progress) -> State:
    began_s = time.monotonic()
    with piece_of_work(progress, "Starting the control plane"):
        while True:
            has_ended = supervisor.poll() is not None
            state = read_state(data_dir)
            if state is not None and state.phase is Phase.READY:
                progress.end(f"ready at {state.server_url}")
                return state
            if has_ended or (state is not None and state.phase is Phase.FAILED):
                log = Layout(data_dir).supervisor_log.read_text(errors="replace")
                raise ControlPlaneError((state.detail if state else "") or f"the supervisor ended: {log}")
            progress.advance(int(time.monotonic() - began_s), None, "seconds")
            time.sleep(_POLL_S)


def _stop_child(supervisor: subprocess.Popen[bytes], data_dir: Path) -> None:
    lifeline: IO[bytes] | None = supervisor.stdin
    if lifeline is not None:
        lifeline.close()
    supervisor.terminate()
    try:
        supervisor.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    shutil.rmtree(data_dir, ignore_errors=True)


def _poll_until(is_done: Callable[[], bool], limit_s: float, failure: str) -> None:
    deadline_s = time.monotonic() + limit_s
    while not is_done():
        if time.monotonic() > deadline_s:
            raise ControlPlaneError(f"{failure} within {limit_s:.0f} s")
        time.sleep(_POLL_S)
