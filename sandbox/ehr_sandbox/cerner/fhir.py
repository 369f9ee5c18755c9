"""The FHIR interface: statements about itself for everyone, resources for the bearer of a token."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.addresses import Addresses
from ehr_sandbox.cerner.appointment_patch import patched
from ehr_sandbox.cerner.capability import capability_statement, conformance, smart_configuration
from ehr_sandbox.cerner.errors import (
    TENANT_REFUSAL,
    FhirError,
    NotAcceptableError,
    TenantError,
    not_found,
    operation_outcome,
)
from ehr_sandbox.cerner.paging import CONTEXT, Page, Pages
from ehr_sandbox.cerner.population import Population
from ehr_sandbox.cerner.scopes import allows
from ehr_sandbox.cerner.searches import SEARCHES, search
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.cerner.tokens import Grant, Tokens

FHIR_JSON = "application/fhir+json"
_DSTU2_JSON = "application/json+fhir"
_JSON_TYPES = frozenset({"*/*", "application/*", "application/json", FHIR_JSON, _DSTU2_JSON, "text/json"})


class FhirResponse(JSONResponse):
    """A resource."""

    media_type = FHIR_JSON

    def __init__(self, content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        usual = {"Cache-Control": "no-cache", "Vary": "Origin", "X-Request-Id": uuid4().hex}
        super().__init__(content, status_code, usual | (headers or {}))


class FhirServer:
    """Answers under `/r4/{tenant}` and, about itself alone, under `/dstu2/{tenant}`."""

    def __init__(self, settings: CernerSettings, population: Population, tokens: Tokens) -> None:
        self._settings = settings
        self._population = population
        self._tokens = tokens
        self._pages = Pages(settings.page_life_s, settings.now)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/r4/{tenant}/metadata", self._metadata, methods=["GET"]),
            Route("/r4/{tenant}/.well-known/smart-configuration", self._smart_configuration, methods=["GET"]),
            Route("/r4/{tenant}/{kind}", self._search, methods=["GET"]),
            Route("/r4/{tenant}/{kind}/{id}", self._read, methods=["GET"]),
            Route("/r4/{tenant}/Appointment/{id}", self._patch, methods=["PATCH"]),
            Route("/r4/{tenant}", self._unknown, methods=["GET"]),
            Route("/r4/{tenant}/{rest:path}", self._unknown, methods=["GET"]),
            Route("/dstu2/{tenant}/metadata", self._conformance, methods=["GET"]),
            Route("/dstu2/{tenant}/{rest:path}", self._unknown, methods=["GET"]),
        ]

    async def _metadata(self, request: Request) -> Response:
        statement = capability_statement(self._enter(request), self._settings.now().date())
        return FhirResponse(statement)

    async def _conformance(self, request: Request) -> Response:
        statement = conformance(self._enter(request), self._settings.now().date())
        return FhirResponse(statement, headers={"Content-Type": _DSTU2_JSON})

    async def _smart_configuration(self, request: Request) -> Response:
        return JSONResponse(smart_configuration(self._enter(request)))

    async def _unknown(self, request: Request) -> Response:
        self._enter(request)
        raise not_found("The address")

    async def _search(self, request: Request) -> Response:
        addresses, kind = self._admit(request, "s")
        items = request.query_params.multi_items()
        if any(name == CONTEXT for name, _ in items):
            page = self._pages.follow(addresses.tenant, kind, items)
        else:
            found, query = search(self._population, addresses.tenant, kind, items)
            page = self._pages.first(addresses.tenant, kind, query.items, found.ids, found.page_size)
        return FhirResponse(self._bundle(addresses, kind, page))

    async def _read(self, request: Request) -> Response:
        addresses, kind = self._admit(request, "r")
        id_ = request.path_params["id"]
        resource = self._population.resource(addresses.tenant, kind, id_)
        if resource is None:
            raise not_found(f"{kind}/{id_}")
        meta = resource["meta"]
        changed = datetime.fromisoformat(meta["lastUpdated"])
        return FhirResponse(resource, headers=_version_headers(meta["versionId"], changed))

    async def _patch(self, request: Request) -> Response:
        addresses, id_ = self._enter(request), request.path_params["id"]
        grant = self._tokens.grant_of(request.headers.get("authorization"), addresses.tenant)
        for interaction in "ru":
            _check_scopes(grant, "Appointment", interaction)
        booking = patched(self._population.schedule, grant, id_, request.headers, await request.body())
        return Response(headers=_version_headers(booking.version, booking.last_updated))

    def _enter(self, request: Request) -> Addresses:
        """Check what is checked before any token: the tenant, and that the caller accepts JSON."""
        addresses = Addresses.of(request)
        if not self._settings.has_tenant(addresses.tenant):
            raise TenantError
        if not _accepts_json(request.headers.get("accept")):
            raise NotAcceptableError
        return addresses

    def _admit(self, request: Request, interaction: str) -> tuple[Addresses, str]:
        """Check the token too; return the addresses and the resource type."""
        addresses, kind = self._enter(request), request.path_params["kind"]
        grant = self._tokens.grant_of(request.headers.get("authorization"), addresses.tenant)
        if kind not in SEARCHES:
            raise FhirError(404, "not-supported", f"The resource type {kind} is not served")
        _check_scopes(grant, kind, interaction)
        return addresses, kind

    def _bundle(self, addresses: Addresses, kind: str, page: Page) -> dict[str, Any]:
        """Return the page as a Bundle; like Millennium's, it has no total."""
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "id": str(uuid4()),
            "type": "searchset",
            "link": [{"relation": name, "url": f"{addresses.base}{path}"} for name, path in page.links.items()],
        }
        if page.ids:  # FHIR knows no empty lists
            bundle["entry"] = [
                {
                    "fullUrl": f"{addresses.base}/{kind}/{id_}",
                    "resource": self._population.resource(addresses.tenant, kind, id_),
                    "search": {"mode": "match"},
                }
                for id_ in page.ids
            ]
        return bundle


def _check_scopes(grant: Grant, kind: str, interaction: str) -> None:
    if not allows(grant.scopes, kind, interaction):
        challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
        raise FhirError(403, "forbidden", f"The token's scopes do not allow this with {kind}", headers=challenge)


def _version_headers(version: str, changed: datetime) -> dict[str, str]:
    return {"ETag": f'W/"{version}"', "Last-Modified": format_datetime(changed, usegmt=True)}


def _accepts_json(accept: str | None) -> bool:
    if not accept:
        return True
    parts = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return any(part in _JSON_TYPES for part in parts)


async def answer_fhir_error(_request: Request, exc: Exception) -> Response:
    """Answer with an OperationOutcome."""
    if not isinstance(exc, FhirError):
        raise exc
    return FhirResponse(exc.body, exc.status, exc.headers)


async def answer_tenant_error(_request: Request, _exc: Exception) -> Response:
    """Answer as Millennium does for a tenant that does not exist: 403 and plain text, no OperationOutcome."""
    return PlainTextResponse(TENANT_REFUSAL, status_code=403)


async def answer_not_acceptable(_request: Request, _exc: Exception) -> Response:
    """Answer a caller that accepts no JSON: with nothing."""
    return Response(status_code=406)


async def answer_http_exception(_request: Request, exc: Exception) -> Response:
    """Answer an address or a method that is not served."""
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    headers = dict(exc.headers or {}) if isinstance(exc, HTTPException) else {}
    code = {404: "not-found", 405: "not-supported"}.get(status, "exception")
    return FhirResponse(operation_outcome(code, "This is not served at this address"), status, headers)
