"""What happens to a cluster's memory: etcd stopped, saved, lost, restored; and programs that stay down for a while."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from ehr_sandbox.control_plane.admin_api import AdminApi
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.cluster import ControlPlane, ControlPlaneError
from ehr_sandbox.control_plane.components import etcd_restore

_GRACE_S = 3.0
"""An API server waits a minute for open watches to end: it is killed sooner."""
_LIMIT_S = 60.0
_POLL_S = 0.05


@contextmanager
def stopped(control_plane: ControlPlane, *binaries: Binary) -> Generator[None]:
    """Keep programs down for the time of the block; at its end they run again, and the API server is ready.

    Raises:
        ControlPlaneError: A program did not end, or the API server did not come back.
    """
    for binary in binaries:
        control_plane.layout.hold_file(binary).touch()
    try:
        for binary in binaries:
            _end(control_plane, binary)
        yield
    finally:
        for binary in binaries:
            control_plane.layout.hold_file(binary).unlink()
        os.kill(control_plane.supervisor_pid, signal.SIGCHLD)  # it looks for what is missing
        wait_until_ready(control_plane)


def save_snapshot(control_plane: ControlPlane, into: Path) -> None:
    """Save what etcd holds now, as `etcdctl snapshot save` does: by the same call, through its JSON gateway.

    Raises:
        ControlPlaneError: etcd gave no snapshot.
    """
    connection = _UnixConnection(control_plane.layout.etcd_socket)
    try:
        connection.request("POST", "/v3/maintenance/snapshot", "{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        with into.open("wb") as file:
            for line in answer:
                part: dict[str, Any] = json.loads(line)
                if "result" not in part:
                    raise ControlPlaneError(f"etcd gave no snapshot: {part}")
                file.write(base64.b64decode(part["result"].get("blob", "")))
    except OSError as exc:
        raise ControlPlaneError(f"etcd gave no snapshot: {exc}") from exc
    finally:
        connection.close()


def restore_snapshot(control_plane: ControlPlane, snapshot: Path, etcdutl: Path, *, bump_revision: bool = True) -> None:
    """Put the cluster back to a snapshot, as an administrator does: API server down, etcd's data replaced, both up.

    Without `bump_revision` resource versions that were given out before are given out again.

    Raises:
        ControlPlaneError: The snapshot is none, or the cluster did not come back.
    """
    fresh = control_plane.data_dir / "etcd.restored"
    shutil.rmtree(fresh, ignore_errors=True)
    command = etcd_restore(etcdutl, snapshot, fresh, bump_revision=bump_revision)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=control_plane.data_dir)
    if done.returncode != 0:
        raise ControlPlaneError(f"etcdutl could not restore '{snapshot}': {done.stderr[-1000:]}")
    _replace_data(control_plane, fresh)


def lose_everything(control_plane: ControlPlane) -> None:
    """Wipe etcd: the cluster comes back at its address, with its keys, and empty.

    Raises:
        ControlPlaneError: The cluster did not come back.
    """
    _replace_data(control_plane, None)


def wait_until_ready(control_plane: ControlPlane) -> None:
    """Wait until the API server serves and the controllers work.

    Raises:
        ControlPlaneError: It did not come about within a minute.
    """
    api = AdminApi(control_plane.server_url, control_plane.credentials)
    missing = "the control plane is not ready"
    _poll(lambda: set(control_plane.pids) == {binary.value for binary in Binary} - {Binary.KUBECTL}, missing)
    _poll(api.is_ready, missing)
    api.publish_issuer()
    _poll(api.has_default_service_account, missing)


def _replace_data(control_plane: ControlPlane, fresh: Path | None) -> None:
    layout = control_plane.layout
    # The controllers too: what they remember is of another past.
    with stopped(control_plane, Binary.KUBE_CONTROLLER_MANAGER, Binary.KUBE_APISERVER, Binary.ETCD):
        shutil.rmtree(layout.etcd)
        if fresh is not None:
            fresh.rename(layout.etcd)


def _end(control_plane: ControlPlane, binary: Binary) -> None:
    pid = control_plane.pids[binary]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    with suppress(ControlPlaneError):
        _poll(lambda: binary not in control_plane.pids, f"{binary} did not end", _GRACE_S)
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _poll(lambda: binary not in control_plane.pids, f"{binary} did not end")


def _poll(holds: Callable[[], bool], failure: str, limit_s: float = _LIMIT_S) -> None:
    deadline_s = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise ControlPlaneError(f"{failure} within {limit_s:.0f} s")
        time.sleep(_POLL_S)


class _UnixConnection(HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
