"""A running simulator of Entra ID, Graph and Teams over TLS, and clients for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from ehr_sandbox.graph.app import create_app
from ehr_sandbox.graph.settings import Behaviour, GraphSettings
from ehr_sandbox.graph.world import (
    EXAMPLE_CLIENT,
    EXAMPLE_CLINICIAN,
    EXAMPLE_ORGANIZER,
    EXAMPLE_SECRET,
    EXAMPLE_TENANT,
    World,
    example_world,
)
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

TENANT, CLIENT, SECRET = EXAMPLE_TENANT, EXAMPLE_CLIENT, EXAMPLE_SECRET
ORGANIZER, CLINICIAN = EXAMPLE_ORGANIZER, EXAMPLE_CLINICIAN
REDIRECT_URI = "https://connector.example/launch/microsoft"
GRAPH_SCOPE = "https://graph.microsoft.com/.default"

Change = Callable[[World], None]


@dataclass
class Clock:
    """A time that moves on only when a test says so; it begins now, for msal looks at its own clock."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def now(self) -> datetime:
        return self.time

    def advance(self, **parts: float) -> None:
        """Move on, by the arguments of a timedelta."""
        self.time += timedelta(**parts)


@dataclass
class GraphStandIn:
    """A running simulator, and an HTTP client for it."""

    url: str
    http: httpx.AsyncClient
    ca: LocalCA
    clock: Clock
    _bearer: tuple[datetime, dict[str, str]] = (datetime.min.replace(tzinfo=UTC), {})

    @property
    def authority(self) -> str:
        return f"{self.url}/{TENANT}"

    async def ask_token(self, **changes: str | None) -> httpx.Response:
        """Ask for an application's token, as asked but for the changes; None leaves a field out."""
        fields: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": SECRET,
            "scope": GRAPH_SCOPE,
        }
        form = {name: value for name, value in {**fields, **changes}.items() if value is not None}
        return await self.http.post(f"/{TENANT}/oauth2/v2.0/token", data=form)

    async def bearer(self, **changes: str | None) -> dict[str, str]:
        """Return the headers of an application with a new token."""
        answer = await self.ask_token(**changes)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Call Graph as the application; the path begins with the version."""
        expires, headers = self._bearer
        if expires <= self.clock.time:
            headers = await self.bearer()
            self._bearer = (self.clock.time + timedelta(minutes=50), headers)
        headers = {**headers, **options.pop("headers", {})}
        return await self.http.request(method, path, json=body, headers=headers, **options)

    async def settings(self, **changes: Any) -> None:
        """Change how it behaves."""
        answer = await self.http.patch("/_sandbox/settings", json=changes)
        assert answer.status_code == 200, answer.text

    async def meeting(self, external_id: str = "digest-1", **fields: Any) -> dict[str, Any]:
        """Create or get a meeting of the organizer."""
        path = f"/v1.0/users/{ORGANIZER}/onlineMeetings/createOrGet"
        answer = await self.call("POST", path, {"externalId": external_id, **fields})
        assert answer.is_success, answer.text
        return answer.json()


class Starter:
    """Starts simulators."""

    def __init__(self, clock: Clock, ca: LocalCA, resources: AsyncExitStack) -> None:
        self._clock = clock
        self._ca = ca
        self._resources = resources

    async def __call__(
        self, change: Change | None = None, behaviour: Behaviour | None = None, **settings: Any
    ) -> GraphStandIn:
        """Start one with the example's world, once `change` has been made to it."""
        world = example_world(redirect_uris=[REDIRECT_URI])
        if change is not None:
            change(world)
        usual = GraphSettings(now=self._clock.now, ca_file=self._ca.ca_file, behaviour=behaviour or Behaviour())
        certificate, key = self._ca.server_certificate("graph", "localhost", "127.0.0.1")
        app = create_app(dataclasses.replace(usual, **settings), world)
        url = await self._resources.enter_async_context(serve(app, ssl_certfile=certificate, ssl_keyfile=key))
        http = await self._resources.enter_async_context(
            httpx.AsyncClient(base_url=url, trust_env=False, verify=self._ca.client_context())
        )
        return GraphStandIn(url, http, self._ca, self._clock)
