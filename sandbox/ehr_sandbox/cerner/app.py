"""The simulator as a web app.

It simulates the FHIR R4 server and the SMART authorization server of Oracle Health Millennium, with the traps that its
documents and captures show: searches that need parameters together, pages that repeat an entry, a tenant's refusal that is no
OperationOutcome, phones as free text, links that are written in another order than they are read. A page like PowerChart's
launches apps. Nobody in it exists.

Controls are described where they are: appointments, patients and search in `controls`, apps in `apps`, launches and sessions in
`launches`, what the page offers in `powerchart`, faults in `ehr_sandbox.faults`; settings in `settings`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ehr_sandbox.cerner.apps import CONTROLS as APP_CONTROLS
from ehr_sandbox.cerner.apps import Apps
from ehr_sandbox.cerner.authorization import AuthorizationEndpoint
from ehr_sandbox.cerner.code_grants import CodeGrants
from ehr_sandbox.cerner.controls import CONTROLS, Controls
from ehr_sandbox.cerner.errors import FhirError, NotAcceptableError, TenantError, operation_outcome
from ehr_sandbox.cerner.fhir import (
    FhirServer,
    answer_fhir_error,
    answer_http_exception,
    answer_not_acceptable,
    answer_tenant_error,
)
from ehr_sandbox.cerner.id_tokens import IdTokens
from ehr_sandbox.cerner.launches import CONTROLS as LAUNCH_CONTROLS
from ehr_sandbox.cerner.launches import Launches
from ehr_sandbox.cerner.oauth_errors import OAuthError, answer_oauth_error, error_routes
from ehr_sandbox.cerner.population import Population
from ehr_sandbox.cerner.powerchart import CONTROLS as PAGE_CONTROLS
from ehr_sandbox.cerner.powerchart import PowerChart
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.cerner.tokens import TokenEndpoint, Tokens
from ehr_sandbox.faults import CONTROL_PREFIX, FaultMiddleware, Faults, fault_routes
from ehr_sandbox.identity import FAULT_CONTROLS, SimulatorHeader, identity_route

SERVER = "ehr-sandbox-cerner-simulator"
"""The `Server` header."""

_CONTROLS = {
    "GET /_sandbox/population": "How many resources there are at each tenant.",
    **CONTROLS,
    **APP_CONTROLS,
    **LAUNCH_CONTROLS,
    **PAGE_CONTROLS,
    **FAULT_CONTROLS,
}
_FAULT_CODES = {401: "login", 403: "forbidden", 404: "not-found", 429: "throttled", 503: "transient", 504: "timeout"}


def create_app(settings: CernerSettings | None = None) -> Starlette:
    """Return the app; without settings, with the usual ones."""
    settings = settings or CernerSettings()
    population = Population(settings.seed, settings.now().date(), settings.now)
    tokens = Tokens(settings.token_life_s, settings.now)
    apps = Apps(settings.client_jwks_urls, settings.apps)
    launches = Launches(settings, population)
    id_tokens = IdTokens(settings)
    powerchart = PowerChart(settings, population, launches)
    grants = CodeGrants(settings, launches, id_tokens)
    faults = Faults(error_body=_fault_body)

    async def say_population(_request: Request) -> Response:
        return JSONResponse(population.counts())

    controls = [
        identity_route(
            "Cerner (Oracle Health Millennium) FHIR R4",
            _CONTROLS,
        ),
        *fault_routes(faults),
        *Controls(settings, population).routes(),
        *apps.routes(),
        *launches.routes(),
        *powerchart.controls(),
        Route("/population", say_population, methods=["GET"]),
    ]
    return Starlette(
        routes=[
            Mount(CONTROL_PREFIX, routes=controls),
            *AuthorizationEndpoint(settings, apps, launches).routes(),
            *TokenEndpoint(settings, tokens, apps, grants).routes(),
            *id_tokens.routes(),
            *error_routes(),
            *powerchart.routes(),
            *FhirServer(settings, population, tokens).routes(),
        ],
        middleware=[
            Middleware(SimulatorHeader, name=SERVER),
            Middleware(FaultMiddleware, faults=faults),
            Middleware(_Latency, seconds=settings.latency_s),
        ],
        exception_handlers={
            FhirError: answer_fhir_error,
            TenantError: answer_tenant_error,
            NotAcceptableError: answer_not_acceptable,
            OAuthError: answer_oauth_error,
            HTTPException: answer_http_exception,
        },
    )


class _Latency:
    """Makes every answer but those of the controls take longer."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._seconds and scope["type"] == "http" and not scope["path"].startswith(CONTROL_PREFIX):
            await asyncio.sleep(self._seconds)
        await self._app(scope, receive, send)


def _fault_body(status: int) -> dict[str, Any]:
    return operation_outcome(
        _FAULT_CODES.get(status, "exception"), f"Status {status}, as {CONTROL_PREFIX}/faults asked", severity="fatal"
    )
