"""A running simulator of the EHR, a clock that stands still, and a client that publishes its keys."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.app import create_app
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.serving import serve

TENANT = "5f3c2a10-0000-4000-8000-000000000001"
OTHER_TENANT = "5f3c2a10-0000-4000-8000-000000000002"
UNKNOWN_TENANT = "5f3c2a10-0000-4000-8000-000000000009"
CLIENT = "system-client"
SECRET_CLIENT, SECRET = "basic-client", "s3cret:with%signs"
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
RESOURCES = ("Appointment", "Encounter", "Location", "Patient", "Practitioner")
ALL_SCOPES = " ".join(f"system/{kind}.read" for kind in RESOURCES)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EVERYTHING = (("-date-or-req-period", "ge2026-01-01T00:00:00Z"), ("-date-or-req-period", "lt2027-12-31T00:00:00Z"))
CLINICS = "21304876,21304877,21304878,21304879,21304880"
APPOINTMENT = {
    "tenant": TENANT,
    "patient": "12724001",
    "practitioner": "4122600",
    "location": "21304876",
    "start": "2026-11-18T15:00:00Z",
    "durationMinutes": 30,
}
"""A video visit that starts three hours after noon."""

Items = Iterable[tuple[str, str]]


@dataclass
class Clock:
    """A time that moves only when a test says so."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def advance(self, **parts: float) -> None:
        """Move on, by the arguments of a timedelta."""
        self.time += timedelta(**parts)


@dataclass
class Publisher:
    """A client that publishes its public keys and signs assertions with the private ones."""

    key: ECKey | RSAKey = field(default_factory=lambda: ECKey.generate_key("P-384", {"kid": "first"}, private=True))
    published: list[Key] = field(default_factory=list[Key])
    answer: Response | None = None
    """What is answered instead of the keys."""
    fetches: int = 0
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.published.append(self.key)
        self.app = Starlette(routes=[Route("/jwks.json", self._keys)])

    async def _keys(self, _request: Request) -> Response:
        self.fetches += 1
        return self.answer or JSONResponse(KeySet(self.published).as_dict(private=False))

    def assertion(
        self,
        audience: str,
        now: datetime,
        *,
        key: ECKey | RSAKey | None = None,
        header: dict[str, Any] | None = None,
        without: str = "",
        **claims: Any,
    ) -> str:
        """Return an assertion that is good, but for what the arguments change."""
        key = key or self.key
        algorithm = "ES384" if isinstance(key, ECKey) else "RS384"
        content = {
            "iss": CLIENT,
            "sub": CLIENT,
            "aud": audience,
            "exp": int(now.timestamp()) + 300,
            "jti": uuid4().hex,
        } | claims
        content.pop(without, None)
        full = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | (header or {})
        return jwt.encode(full, content, key, algorithms=[full["alg"]])


