"""Starts the parts of the system on loopback, each a process of its own, the way production starts them."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx

from ehr_sandbox.cerner.people import all_phones
from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.control_plane.existing import ExistingCluster
from ehr_sandbox.demo.answers import open_queue
from ehr_sandbox.demo.kubectl import Kubectl
from ehr_sandbox.demo.layout import (
    BASE,
    CRDS,
    NAMESPACE,
    ORGANIZATION,
    PATIENT_PHONE,
    PRODUCTION_TENANT,
    SYSTEM_CLIENT,
    TEST_TENANT,
    Layout,
)
from ehr_sandbox.demo.processes import Program, Supervised
from ehr_sandbox.demo.report import StepFailedError
from ehr_sandbox.graph.world import EXAMPLE_SECRET
from ehr_sandbox.local_ca import LocalCA

OPERATOR = "system:serviceaccount:ehr-system:ehr-operator"
AUDIENCE = "ehr-connector"
_TOKEN_SECONDS = 3600
_RENEW_AFTER_S = 0.8 * _TOKEN_SECONDS
_READY_LIMIT_S = 60.0
_POLL_S = 0.1
_OURS = "app.kubernetes.io/part-of=teams-ehr-connector"


@dataclass
class System:
    """The running system. Everything it starts is stopped, in reverse order, when `stack` is closed."""

    layout: Layout
    control_plane: ControlPlane | ExistingCluster
    stack: AsyncExitStack
    ca: LocalCA
    restart_pause_max_s: float = 30.0
    programs: dict[str, Supervised] = field(default_factory=dict[str, Supervised])
    answers_url: str | None = None
    """Where delivery reports and texts of patients wait, if there is such a queue."""

    @property
    def is_guest(self) -> bool:
        """Whether the cluster is somebody else's, so that everything must be taken away again."""
        return isinstance(self.control_plane, ExistingCluster)

    @property
    def kubectl(self) -> Kubectl:
        """Run kubectl as the administrator."""
        return Kubectl(self.control_plane.kubectl, self.control_plane.kubeconfig)

    async def start_stand_ins(self, *cerner_options: str) -> None:
        """Start the stand-ins for the EHR (with further options), Communication Services, and Entra ID with Graph."""
        layout = self.layout
        certificate, key = self.ca.server_certificate("stand-ins", "127.0.0.1", "localhost")
        tls = [f"--tls-cert={certificate}", f"--tls-key={key}"]
        layout.access_key_file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        self.answers_url = await open_queue(self.stack)
        await self._start(
            "cerner",
            [
                *_sandbox("cerner"),
                f"--port={layout.cerner_port}",
                *tls,
                f"--tenant={TEST_TENANT}",
                f"--tenant={PRODUCTION_TENANT}",
                f"--client={SYSTEM_CLIENT}={layout.connector_url}/.well-known/jwks.json",
                f"--client-ca={self.ca.ca_file}",
                *cerner_options,
            ],
            {},
        )
        await self._start(
            "acs",
            [
                *_sandbox("acs"),
                f"--port={layout.acs_port}",
                *tls,
                f"--access-key-file={layout.access_key_file}",
                f"--state-file={layout.work / 'acs-state.json'}",
                # The sample states that the number is verified; the carriers' stand-in is of the same mind.
                "--verified",
                *([f"--queue-url={self.answers_url}"] if self.answers_url else []),
            ],
            {},
        )
        layout.graph_secret_file.touch(mode=0o600)
        layout.graph_secret_file.write_text(EXAMPLE_SECRET)
        await self._start(
            "graph",
            [
                *_sandbox("graph"),
                f"--port={layout.graph_port}",
                *tls,
                f"--redirect-uri={layout.connector_url}/sign-in/callback",
                f"--redirect-uri={layout.connector_url}/reports/sign-in/callback",
                f"--ca-file={self.ca.ca_file}",
            ],
            {},
        )
        await self._answers("cerner", f"{layout.cerner_url}/_sandbox")
        await self._answers("acs", f"{layout.acs_url}/_sandbox")
        await self._answers("graph", f"{layout.graph_url}/_sandbox")

    async def install(self) -> None:
        """Apply CRDs, admission policies and the operator's rights, and give the operator its tokens."""
        await self.kubectl("apply", "-k", str(CRDS))
        await self.kubectl("apply", "-k", str(BASE))
        await self.kubectl("wait", "crd", "-l", _OURS, "--for=condition=Established", "--timeout=60s")
        if self.is_guest:
            self.stack.push_async_callback(self._uninstall)
        await self._renew_tokens()
        self.control_plane.write_kubeconfig(self.layout.operator_kubeconfig, token_file=self.layout.api_token_file)
        renewal = asyncio.create_task(self._keep_tokens_fresh(), name="renew tokens")
        self.stack.callback(renewal.cancel)

    async def _uninstall(self) -> None:
        """Take away from somebody's cluster what was brought there."""
        for folder in (BASE, CRDS):
            await self.kubectl("delete", "-k", str(folder), "--ignore-not-found", "--timeout=60s")

    async def start_operator(self) -> None:
        """Start the operator under its own service account."""
        layout = self.layout
        await self._start(
            "operator",
            [sys.executable, "-m", "ehr_operator"],
            {
                "KUBECONFIG": str(layout.operator_kubeconfig),
                "EHR_OPERATOR_HOST": "127.0.0.1",
                "EHR_OPERATOR_PORT": str(layout.operator_port),
                # As a pod's name: a new process is started only after the old one is gone, and leads on at once.
                "EHR_OPERATOR_IDENTITY": "ehr-operator-demo",
                "EHR_OPERATOR_ALLOWED_NETWORKS": "127.0.0.0/8",
                "EHR_OPERATOR_CA_FILE": str(self.ca.ca_file),
                "EHR_OPERATOR_ACS_CREDENTIAL": f"file:{layout.access_key_file}",
                "EHR_OPERATOR_CONTROL_TOKEN_FILE": str(layout.control_token_file),
                "EHR_OPERATOR_TRUSTED_URLS": f"{layout.control_url},{layout.acs_url}",
            },
        )

    async def start_connector(self) -> None:
        """Start the connector with a database of its own and a fresh signing key."""
        layout = self.layout
        certificate, key = self.ca.server_certificate("connector", "localhost", "127.0.0.1")
        jwks_url = self.control_plane.jwks_url
        if not layout.keys.exists():
            await _run([sys.executable, "-m", "ehr_connector", "new-key", str(layout.keys)])
        recipients = layout.test_recipients / NAMESPACE / ORGANIZATION
        recipients.parent.mkdir(parents=True, exist_ok=True)
        # Whoever plays a visit may text any of the EHR's made-up patients.
        recipients.write_text("\n".join([PATIENT_PHONE, *all_phones()]))
        await self._start(
            "connector",
            [sys.executable, "-m", "ehr_connector"],
            {
                "EHR_CONNECTOR_HOST": "127.0.0.1",
                "EHR_CONNECTOR_PORT": str(layout.connector_port),
                "EHR_CONNECTOR_TLS_CERT_FILE": str(certificate),
                "EHR_CONNECTOR_TLS_KEY_FILE": str(key),
                "EHR_CONNECTOR_DATABASE_URL": f"sqlite+aiosqlite:///{layout.work / 'connector.sqlite3'}",
                "EHR_CONNECTOR_GEOGRAPHY": "Americas",
                "EHR_CONNECTOR_KEYS_DIR": str(layout.keys),
                "EHR_CONNECTOR_CONTROL_ISSUER": self.control_plane.issuer,
                **({"EHR_CONNECTOR_CONTROL_JWKS_URL": jwks_url} if jwks_url else {}),
                "EHR_CONNECTOR_CONTROL_AUDIENCE": AUDIENCE,
                "EHR_CONNECTOR_CONTROL_SUBJECT": OPERATOR,
                "EHR_CONNECTOR_CONTROL_CA_FILE": str(self.control_plane.ca_file),
                "EHR_CONNECTOR_CA_FILE": str(self.ca.ca_file),
                "EHR_CONNECTOR_GRAPH_URL": layout.graph_url,
                "EHR_CONNECTOR_GRAPH_CREDENTIAL": f"client-secret:{layout.graph_secret_file}",
                "EHR_CONNECTOR_ENTRA_AUTHORITY": layout.graph_url,
                "EHR_CONNECTOR_ENTRA_INSTANCE_DISCOVERY": "false",
                "EHR_CONNECTOR_NOTIFICATION_TOKEN_ISSUER": f"{layout.graph_url}/{{tenant}}/",
                "EHR_CONNECTOR_TEAMS_ORIGINS": layout.graph_url,
                "EHR_CONNECTOR_ACS_CREDENTIAL": f"file:{layout.access_key_file}",
                "EHR_CONNECTOR_TRUSTED_URLS": layout.acs_url,
                **({"EHR_CONNECTOR_EVENTS_QUEUE_URL": self.answers_url} if self.answers_url else {}),
                "EHR_CONNECTOR_TEST_RECIPIENTS_DIR": str(layout.test_recipients),
                "EHR_CONNECTOR_ALLOWED_NETWORKS": "127.0.0.0/8",
                # Whoever books a visit to look at it does not want to wait.
                "EHR_CONNECTOR_APPOINTMENT_INTERVAL": "5",
            },
        )

    async def operator_ready(self) -> None:
        """Wait until the operator says that it is ready."""
        await self._answers("operator", f"{self.layout.operator_url}/readyz")

    async def connector_ready(self) -> None:
        """Wait until the connector says that it is ready."""
        await self._answers("connector", f"{self.layout.connector_url}/readyz")

    def http(self) -> httpx.AsyncClient:
        """Return a client that trusts the local authority; the caller closes it."""
        return httpx.AsyncClient(verify=self.ca.client_context(), trust_env=False, follow_redirects=True, timeout=10.0)

    def logs(self) -> str:
        """Return the end of every program's log, for a failing run."""
        return "\n".join(f"--- {name}\n{program.last_lines()}" for name, program in self.programs.items())

    async def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("EHR_")}
        program = Supervised(
            Program(name, command, inherited | environment, self.layout.log(name)),
            restart_pause_max_s=self.restart_pause_max_s,
        )
        self.stack.push_async_callback(program.stop)
        self.programs[name] = program
        await program.start()

    async def _answers(self, name: str, url: str) -> None:
        """Wait until a program answers with 200.

        Raises:
            StepFailedError: It did not within a minute; the message holds its last answer and the end of its log.
        """
        last = "no answer"
        try:
            async with asyncio.timeout(_READY_LIMIT_S), self.http() as http:
                while True:
                    try:
                        answer = await http.get(url)
                        if answer.status_code == httpx.codes.OK.value:
                            return
                        last = f"status {answer.status_code}: {answer.text[:500]}"
                    except httpx.HTTPError as exc:
                        last = type(exc).__name__
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            log = self.programs[name].last_lines()
            raise StepFailedError(f"{name} is not ready at {url} ({last}). Its log ends:\n{log}") from None

    async def _renew_tokens(self) -> None:
        for path, audience in ((self.layout.control_token_file, AUDIENCE), (self.layout.api_token_file, None)):
            token = await self.control_plane.mint_token("ehr-system", "ehr-operator", audience, _TOKEN_SECONDS)
            fresh = path.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(token)
            fresh.replace(path)

    async def _keep_tokens_fresh(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_AFTER_S)
            await self._renew_tokens()


def _sandbox(command: str) -> list[str]:
    return [sys.executable, "-m", "ehr_sandbox", command]


async def _run(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    if process.returncode != 0:
        raise StepFailedError(f"{' '.join(command[1:])} failed: {out.decode(errors='replace').strip()}")
