"""What every call of the REST interface passes: API version, authentication, passing time, errors, saving."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.acs.authentication import Presented, authenticate
from ehr_sandbox.acs.errors import AzureError, bad_request, not_found
from ehr_sandbox.acs.passing_time import settle
from ehr_sandbox.acs.state_file import Store
from ehr_sandbox.acs.world import World

API_VERSIONS = ("2021-03-07", "2022-12-01", "2024-03-01", "2025-02-11", "2025-04-01", "2025-06-01")
"""Source: azure-rest-api-specs, Communication/data-plane/PhoneNumbers/stable."""

_FIRST_WITH_RESERVATIONS = "2025-04-01"
_RESERVATION_PATHS = re.compile(r"/reservations(/|$)|/:browse$")
_MERGE_PATCH = "application/merge-patch+json"
_LARGEST_PAGE = 100
"""A page is this large where the call names no size, too."""

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was let in."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    origin: str
    """The address that was called, without a path."""
    content_type: str
    body: bytes

    def body_as(self, model: type[Body], *, merge_patch: bool = False) -> Body:
        """Return the body; raises AzureError when it is of another media type or shape."""
        if merge_patch and self.content_type != _MERGE_PATCH:
            raise AzureError(415, "UnsupportedMediaType", f"The Content-Type must be {_MERGE_PATCH}.")
        try:
            return model.model_validate_json(self.body or b"{}")
        except ValidationError as exc:
            faults = "; ".join(
                f"`{'.'.join(str(part) for part in error['loc'])}`: {error['msg']}" for error in exc.errors()
            )
            raise bad_request(f"The request body is not valid: {faults}") from exc

    def number(self, name: str, default: int) -> int:
        """Return a query parameter that counts something; raises AzureError when it is no number."""
        text = self.query.get(name, str(default))
        if not text.isdecimal():
            raise bad_request(f"`{name}` must be a number that is not negative.")
        return int(text)


Handler = Callable[[World, Call], Response]


class Gate:
    """Turns handlers into routes."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store

    def route(self, method: str, path: str, handler: Handler, *, versions: Sequence[str] = API_VERSIONS) -> Route:
        """Return a route whose calls pass everything that calls pass here."""

        async def endpoint(request: Request) -> Response:
            body = await request.body()
            self._admit(request, body, versions)
            # From here to the answer nothing waits, so that calls cannot mix.
            changed = settle(self._world)
            call = Call(
                path=request.path_params,
                query=request.query_params,
                headers=request.headers,
                origin=f"{request.url.scheme}://{request.url.netloc}",
                content_type=request.headers.get("content-type", "").partition(";")[0].strip().lower(),
                body=body,
            )
            try:
                return handler(self._world, call)
            finally:
                # A refused call may have changed something too: a search that was over the quota counts.
                if changed or method != "GET":
                    self._store.save(self._world.state)

        return Route(path, endpoint, methods=[method])

    def _admit(self, request: Request, body: bytes, versions: Sequence[str]) -> None:
        _check_version(request, versions)
        query = request.scope["query_string"].decode("ascii")
        path = request.scope["raw_path"].decode("ascii")
        presented = Presented(
            method=request.method,
            path_and_query=f"{path}?{query}" if query else path,
            headers=request.headers,
            body=body,
        )
        authenticate(presented, self._world.settings, self._world.settings.now())


def _check_version(request: Request, versions: Sequence[str]) -> None:
    version = request.query_params.get("api-version")
    if not version:
        raise AzureError(400, "MissingApiVersionParameter", "The query parameter `api-version` is required.")
    if version not in versions:
        raise AzureError(
            400,
            "UnsupportedApiVersionValue",
            f"`api-version` '{version}' is not supported; supported are: {', '.join(versions)}.",
        )
    if version < _FIRST_WITH_RESERVATIONS and _RESERVATION_PATHS.search(request.url.path):
        raise not_found(f"In `api-version` '{version}' this address")


async def answer_azure_error(_request: Request, exc: Exception) -> Response:
    """Return the answer to a refused call, in Azure's shape."""
    if not isinstance(exc, AzureError):
        raise TypeError from exc
    headers = {} if exc.retry_after_s is None else {"Retry-After": str(exc.retry_after_s)}
    return JSONResponse(exc.body, status_code=exc.status, headers=headers)


def page(call: Call, name: str, items: list[dict[str, Any]], path: str, *, size_name: str = "maxPageSize") -> Response:
    """Return the page of a list that the call asks for, with a relative `nextLink` while there is more.

    The link repeats the query, for a client follows it as it is.
    """
    skip = call.number("skip", 0)
    size = max(1, min(call.number(size_name, _LARGEST_PAGE), _LARGEST_PAGE))
    shown = items[skip : skip + size]
    body: dict[str, Any] = {name: shown}
    if skip + len(shown) < len(items):
        following = {**call.query, "skip": str(skip + size), size_name: str(size)}
        body["nextLink"] = f"{path}?{urlencode(following)}"
    return JSONResponse(body)