class CernerStandIn:
    """A running simulator, and an HTTP client for it."""

    def __init__(self, url: str, http: httpx.AsyncClient, publisher: Publisher, clock: Clock) -> None:
        self.url = url
        self.http = http
        self.publisher = publisher
        self.clock = clock
        self._bearers: dict[str | tuple[str, str], str] = {}

    async def token_endpoint(self, tenant: str = TENANT) -> str:
        """Return the address that the SMART configuration tells."""
        answer = await self.http.get(f"/r4/{tenant}/.well-known/smart-configuration")
        return answer.json()["token_endpoint"]

    async def ask_token(
        self,
        *,
        scope: str | None = ALL_SCOPES,
        tenant: str = TENANT,
        form: dict[str, str] | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """Ask for a token with an assertion that is good, but for what the changes say."""
        endpoint = await self.token_endpoint(tenant)
        assertion = self.publisher.assertion(changes.pop("audience", endpoint), self.clock.time, **changes)
        fields = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        if scope is not None:
            fields["scope"] = scope
        return await self.http.post(endpoint, data=fields | (form or {}))

    async def bearer(self, scope: str = ALL_SCOPES, tenant: str = TENANT) -> dict[str, str]:
        """Return the headers of a caller with a new token."""
        answer = await self.ask_token(scope=scope, tenant=tenant)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def get(self, path: str, items: Items = (), *, tenant: str = TENANT, **options: Any) -> httpx.Response:
        """Read or search with a token for everything."""
        if tenant not in self._bearers:
            self._bearers |= {tenant: (await self.bearer(tenant=tenant))["Authorization"]}
        headers = {"Authorization": self._bearers[tenant]}
        return await self.http.get(
            f"/r4/{tenant}/{path}", params=httpx.QueryParams(list(items)), headers=headers, **options
        )

    async def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Use a control, which must answer with a status, and return its answer."""
        answer = await self.http.request(method, f"/_sandbox/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def book(self, **changes: Any) -> str:
        """Book a video visit, unless the changes say otherwise, and return its id."""
        return (await self.control("POST", "appointments", APPOINTMENT | changes, 201))["id"]

    async def patch(
        self, appointment: str, operations: Any, *, tenant: str = TENANT, **headers: str | None
    ) -> httpx.Response:
        """Patch an appointment in its present version, with both scopes, unless the headers say otherwise."""
        if (tenant, "write") not in self._bearers:
            granted = await self.bearer("system/Appointment.read system/Appointment.write", tenant)
            self._bearers[tenant, "write"] = granted["Authorization"]
        truth = await self.http.get(f"/_sandbox/appointments/{appointment}", params={"tenant": tenant})
        usual = {
            "authorization": self._bearers[tenant, "write"],
            "if-match": f'W/"{truth.json().get("version")}"',
            "content-type": "application/json-patch+json",
        }
        sent = usual | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.patch(
            f"/r4/{tenant}/Appointment/{appointment}",
            content=operations if isinstance(operations, bytes) else json.dumps(operations),
            headers={name: value for name, value in sent.items() if value is not None},
        )

    async def walk(self, path: str, items: Items, *, tenant: str = TENANT) -> list[dict[str, Any]]:
        """Return all pages of a search, by following the links."""
        answer = await self.get(path, items, tenant=tenant)
        headers = {"Authorization": self._bearers[tenant]}
        pages: list[dict[str, Any]] = []
        while True:
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            following = links_of(pages[-1]).get("next")
            if following is None:
                return pages
            answer = await self.http.get(following, headers=headers)

    async def everything(self, tenant: str = TENANT) -> list[dict[str, Any]]:
        """Return every resource of the population."""
        pages = await self.walk("Appointment", [("location", CLINICS), *EVERYTHING, ("_count", "100")], tenant=tenant)
        patients = ",".join(str(12724000 + number) for number in range(300))
        pages += await self.walk("Encounter", [("patient", patients), ("_count", "100")], tenant=tenant)
        pages += await self.walk("Patient", [("_id", patients)], tenant=tenant)
        pages += await self.walk("Practitioner", [("active", "true")], tenant=tenant)
        pages += await self.walk("Location", [("address-state", "IL")], tenant=tenant)
        found = {
            (entry["resource"]["resourceType"], entry["resource"]["id"]): entry["resource"]
            for page in pages
            for entry in page["entry"]
        }
        return list(found.values())


class Starter:
    """Starts simulators."""

    def __init__(self, clock: Clock, resources: AsyncExitStack) -> None:
        self._clock = clock
        self._resources = resources

    async def __call__(self, publisher: Publisher | None = None, **settings: Any) -> CernerStandIn:
        """Start one with two tenants and two clients, unless the settings say otherwise."""
        publisher = publisher or Publisher()
        keys_url = await self._resources.enter_async_context(serve(publisher.app))
        usual = CernerSettings(
            tenants=frozenset({TENANT, OTHER_TENANT}),
            client_jwks_urls={CLIENT: f"{keys_url}/jwks.json"},
            client_secrets={SECRET_CLIENT: SECRET},
            now=self._clock.now,
        )
        url = await self._resources.enter_async_context(serve(create_app(dataclasses.replace(usual, **settings))))
        http = await self._resources.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        return CernerStandIn(url, http, publisher, self._clock)


def links_of(bundle: dict[str, Any]) -> dict[str, str]:
    """Return a Bundle's links by relation."""
    return {link["relation"]: link["url"] for link in bundle["link"]}


def ids_of(bundle: dict[str, Any]) -> list[str]:
    """Return the ids in a Bundle, in order."""
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


def outcome_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the issue code of a refusal that is an OperationOutcome."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    return answer.status_code, body["issue"][0]["code"]
