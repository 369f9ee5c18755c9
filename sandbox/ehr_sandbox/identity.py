"""A simulator says that it is one: in the `Server` header of every answer, and at `/_sandbox`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SimulatorHeader:
    """Adds `Server: {name}` to every answer."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        """`name` tells that this is a simulator, for example `ehr-sandbox-acs-simulator`."""
        self._app = app
        self._header = (b"server", name.encode("ascii"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def marking(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), self._header]}
            await send(message)

        await self._app(scope, receive, marking)


def identity_route(simulates: str, controls: dict[str, str]) -> Route:
    """Return the route of the page at `/_sandbox`: what this is, and what else is under that address."""

    async def say(_request: Request) -> Response:
        return JSONResponse({"simulator": True, "simulates": simulates, "controls": controls})

    return Route("/", say, methods=["GET"])


FAULT_CONTROLS = {
    "PUT /_sandbox/faults": "Replace the fault rules; the body is a list of them.",
    "GET /_sandbox/faults": "The rules in force, and how often each was met.",
    "DELETE /_sandbox/faults": "No more faults.",
    "GET /_sandbox/requests": "The requests so far; ?method= and ?path= (a regular expression) narrow them.",
    "DELETE /_sandbox/requests": "Forget them.",
}
"""What `ehr_sandbox.faults.fault_routes` offers."""
