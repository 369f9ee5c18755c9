"""One run: a namespace, a resource at the provider, and an operator that sees the world only through the crossing."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from cluster.exactly_once.crossing import Crossing, Ledger, OneNamespace, Strike, cluster_form, provider_form
from cluster.exactly_once.nursery import Nursery, Operator
from free_ports import free_port

from ehr_api.meta import GROUP, REQUESTED_AT, VERSION
from ehr_sandbox.acs.app import create_app
from ehr_sandbox.acs.settings import AcsSettings, Behaviour, example_access_key
from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

SAMPLES = Path(__file__).resolve().parents[3] / "deploy/samples"
READY_LIMIT_S = 120.0
_POLL_S = 0.2
_PATIENCE_S = 3.0
"""Ready and not struck for so long: the operator is asked to look once more."""


@dataclass(frozen=True)
class House:
    """What all runs share."""

    control_plane: ControlPlane
    nursery: Nursery
    ca: LocalCA
    work: Path
    admin: httpx.AsyncClient

    def __post_init__(self) -> None:
        self.key_file.write_text(example_access_key())

    @property
    def key_file(self) -> Path:
        """The access key of every stand-in."""
        return self.work / "access-key"


@asynccontextmanager
async def opened(control_plane: ControlPlane, nursery: Nursery, work: Path) -> AsyncGenerator[House]:
    """A house over a control plane that has the CRDs."""
    ca = LocalCA.create(work / "ca")
    async with admin_of(control_plane) as admin:
        yield House(control_plane, nursery, ca, work, admin)


def admin_of(control_plane: ControlPlane) -> httpx.AsyncClient:
    """The administrator's client of an API server, for as many watches and requests as there may be."""
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    context.load_cert_chain(control_plane.credentials.admin_cert, control_plane.credentials.admin_key)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
    timeout = httpx.Timeout(30.0, read=None)
    return httpx.AsyncClient(
        base_url=control_plane.server_url, verify=context, limits=limits, timeout=timeout, trust_env=False
    )


def sample(name: str) -> dict[str, Any]:
    """One resource as it stands in Git."""
    document: dict[str, Any] = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text())
    return document


