"""The Kubernetes API with plain bodies: the few calls that an operator needs, and an error tree by what can be done.

`kubernetes.aio` brings connection data, TLS and the HTTP session; its models are left out, since they cost memory and
would hide fields of newer CRDs.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from ehr_api.meta import API_VERSION, GROUP, VERSION
from ehr_operator.runtime.login import RELOAD_AFTER, bearer_token, load_configuration
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, ConflictError, Key, Object, SpecT, StatusT, parse_object

FIELD_MANAGER = "ehr-operator"
_TIMEOUT_S = 30.0
_PAGE = 500
_TRIES = 4
_PAUSE_S = 0.5

PatchType = Literal["apply-patch+yaml", "json-patch+json", "merge-patch+json"]


class KubeError(Exception):
    """The API server gave no usable answer; the message is its own."""


class ApiUnavailableError(KubeError):
    """It cannot be reached, or is busy: try again later."""


class ForbiddenError(KubeError):
    """The operator's role lacks a rule."""


class InvalidError(KubeError):
    """It refused the request as invalid."""


class NotFoundError(KubeError):
    """There is no such object."""


class Kube:
    """Calls to the API server. `plurals` gives the resource name of each kind of ours."""

    def __init__(self, plurals: Mapping[str, str], metrics: Metrics) -> None:
        self._plurals = plurals
        self._metrics = metrics
        self._api: client.ApiClient | None = None
        self._retired: list[client.ApiClient] = []
        self._loaded_at = datetime.min.replace(tzinfo=UTC)
        self._loading = asyncio.Lock()
        self.on_write: Callable[[str, Body], None] = _ignore
        """Is told of every object as it was written, so that we read our own writes before the watch brings them."""
        self.before_write: Callable[[], None] = _allow
        """Is called right before each request that writes, and raises ConflictError when it must not be sent any more."""

    async def close(self) -> None:
        """Close all connections."""
        for api in (*self._retired, self._api):
            if api is not None:
                await api.close()

    async def read(self, key: Key) -> Body | None:
        """Return the object as the API server holds it now, or None."""
        try:
            return await self._call("GET", self._path(key))
        except NotFoundError:
            return None

    async def list_now(self, kind: str, namespace: str) -> list[Body]:
        """Return all objects of a kind in a namespace as the API server holds them now."""
        bodies: list[Body] = []
        await self._list(f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{self._plurals[kind]}", bodies.append)
        return bodies

    async def list_all(self, kind: str, take: Callable[[Body], object]) -> int:
        """Give every object of a kind, in all namespaces, to `take`; return the resource version at which that was all.

        Page by page, as thousands of them take a lot of memory before they are made small.
        """
        return await self._list(f"/apis/{GROUP}/{VERSION}/{self._plurals[kind]}", take)

    async def _list(self, path: str, take: Callable[[Body], object]) -> int:
        query = {"limit": str(_PAGE)}
        while True:
            page = await self._call("GET", path, query=query)
            for body in page["items"]:
                take(body)
            proceed = page["metadata"].get("continue")
            if not proceed:
                return int(page["metadata"]["resourceVersion"])
            query = {"limit": str(_PAGE), "continue": proceed}

    async def apply(self, body: Body) -> Body:
        """Server-side apply an object that the operator owns; return it as written."""
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        return await self._apply(self._path(key), body)

    async def delete(self, key: Key, uid: str) -> None:
        """Delete an object that the operator owns, provided that it still is this one; it may be gone already.

        Raises:
            ConflictError: Another object has the name by now.
        """
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        with suppress(NotFoundError):
            await self._call("DELETE", self._path(key), body=options)

    async def apply_status(self, body: Body) -> Body:
        """Server-side apply a status; with `metadata.resourceVersion` only onto that version of the object.

        Raises:
            ConflictError: The object has another version.
        """
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        return await self._apply(f"{self._path(key)}/status", body)

    async def write_intent(self, obj: Object[SpecT, StatusT], status: StatusT) -> Object[SpecT, StatusT]:
        """Write status at once, only if nobody has changed the object since it was read; return it as written.

        The status passes through the model that the runtime writes too, so that this write owns the same fields.
        """
        body = await self.apply_status(
            {
                "apiVersion": API_VERSION,
                "kind": obj.key.kind,
                "metadata": {
                    "name": obj.key.name,
                    "namespace": obj.key.namespace,
                    "resourceVersion": obj.resource_version,
                },
                "status": status.to_api(),
            }
        )
        return parse_object(obj.key.kind, body, type(obj.spec), type(status))

    async def patch_finalizers(self, body: Body, kind: str, finalizers: list[str]) -> Body:
        """Replace the finalizers, provided that they still are what `body` says.

        Raises:
            ConflictError: Somebody changed the object meanwhile.
        """
        metadata = body["metadata"]
        key = Key(kind, metadata["namespace"], metadata["name"])
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "add", "path": "/metadata/finalizers", "value": finalizers},
        ]
        try:
            return self._written(await self._call("PATCH", self._path(key), body=patch, patch="json-patch+json"))
        except (InvalidError, NotFoundError) as exc:
            # A JSON patch whose test fails is answered with 422.
            raise ConflictError(str(exc)) from exc

    async def create_event(self, namespace: str, event: Body) -> Body:
        """Create a Kubernetes Event."""
        return await self._call("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body=event, tries=1)

    async def patch_event(self, namespace: str, name: str, patch: Body) -> Body:
        """Change a Kubernetes Event."""
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/{name}"
        return await self._call("PATCH", path, body=patch, patch="merge-patch+json", tries=1)

    # Leases: asked once and soon answered or not at all; the elector decides about a repetition, and may always write.

    async def read_lease(self, namespace: str, name: str, *, timeout_s: float) -> Body | None:
        """Return a Lease, or None."""
        try:
            return await self._call("GET", f"{_leases(namespace)}/{name}", tries=1, timeout_s=timeout_s)
        except NotFoundError:
            return None

    async def create_lease(self, body: Body, *, timeout_s: float) -> Body:
        """Create a Lease.

        Raises:
            ConflictError: It exists.
        """
        path = _leases(body["metadata"]["namespace"])
        return await self._call("POST", path, body=body, tries=1, timeout_s=timeout_s, guarded=False)

    async def replace_lease(self, body: Body, *, timeout_s: float) -> Body:
        """Replace a Lease, provided that it still has the resource version that `body` says.

        Raises:
            ConflictError: It has another one, or is gone.
        """
        path = f"{_leases(body['metadata']['namespace'])}/{body['metadata']['name']}"
        try:
            return await self._call("PUT", path, body=body, tries=1, timeout_s=timeout_s, guarded=False)
        except NotFoundError as exc:
            raise ConflictError(str(exc)) from exc

    async def _apply(self, path: str, body: Body) -> Body:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        try:
            return self._written(await self._call("PATCH", path, body=body, query=query, patch="apply-patch+yaml"))
        except NotFoundError as exc:
            raise ConflictError(f"{body['kind']} {body['metadata']['name']} is gone") from exc

    def _written(self, body: Body) -> Body:
        self.on_write(body["kind"], body)
        return body

    def _path(self, key: Key) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{self._plurals[key.kind]}/{key.name}"

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        patch: PatchType | None = None,
        tries: int = _TRIES,
        timeout_s: float = _TIMEOUT_S,
        guarded: bool = True,
    ) -> Any:
        """Send a request; every one here may be repeated, so a lost answer is asked for again."""
        for attempt in range(1, tries + 1):
            try:
                return await self._send(method, path, query, body, patch, timeout_s, guarded=guarded)
            except ApiUnavailableError:
                if attempt == tries:
                    raise
                await asyncio.sleep(_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 (spreads load)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        patch: PatchType | None,
        timeout_s: float,
        *,
        guarded: bool,
    ) -> Any:
        api: Any = await self._client()  # the library's own types end here
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        token = await bearer_token(api.configuration)
        if token:
            headers["Authorization"] = token
        if body is not None:
            headers["Content-Type"] = f"application/{patch or 'json'}"
        url = f"{api.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        if guarded and method != "GET":
            self.before_write()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await api.rest_client.request(
                    method, url, headers=headers, body=body, _request_timeout=timeout_s
                )
                content = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            self._metrics.api_request(method, "error")
            raise ApiUnavailableError(f"{method} {path}: {type(exc).__name__}") from exc
        self._metrics.api_request(method, str(answer.status))
        if answer.status < HTTPStatus.BAD_REQUEST:
            try:
                return json.loads(content)
            except ValueError as exc:
                raise ApiUnavailableError(f"{method} {path}: the answer is no JSON") from exc
        raise _error(answer.status, f"{method} {path}: {_message(content)}")

    async def _client(self) -> client.ApiClient:
        """Return a client whose token is fresh; the one before is closed when its requests are certainly over."""
        async with self._loading:
            now = datetime.now(UTC)
            if self._api is None or now - self._loaded_at > RELOAD_AFTER:
                for old in self._retired:
                    await old.close()
                try:
                    configuration = await load_configuration()
                except (config.ConfigException, OSError) as exc:
                    raise ApiUnavailableError(f"the connection data cannot be read: {exc}") from exc
                self._retired = [] if self._api is None else [self._api]
                self._api = client.ApiClient(configuration)
                self._loaded_at = now
            return self._api


def _ignore(_kind: str, _body: Body) -> None:
    """Nobody wants to be told."""


def _allow() -> None:
    """Nobody objects."""


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _error(status: int, message: str) -> Exception:
    match status:
        case HTTPStatus.NOT_FOUND:
            return NotFoundError(message)
        case HTTPStatus.CONFLICT:
            return ConflictError(message)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return ForbiddenError(message)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return ApiUnavailableError(message)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ApiUnavailableError(message)
        case _:
            return InvalidError(message)


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content).get("message", ""))[:1000]
    except (ValueError, AttributeError):
        return content[:200].decode(errors="replace")
