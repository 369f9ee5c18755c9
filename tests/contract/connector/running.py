"""A connector in this process, and documents for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from contract.connector.issuer import Issuer
from fastapi import FastAPI
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_clients.guard import Resolve, system_resolve
from ehr_connector.app import create_app
from ehr_connector.settings import Settings
from ehr_sandbox.local_ca import LocalCA

NEW = {"If-None-Match": "*"}
Document = dict[str, Any]


@asynccontextmanager
async def started(app: FastAPI) -> AsyncGenerator[httpx.ASGITransport]:
    """Run the app's start and end around the block; an exception that it raises becomes the answer that it gives."""
    async with app.router.lifespan_context(app):
        yield httpx.ASGITransport(app, raise_app_exceptions=False)


@dataclass
class Connector:
    """A running connector, as its operator sees it."""

    http: httpx.AsyncClient
    issuer: Issuer
    app: FastAPI

    async def send(
        self, method: str, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request with a good token, or with the one that is given."""
        bearer = {"Authorization": f"Bearer {token or self.issuer.token()}"}
        return await self.http.request(method, path, headers=bearer | (headers or {}), **options)

    async def put(self, document: Document, headers: dict[str, str], *, path: str | None = None) -> httpx.Response:
        """PUT a configuration under its own name."""
        return await self.send("PUT", path or path_of(document), json=document, headers=headers)

    async def put_new(self, document: Document) -> str:
        """PUT the configuration of a new organisation, and return its ETag."""
        answer = await self.put(document, NEW)
        assert answer.status_code == 204, answer.text
        return answer.headers["ETag"]

    async def get(self, path: str) -> httpx.Response:
        """GET with a good token."""
        return await self.send("GET", path)

    async def delete(self, document: Document) -> None:
        """DELETE the configuration of an organisation."""
        answer = await self.send("DELETE", path_of(document))
        assert answer.status_code == 204, answer.text

    async def probe(self, document: Document, endpoint: str | None = None) -> dict[str, Any]:
        """Run the probes of the first endpoint, or of the one that is named, and return the report."""
        name = endpoint or document["endpoints"][0]["name"]
        answer = await self.send("POST", f"{organization_path(document)}/endpoints/{name}/probes")
        assert answer.status_code == 200, answer.text
        return answer.json()


class Starter:
    """Starts connectors; what is still running ends with the test."""

    def __init__(self, issuer: Issuer, ca: LocalCA, keys_dir: Path, resources: AsyncExitStack) -> None:
        self.issuer = issuer
        self._ca = ca
        self._keys_dir = keys_dir
        self._resources = resources

    def settings(self, database_url: str, **changes: Any) -> Settings:
        """The settings of a connector that trusts the authority of the tests and reaches no private network."""
        usual: dict[str, Any] = {
            "database_url": database_url,
            "geography": "Americas",
            "keys_dir": self._keys_dir,
            "control_issuer": self.issuer.url,
            "control_ca_file": self._ca.ca_file,
            "ca_file": self._ca.ca_file,
        }
        return Settings.model_validate(usual | changes)

    async def __call__(self, database_url: str, *, resolve: Resolve = system_resolve, **changes: Any) -> Connector:
        """Start one that ends with the test."""
        return await self._resources.enter_async_context(self.running(database_url, resolve=resolve, **changes))

    @asynccontextmanager
    async def running(
        self, database_url: str, *, resolve: Resolve = system_resolve, **changes: Any
    ) -> AsyncGenerator[Connector]:
        """Start one that ends with the block."""
        app = create_app(self.settings(database_url, **changes), resolve=resolve)
        async with (
            started(app) as transport,
            httpx.AsyncClient(transport=transport, base_url="https://visits.lamna.example") as http,
        ):
            yield Connector(http, self.issuer, app)


def organization(name: str = "lamna", *, namespace: str = "lamna", **changes: Any) -> Document:
    """The document of an organisation in which every field has a value, with base URLs of its own."""
    document: Document = deepcopy(ORGANIZATION_CONFIGURATION) | {"namespace": namespace, "name": name} | changes
    if "endpoints" not in changes:
        endpoints: list[Document] = document["endpoints"]
        document["endpoints"] = [
            endpoint | {"baseURL": f"https://fhir.example/r4/{namespace}/{name}/{endpoint['name']}"}
            for endpoint in endpoints
        ]
    return document


def with_endpoints(*base_urls: str, name: str = "lamna", change: Callable[[Document], Document] = dict) -> Document:
    """The document of an organisation that has these base URLs."""
    usual = ORGANIZATION_CONFIGURATION["endpoints"][0]
    endpoints = [
        change(deepcopy(usual) | {"name": f"endpoint-{index:04}", "baseURL": url})
        for index, url in enumerate(base_urls)
    ]
    return organization(name, endpoints=endpoints)


def digest_of(document: Document) -> str:
    """The digest of a document, as the operator computes it."""
    return OrganizationConfiguration.model_validate(document).digest()


def organization_path(document: Document) -> str:
    """The address of an organisation."""
    return f"/control/v1/organizations/{document['namespace']}/{document['name']}"


def path_of(document: Document) -> str:
    """The address of an organisation's configuration."""
    return f"{organization_path(document)}/configuration"


def host_in_upper_case(url: str) -> str:
    """The same URL, written differently."""
    parts = urlsplit(url)
    return parts._replace(scheme=parts.scheme.upper(), netloc=parts.netloc.upper()).geturl()