@dataclass
class Stage:
    """One run."""

    house: House
    namespace: str
    acs_url: str
    acs: httpx.AsyncClient
    kubeconfig: Path
    log: Path
    ledger: Ledger
    operator: Operator | None = field(default=None)
    _killed: bool = False

    def start(self) -> None:
        """Start an operator, the first one or a successor under the same name."""
        self._killed = False
        self.operator = self.house.nursery.start(
            {
                "KUBECONFIG": str(self.kubeconfig),
                "EHR_OPERATOR_HOST": "127.0.0.1",
                "EHR_OPERATOR_PORT": str(free_port()),
                "EHR_OPERATOR_NAMESPACE": self.namespace,
                "EHR_OPERATOR_IDENTITY": "a-pod",
                "EHR_OPERATOR_CA_FILE": str(self.house.ca.ca_file),
                "EHR_OPERATOR_ACS_CREDENTIAL": f"file:{self.house.key_file}",
                "EHR_OPERATOR_TRUSTED_URLS": self.acs_url,
                "EHR_OPERATOR_CONTROL_TOKEN_FILE": str(self.house.key_file),
            },
            self.log,
        )

    def kill(self) -> None:
        """End the operator as a crash does; it stays down until `start`."""
        self._killed = True
        if self.operator is not None:
            self.operator.kill()

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a request as the administrator."""
        answer = await self.house.admin.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    async def apply(self, plural: str, document: dict[str, Any]) -> None:
        """Create a resource of ours in the namespace."""
        body = {**document, "metadata": {**document["metadata"], "namespace": self.namespace}}
        await self.call("POST", self.path(plural), body)

    def path(self, plural: str, name: str = "") -> str:
        """The address of a resource of ours."""
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def make_namespace(self) -> None:
        """Create the namespace, unless it is there."""
        answer = await self.house.admin.post("/api/v1/namespaces", json={"metadata": {"name": self.namespace}})
        assert answer.status_code in {201, 409}, answer.text

    async def organization(self) -> None:
        """Apply the organisation, whose numbers are in this run's own resource."""
        config = sample("config")
        config["spec"]["communicationServices"]["endpoint"] = self.acs_url
        await self.apply("ehrconnectorconfigs", config)

    async def number(self, name: str = "lamna-sms", **spec: Any) -> None:
        """Apply an SmsNumber."""
        document = sample("number")
        await self.apply("smsnumbers", {**document, "metadata": {"name": name}, "spec": {**document["spec"], **spec}})

    async def delete(self, name: str = "lamna-sms") -> None:
        """Ask for the deletion of an SmsNumber."""
        await self.call("DELETE", self.path("smsnumbers", name))

    async def look(self, name: str = "lamna-sms") -> dict[str, Any] | None:
        """The SmsNumber as it stands."""
        answer = await self.house.admin.get(self.path("smsnumbers", name))
        return answer.json() if answer.is_success else None

    async def nudge(self, name: str = "lamna-sms") -> None:
        """Ask the operator to look again."""
        patch = {"metadata": {"annotations": {REQUESTED_AT: uuid.uuid4().hex}}}
        answer = await self.house.admin.patch(
            self.path("smsnumbers", name), json=patch, headers={"Content-Type": "application/merge-patch+json"}
        )
        assert answer.status_code in {200, 404}, answer.text

    async def pin(self, name: str, phone_number: str) -> None:
        """Pin an SmsNumber to the number that it holds."""
        patch = {"spec": {"phoneNumber": phone_number}}
        await self.call(
            "PATCH", self.path("smsnumbers", name), patch, **{"Content-Type": "application/merge-patch+json"}
        )

    async def ready(self, name: str = "lamna-sms") -> None:
        """Wait until the number is Ready."""
        await self.until(lambda: self.is_ready(name))

    async def is_ready(self, name: str = "lamna-sms") -> bool:
        """Whether the number is Ready."""
        body = await self.look(name) or {}
        conditions = body.get("status", {}).get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    async def is_gone(self, name: str = "lamna-sms") -> bool:
        """Whether the SmsNumber is deleted."""
        return await self.look(name) is None

    async def until(self, holds: Callable[[], Awaitable[bool]], limit_s: float = READY_LIMIT_S) -> None:
        """Wait until something holds.

        Raises:
            TimeoutError: It did not come true; the message has the SmsNumber as it stands.
        """
        try:
            async with asyncio.timeout(limit_s):
                while not await holds():
                    self._keep_running()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise TimeoutError(f"{await self.look()}\n{self.log.read_text()[-2000:]}") from None

    async def struck(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the effect that the ledger is to strike was met; `holds` tells whether the run is over before."""
        async with asyncio.timeout(READY_LIMIT_S):
            while not self.ledger.struck.is_set():
                self._keep_running()
                if await holds():
                    # The recorded run took one look more than this one: have it taken.
                    await self.nudge()
                try:
                    await asyncio.wait_for(self.ledger.struck.wait(), _PATIENCE_S)
                except TimeoutError:
                    continue

    def _keep_running(self) -> None:
        """Start an operator that ended by itself, as a kubelet does: on a busy machine it may lose its lease."""
        if self.operator is not None and not self._killed and not self.operator.alive:
            self.start()

    async def pass_at_provider(self, seconds: float) -> None:
        """Let time pass for the provider alone."""
        (await self.acs.post("/_sandbox/state", json={"advance_s": seconds})).raise_for_status()

    async def truth(self) -> dict[str, Any]:
        """What the provider holds and what was paid for."""
        found: dict[str, Any] = (await self.acs.get("/_sandbox/ledger")).json()
        state: dict[str, Any] = (await self.acs.get("/_sandbox/state")).json()
        return {**found, "owned": state["owned"], "open": state["reservations"]}

    async def clear(self) -> None:
        """Leave nothing in the namespace that would hold its deletion."""
        self.kill()
        for item in (await self.call("GET", self.path("smsnumbers")))["items"]:
            await self.house.admin.patch(
                self.path("smsnumbers", item["metadata"]["name"]),
                json={"metadata": {"finalizers": None}},
                headers={"Content-Type": "application/merge-patch+json"},
            )
        await self.house.admin.delete(self.path("smsnumbers"))
        for item in (await self.call("GET", self.path("ehrconnectorconfigs")))["items"]:
            await self.house.admin.patch(
                self.path("ehrconnectorconfigs", item["metadata"]["name"]),
                json={"metadata": {"finalizers": None}},
                headers={"Content-Type": "application/merge-patch+json"},
            )
        await self.house.admin.delete(f"/api/v1/namespaces/{self.namespace}")


@asynccontextmanager
async def staged(
    house: House, *, strike: Strike | None = None, owned: tuple[str, ...] = (), behaviour: dict[str, Any] | None = None
) -> AsyncGenerator[Stage]:
    """A run of its own: it sees its namespace and its resource at the provider, and nothing else."""
    namespace = f"once-{uuid.uuid4().hex[:10]}"
    certificate, key = house.ca.server_certificate("provider", "127.0.0.1")
    usual = {"operation_seconds": 1.0, "purchase_quota": 10}
    settings = AcsSettings(behaviour=Behaviour.model_validate({**usual, **(behaviour or {})}))
    provider = create_app(settings)
    async with AsyncExitStack() as stack:
        kubeconfig, log = house.work / f"{namespace}.kubeconfig", house.work / f"{namespace}.log"
        log.touch()
        ledger = Ledger(strike)
        acs_url = await stack.enter_async_context(
            serve(Crossing(provider, provider_form, ledger), ssl_certfile=certificate, ssl_keyfile=key)
        )
        api = OneNamespace(house.admin, namespace)
        api_url = await stack.enter_async_context(serve(Crossing(api, cluster_form, ledger)))
        kubeconfig.write_text(_kubeconfig(api_url))
        acs = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app=provider), base_url=acs_url)
        )
        stage = Stage(house, namespace, acs_url, acs, kubeconfig, log, ledger)
        ledger.kill = stage.kill
        await stage.make_namespace()
        stack.push_async_callback(stage.clear)
        if owned:
            (await acs.post("/_sandbox/state", json={"own": list(owned)})).raise_for_status()
        yield stage
        stage.kill()
        if stage.operator is not None:
            await stage.operator.gone()


def _kubeconfig(server: str) -> str:
    context = {"cluster": "through-the-crossing", "user": "operator"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context["cluster"], "cluster": {"server": server}}],
            "users": [{"name": context["user"], "user": {}}],
            "contexts": [{"name": "crossing", "context": context}],
            "current-context": "crossing",
        }
    )
