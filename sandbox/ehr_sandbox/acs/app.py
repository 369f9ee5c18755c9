"""The simulator as a web app.

It simulates phone numbers, SMS and e-mail of Azure Communication Services, with the traps that its documents and clients
show: merging reservations, quotas, slow operations, purchases that are listed late, toll-free numbers whose texts are
blocked until they are verified. Nothing is bought, nobody is called, and texts arrive at a page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from ehr_sandbox.acs import rest
from ehr_sandbox.acs.controls import CONTROLS, Controls
from ehr_sandbox.acs.correlation import CorrelationVector
from ehr_sandbox.acs.errors import AzureError, error_body
from ehr_sandbox.acs.gate import Gate, answer_azure_error
from ehr_sandbox.acs.messages import pages
from ehr_sandbox.acs.messages import rest as messages_rest
from ehr_sandbox.acs.messages.courier import Courier
from ehr_sandbox.acs.settings import AcsSettings
from ehr_sandbox.acs.state_file import Store
from ehr_sandbox.acs.world import World, new_world
from ehr_sandbox.faults import CONTROL_PREFIX, FaultMiddleware, Faults, fault_routes
from ehr_sandbox.identity import FAULT_CONTROLS, SimulatorHeader, identity_route

SERVER = "ehr-sandbox-acs-simulator"
"""The `Server` header."""

_FAULT_CODES = {
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


def create_app(settings: AcsSettings | None = None) -> Starlette:
    """Return the app, with the state of the settings' file or an empty one; without settings, with the usual ones.

    Raises:
        StateFileError: the state file is not one of this simulator.
    """
    settings = settings or AcsSettings()
    store = Store(settings.state_file)
    world = new_world(settings, store.load())
    faults = Faults(error_body=_fault_body)
    identity = identity_route("Azure Communication Services", {**CONTROLS, **FAULT_CONTROLS})
    gate = Gate(world, store)
    controls = [
        identity,
        *fault_routes(faults),
        *Controls(world, store).routes(),
    ]
    return Starlette(
        lifespan=_lifespan(world, store, settings.queue_url),
        routes=[
            # A mount serves only what is below it; its own address would be a redirect.
            Route(CONTROL_PREFIX, identity.endpoint, methods=["GET"]),
            Mount(CONTROL_PREFIX, routes=controls),
            *rest.routes(gate),
            *messages_rest.routes(gate),
            *pages.routes(world, store),
        ],
        middleware=[
            Middleware(SimulatorHeader, name=SERVER),
            Middleware(CorrelationVector),
            Middleware(FaultMiddleware, faults=faults),
        ],
        exception_handlers={AzureError: answer_azure_error, HTTPException: _answer_unknown_address},
    )


def _lifespan(
    world: World, store: Store, queue_url: str | None
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Return what runs beside the answers: the courier of events, where there is a queue."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        if queue_url is None:
            yield
            return
        task = asyncio.create_task(Courier(world, store, queue_url).run(), name="bring events to the queue")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return lifespan


def _fault_body(status: int) -> dict[str, Any]:
    return error_body(_FAULT_CODES.get(status, "SandboxFault"), f"Status {status}, as {CONTROL_PREFIX}/faults asked.")


async def _answer_unknown_address(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    code = {404: "NotFound", 405: "MethodNotAllowed"}.get(status, "BadRequest")
    body = error_body(code, f"{request.method} is not served at this address.")
    return JSONResponse(body, status_code=status)
