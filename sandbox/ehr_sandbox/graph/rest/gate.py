"""What every call of Graph passes: the token, the permissions, the shape of answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ehr_sandbox.graph.addresses import address_of
from ehr_sandbox.graph.entra.tokens import GRAPH_RESOURCES
from ehr_sandbox.graph.errors import GraphError, bad_request
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.world import Tenant, User

_object = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is."""

    tenant: Tenant
    app: str
    permissions: frozenset[str]
    user: User | None
    """None when an application calls in its own name."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was let in."""

    request: Request
    caller: Caller
    address: str
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body; raises GraphError when it is no JSON object."""
        try:
            return _object.validate_json(self.body)
        except ValidationError as exc:
            raise bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
            ) from exc

    def prefers(self, preference: str) -> bool:
        """Tell whether the `Prefer` header asks for something."""
        return preference in self.request.headers.get("prefer", "")


Handler = Callable[[Call], Awaitable[Response]]


class Gate:
    """Turns handlers into routes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(
        self,
        method: str,
        path: str,
        handler: Handler,
        *,
        application: Iterable[str] = (),
        delegated: Iterable[str] = (),
        denied: tuple[str, str] = ("Forbidden", "Application does not have the permissions that this call needs."),
    ) -> list[Route]:
        """Return the routes of a call in both versions.

        Args:
            method: HTTP method.
            path: Path below the version.
            handler: Answers the calls that are let in.
            application: Any of these permissions lets an application in.
            delegated: Any of these lets an application in on behalf of a user.
            denied: Code and message for who has none of them.
        """
        for_application, for_user = frozenset(application), frozenset(delegated)

        async def endpoint(request: Request) -> Response:
            address = address_of(request, self._platform.settings)
            caller = self._caller(request, address)
            needed = for_application if caller.user is None else for_user
            if not needed & caller.permissions:
                raise GraphError(403, *denied)
            request_id = str(uuid4())
            answer = await handler(Call(request, caller, address, await request.body()))
            answer.headers["request-id"] = request_id
            answer.headers["client-request-id"] = request.headers.get("client-request-id", request_id)
            return answer

        return [Route(f"{version}{path}", endpoint, methods=[method]) for version in ("/v1.0", "/beta")]

    def _caller(self, request: Request, address: str) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthenticated("Access token is empty.")
        claims = self._platform.signer.read(token.strip())
        if claims is None:
            raise _unauthenticated("IDX10511: Signature validation failed.")
        if claims.get("aud") not in {*GRAPH_RESOURCES, address}:
            raise _unauthenticated("Access token validation failure. Invalid audience.")
        if claims.get("exp", 0) <= self._platform.now().timestamp():
            raise _unauthenticated("Lifetime validation failed, the token is expired.")
        tenant = self._platform.tenant(str(claims.get("tid")))
        if tenant is None or tenant.app(str(claims.get("appid"))) is None:
            raise _unauthenticated("The identity of the calling application could not be established.")
        if "scp" not in claims:
            return Caller(tenant, claims["appid"], frozenset(claims.get("roles", [])), None)
        user = tenant.user(str(claims["oid"]))
        if user is None or not user.account_enabled:
            raise _unauthenticated("The user account is disabled or was deleted.")
        return Caller(tenant, claims["appid"], frozenset(str(claims["scp"]).split()), user)


def graph_json(body: Any, status: int = 200) -> Response:
    """Return an answer with Graph's media type."""
    media_type = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    return Response(json.dumps(body), status_code=status, headers={"Content-Type": media_type, "OData-Version": "4.0"})


def _unauthenticated(message: str) -> GraphError:
    challenge = {
        "WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"'
    }
    return GraphError(401, "InvalidAuthenticationToken", message, headers=challenge)
