"""The simulator as a web app.

It simulates Entra ID, Microsoft Graph and Teams meetings as far as virtual visits use them, with the traps that Microsoft's
documents show: meetings that need an application access policy, subscriptions that end after three days, notifications
that are encrypted, late, doubled or out of order. Nobody in it exists and no call is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from ehr_sandbox.faults import CONTROL_PREFIX, FaultMiddleware, Faults, fault_routes
from ehr_sandbox.graph.controls import CONTROLS, Controls
from ehr_sandbox.graph.entra.discovery import Discovery
from ehr_sandbox.graph.entra.grants import Grants
from ehr_sandbox.graph.entra.sign_in import SignInPage
from ehr_sandbox.graph.entra.tokens import TokenEndpoint
from ehr_sandbox.graph.errors import EntraError, GraphError, answer_entra_error, answer_graph_error, graph_error_body
from ehr_sandbox.graph.notify.courier import Courier
from ehr_sandbox.graph.notify.notifications import Notifications
from ehr_sandbox.graph.notify.subscriptions import Subscriptions
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.records.call_records import CallRecords
from ehr_sandbox.graph.rest.gate import Gate
from ehr_sandbox.graph.rest.meetings import Meetings
from ehr_sandbox.graph.rest.users import Users
from ehr_sandbox.graph.settings import GraphSettings
from ehr_sandbox.graph.teams.pages import TeamsPages
from ehr_sandbox.graph.teams.rooms import Rooms
from ehr_sandbox.graph.world import World, example_world
from ehr_sandbox.identity import FAULT_CONTROLS, SimulatorHeader, identity_route

SERVER = "ehr-sandbox-graph-simulator"
"""The `Server` header."""

_FAULT_CODES = {
    401: "InvalidAuthenticationToken",
    403: "Forbidden",
    404: "NotFound",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


def create_app(settings: GraphSettings | None = None, world: World | None = None) -> Starlette:
    """Return the app; without settings or world, with the usual ones."""
    platform = Platform(settings or GraphSettings(), world or example_world())
    grants = Grants()
    faults = Faults(error_body=_fault_body)
    courier = Courier(platform)
    notifications = Notifications(platform, courier)
    meetings = Meetings(platform)
    records = CallRecords(platform, courier, notifications.tell_call_record)
    rooms = Rooms(platform, notifications.tell_meeting, records.write)
    gate = Gate(platform)
    identity = identity_route("Entra ID, Microsoft Graph and Teams meetings", {**CONTROLS, **FAULT_CONTROLS})
    controls = [
        identity,
        *fault_routes(faults),
        *Controls(platform, meetings, rooms, notifications, courier, records).routes(),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with courier.running():
            courier.later(notifications.watch())
            yield

    return Starlette(
        routes=[
            # A mount serves only what is below it; its own address would be a redirect.
            Route(CONTROL_PREFIX, identity.endpoint, methods=["GET"]),
            Mount(CONTROL_PREFIX, routes=controls),
            *Users().routes(gate),
            *meetings.routes(gate),
            *Subscriptions(platform, notifications, courier, meetings).routes(gate),
            *records.routes(gate),
            *TeamsPages(platform, grants, meetings, rooms).routes(),
            *Discovery(platform).routes(),
            *TokenEndpoint(platform, grants).routes(),
            *SignInPage(platform, grants).routes(),
        ],
        middleware=[
            Middleware(SimulatorHeader, name=SERVER),
            Middleware(FaultMiddleware, faults=faults),
        ],
        exception_handlers={
            GraphError: answer_graph_error,
            EntraError: answer_entra_error,
            HTTPException: _answer_unknown_address,
        },
        lifespan=lifespan,
    )


def _fault_body(status: int) -> dict[str, Any]:
    return graph_error_body(
        _FAULT_CODES.get(status, "UnknownError"), f"Status {status}, as {CONTROL_PREFIX}/faults asked."
    )


async def _answer_unknown_address(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    code = {404: "ResourceNotFound", 405: "MethodNotAllowed"}.get(status, "BadRequest")
    return JSONResponse(graph_error_body(code, f"{request.method} is not served at this address."), status_code=status)
