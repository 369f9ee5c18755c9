"""What may befall the system. Each trouble lasts as long as it is told and leaves everything as it found it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
from chaos.control_wire import ControlWire, Fault
from chaos.wire import Wire

from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.control_plane.etcdutl import find_etcdutl
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.control_plane.recovery import restore_snapshot, save_snapshot, stopped
from ehr_sandbox.demo.layout import NAMESPACE
from ehr_sandbox.demo.play import apply
from ehr_sandbox.demo.report import StepFailedError
from ehr_sandbox.demo.system import System

Trouble = Callable[[float], Awaitable[None]]
"""Takes the seconds that it is to last."""

_KINDS = ("smsnumbers", "fhirendpoints", "ehrconnectorconfigs")
_ANNOTATION = "example.org/another-writer"
_RETRY_S = 0.5


@dataclass
class Troubles:
    """The troubles of one system, and what was done so far."""

    system: System
    wire: Wire
    control_wire: ControlWire
    dice: Random
    work: Path
    diary: list[str] = field(default_factory=list[str])

    @property
    def control_plane(self) -> ControlPlane:
        """The cluster, which is ours to break."""
        assert isinstance(self.system.control_plane, ControlPlane)
        return self.system.control_plane

    @property
    def snapshot(self) -> Path:
        """The last backup of etcd."""
        return self.work / "snapshot.db"

    def of_the_cluster(self) -> dict[str, Trouble]:
        """Troubles of the API server and of etcd, which exclude each other."""
        return {
            "API server restarted": self._restart_api_server,
            "connections to the API server cut": self._cut,
            "another writer at every object": self._another_writer,
            "etcd stopped": self._stop_etcd,
            "etcd wiped and restored": self._restore,
            "snapshot taken": self._save,
        }

    def of_the_remotes(self) -> dict[str, Trouble]:
        """Troubles of the systems outside."""
        by_faults = {
            f"{who} {what}": _with(self._fault, who, what)
            for who in ("acs", "cerner", "graph")
            for what in ("down", "slow", "erring", "losing answers")
        }
        by_signals = {
            f"{who} {what}": _with(self._signal, who, what)
            for who in ("acs", "cerner", "graph")
            for what in ("killed", "hanging")
        }
        return by_faults | by_signals

    def of_the_connector(self) -> dict[str, Trouble]:
        """Troubles of the connector, and of the operator's way to it."""
        by_signals = {f"connector {what}": _with(self._signal, "connector", what) for what in ("killed", "hanging")}
        by_faults = {f"connector {fault}": _with(self._control_fault, "connector", fault) for fault in Fault}
        return by_signals | by_faults

    def of_the_operator(self) -> dict[str, Trouble]:
        """Troubles of the operator itself."""
        return {f"operator {what}": _with(self._signal, "operator", what) for what in ("killed", "hanging")}

    async def from_git(self) -> None:
        """Apply what is in Git until it is taken, as GitOps does."""
        while True:
            try:
                await apply(self.system)
            except StepFailedError as exc:
                if "no matches for kind" not in str(exc):
                    self.diary.append(f"apply failed: {str(exc)[:120]}")
                await asyncio.sleep(_RETRY_S)
            else:
                return

    # The cluster.

    async def _restart_api_server(self, _seconds: float) -> None:
        await self.control_plane.restart_api_server()

    async def _cut(self, seconds: float) -> None:
        deadline_s = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline_s:
            self.wire.cut()
            await asyncio.sleep(self.dice.uniform(0.1, 1.0))

    async def _another_writer(self, seconds: float) -> None:
        """Write to every object again and again, so that the operator's own writes meet conflicts."""
        deadline_s = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline_s:
            with suppress(StepFailedError):
                await self.system.kubectl(
                    "annotate",
                    ",".join(_KINDS),
                    "--all",
                    "-n",
                    NAMESPACE,
                    "--overwrite",
                    f"{_ANNOTATION}={uuid.uuid4()}",
                )

    async def _stop_etcd(self, seconds: float) -> None:
        def stop() -> None:
            with stopped(self.control_plane, Binary.ETCD):
                time.sleep(seconds)

        await asyncio.to_thread(stop)

    async def _save(self, _seconds: float) -> None:
        partial = self.work / "snapshot.partial"
        await asyncio.to_thread(save_snapshot, self.control_plane, partial)
        partial.rename(self.snapshot)

    async def _restore(self, seconds: float) -> None:
        if not self.snapshot.exists():
            await self._save(seconds)
        etcdutl = find_etcdutl(PlainProgress())
        await asyncio.to_thread(restore_snapshot, self.control_plane, self.snapshot, etcdutl)
        await self.from_git()

    # The others.

    async def _fault(self, seconds: float, who: str, what: str) -> None:
        rules: dict[str, dict[str, Any]] = {
            "down": {"action": "cut"},
            "slow": {"action": "delay", "delay_s": round(self.dice.uniform(0.5, 4.0), 1)},
            "erring": {"action": "status", "status": self.dice.choice([500, 502, 503, 429])},
            "losing answers": {"action": self.dice.choice(["lose_answer", "half_answer"])},
        }
        layout = self.system.layout
        url = {"acs": layout.acs_url, "cerner": layout.cerner_url, "graph": layout.graph_url}[who]
        async with self.system.http() as http:
            await _sent(http, "PUT", f"{url}/_sandbox/faults", [{**rules[what], "count": None}])
            await asyncio.sleep(seconds)
            await _sent(http, "DELETE", f"{url}/_sandbox/faults")

    async def _control_fault(self, seconds: float, _who: str, what: str) -> None:
        delay_s, status = round(self.dice.uniform(0.5, 4.0), 1), self.dice.choice([500, 502, 503, 429])
        async with self.control_wire.troubled(Fault(what), delay_s=delay_s, status=status):
            await asyncio.sleep(seconds)

    async def _signal(self, seconds: float, who: str, what: str) -> None:
        program = self.system.programs[who]
        if what == "killed":
            program.kill()
            return
        pid = program.pid
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)


def _with(trouble: Callable[[float, str, str], Awaitable[None]], who: str, what: str) -> Trouble:
    async def run(seconds: float) -> None:
        await trouble(seconds, who, what)

    return run


async def _sent(http: httpx.AsyncClient, method: str, url: str, body: Any = None) -> None:
    """Tell a stand-in, however often it takes: it may be on its way back."""
    while True:
        try:
            (await http.request(method, url, json=body)).raise_for_status()
        except httpx.HTTPError:
            await asyncio.sleep(_RETRY_S)
        else:
            return
