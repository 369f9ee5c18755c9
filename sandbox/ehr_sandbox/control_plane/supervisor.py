"""The process that owns a control plane's programs: starts them, restarts what dies, and leaves nothing behind.

It is a process of its own, so that even `kill -9` of whoever asked for the control plane ends it: the asker holds the
other end of this process's standard input (the lifeline), which the kernel closes for it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ehr_sandbox.control_plane import components
from ehr_sandbox.control_plane.admin_api import AdminApi
from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.components import Component
from ehr_sandbox.control_plane.credentials import create_credentials, write_admin_kubeconfig
from ehr_sandbox.control_plane.layout import Layout
from ehr_sandbox.control_plane.state import Phase, State, write_state

_START_LIMIT_S = 90.0
_PROBE_INTERVAL_S = 0.05
_RESTART_DELAY_S = 0.2
_LOG_TAIL_LINES = 4
_PR_SET_PDEATHSIG = 1


class _StartError(Exception):
    """The control plane did not become ready; the message says which program failed and what it logged last."""


class Supervisor:
    """One control plane in one data folder. Single-threaded: children are started from the thread that waits."""

    def __init__(self, assets: Assets, layout: Layout, port: int, wakeup: socket.socket, lifeline: int | None) -> None:
        self._layout = layout
        self._wakeup = wakeup
        self._lifeline = lifeline
        self._children: dict[Component, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self._state = State(Phase.STARTING, os.getpid(), components.server_url_of(port))
        credentials = create_credentials(layout.credentials)
        write_admin_kubeconfig(layout.kubeconfig, self._state.server_url, credentials)
        layout.link_binaries(assets)
        self._api = AdminApi(self._state.server_url, credentials)
        self._etcd = components.etcd(assets, layout.data_dir)
        self._api_server = components.kube_apiserver(assets, layout.data_dir, credentials, port)
        self._controllers = components.kube_controller_manager(assets, credentials, layout.kubeconfig)

    def run(self) -> int:
        """Keep the control plane up until a signal or the lifeline's end; returns the exit status."""
        try:
            self._start()
            while not self._stopping:
                self._wait(None)
                # The signal of one that dies while another is being restarted is heard in there, and not again.
                while self._restart_dead():
                    pass
        except _StartError as exc:
            self._stop_children()
            self._publish(phase=Phase.FAILED, detail=str(exc), pids={})
            return 1
        self._stop_children()
        shutil.rmtree(self._layout.data_dir)
        return 0

    def stop(self) -> None:
        """Make `run` return soon. For signal handlers."""
        self._stopping = True

    def _start(self) -> None:
        deadline_s = time.monotonic() + _START_LIMIT_S
        self._spawn(self._etcd)
        self._spawn(self._api_server)
        self._await(self._api.is_ready, self._api_server, deadline_s)
        if self._stopping:
            return
        self._api.publish_issuer()
        self._spawn(self._controllers)
        self._await(self._api.has_default_service_account, self._controllers, deadline_s)
        self._publish(phase=Phase.READY)

    def _await(self, is_done: Callable[[], bool], component: Component, deadline_s: float) -> None:
        while not self._stopping and not is_done():
            self._wait(_PROBE_INTERVAL_S)
            for other, child in self._children.items():
                if child.poll() is not None and not self._stopping:
                    raise _StartError(f"{other.binary} ended with status {child.returncode}: {self._log_tail(other)}")
            if time.monotonic() > deadline_s:
                limit = f"{component.binary} was not ready after {_START_LIMIT_S:.0f} s"
                raise _StartError(f"{limit}: {self._log_tail(component)}")

    def _wait(self, timeout_s: float | None) -> None:
        """Sleep until a signal, the lifeline's end or the time-out."""
        watched = [self._wakeup.fileno()] + ([] if self._lifeline is None else [self._lifeline])
        ready, _, _ = select.select(watched, [], [], timeout_s)
        if self._wakeup.fileno() in ready:
            self._wakeup.recv(4096)
        if self._lifeline in ready and not os.read(self._lifeline, 4096):
            self.stop()

    def _restart_dead(self) -> bool:
        """Start again what has died or is held no more; return whether anything had died."""
        dead = [component for component, child in self._children.items() if child.poll() is not None]
        held = [component for component in dead if self._layout.hold_file(component.binary).exists()]
        for component in held:
            del self._children[component]
        if held:
            self._publish_children()
        if dead and not self._stopping:
            self._wait(_RESTART_DELAY_S)  # A program that dies at once must not keep a processor busy.
        for component in (self._etcd, self._api_server, self._controllers):
            is_missing = component in dead or component not in self._children
            if is_missing and not self._stopping and not self._layout.hold_file(component.binary).exists():
                self._spawn(component)
        return bool(dead) and not self._stopping

    def _spawn(self, component: Component) -> None:
        with self._layout.log_file(component.binary).open("ab") as log:
            self._children[component] = subprocess.Popen(
                component.command,
                cwd=self._layout.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # This process has one thread.
            )
        self._publish_children()

    def _publish_children(self) -> None:
        self._publish(pids={other.binary.value: child.pid for other, child in self._children.items()})

    def _stop_children(self) -> None:
        """Kill them: what an orderly end would save is removed next anyway."""
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()

    def _publish(
        self, *, phase: Phase | None = None, pids: dict[str, int] | None = None, detail: str | None = None
    ) -> None:
        old = self._state
        self._state = replace(
            old,
            phase=old.phase if phase is None else phase,
            pids=old.pids if pids is None else pids,
            detail=old.detail if detail is None else detail,
        )
        write_state(self._layout.data_dir, self._state)

    def _log_tail(self, component: Component) -> str:
        lines = self._layout.log_file(component.binary).read_text(errors="replace").splitlines()
        return "\n  ".join(["its log ends with", *lines[-_LOG_TAIL_LINES:]])


def _die_with_parent() -> None:
    """Where the kernel can (Linux), have it end a child even when the supervisor itself was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _reserved_port() -> tuple[socket.socket, int]:
    """A free port of loopback that stays ours as long as the socket is open, though the API server may listen on it."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    return holder, port


def main() -> int:
    """Run as `python -m`: data folder and programs come as arguments, the lifeline as standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--assets", required=True, help="JSON object: program name to path")
    parser.add_argument("--lifeline", action="store_true", help="stop when standard input ends")
    arguments = parser.parse_args()
    paths: dict[str, str] = json.loads(arguments.assets)
    assets = Assets.of({binary: Path(paths[binary]) for binary in Binary})

    wakeup, waker = socket.socketpair()
    waker.setblocking(False)
    holder, port = _reserved_port()
    lifeline = sys.stdin.fileno() if arguments.lifeline else None
    supervisor = Supervisor(assets, Layout(arguments.data_dir), port, wakeup, lifeline)

    def handle(number: int, _frame: FrameType | None) -> None:
        """The end of a child needs nothing but to wake up; every other signal here means stop."""
        if number != signal.SIGCHLD:
            supervisor.stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, handle)
    signal.set_wakeup_fd(waker.fileno())
    with holder:
        return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
