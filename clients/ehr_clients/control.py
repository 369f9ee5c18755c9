"""The operator's client of the connector's control API (contract: `ehr_api.control`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import httpx
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from ehr_api.control import (
    Evidence,
    GraphReport,
    MessagesReport,
    OrganizationConfiguration,
    ProbeReport,
    Problem,
    configuration_path,
    evidence_path,
    graph_path,
    messages_path,
    probes_path,
)
from ehr_clients import limits
from ehr_clients.errors import ContractError, RefusedError
from ehr_clients.http import Answer, check, exchange, parse

SYSTEM = "connector"
_MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
_Report = TypeVar("_Report", bound=BaseModel)
_document = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class HeldConfiguration:
    """What the connector holds: the document as it stands there, and the digest that it states (its ETag)."""

    document: dict[str, JsonValue]
    digest: str


class ControlRefusedError(RefusedError):
    """The connector refused, with its own words for people."""

    def __init__(self, refused: RefusedError, problem: Problem | None) -> None:
        super().__init__(refused.system, refused.operation, refused.detail, status=refused.status)
        self.explanation = problem.detail if problem else refused.detail
        self.base_url = problem.base_url if problem else None


class TokenAuth(httpx.Auth):
    """Adds the projected service-account token, which the kubelet renews in its file: read anew for each request."""

    def __init__(self, read_token: Callable[[], str]) -> None:
        self._read_token = read_token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token."""
        request.headers["Authorization"] = f"Bearer {self._read_token()}"
        yield request


class Control:
    """The control API of one connector."""

    def __init__(self, http: httpx.AsyncClient, control_url: str) -> None:
        self._http = http
        self._url = control_url

    async def configuration(self, namespace: str, name: str) -> HeldConfiguration | None:
        """Return the configuration that the connector holds, or None."""
        try:
            answer = await self._call("get configuration", "GET", configuration_path(namespace, name))
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        try:
            document = _document.validate_json(answer.body)
        except ValidationError:
            raise ContractError(SYSTEM, "get configuration", "the answer is not a JSON object") from None
        return HeldConfiguration(document, answer.headers.get("etag", "").strip('"'))

    async def configure(self, configuration: OrganizationConfiguration, *, replaces: str | None) -> str:
        """Make the connector hold this configuration, and return the digest that it states.

        `replaces` is the digest of what was read back before (None: nothing): a change in between is refused with 412.

        Raises:
            ControlRefusedError: 409 another organisation holds a base URL; 422 another geography, or a document that
                this version of the connector does not understand.
        """
        path = configuration_path(configuration.namespace, configuration.name)
        body = json.dumps(configuration.to_api()).encode()
        precondition = {"If-None-Match": "*"} if replaces is None else {"If-Match": f'"{replaces}"'}
        answer = await self._call("put configuration", "PUT", path, body=body, headers=precondition)
        return answer.headers.get("etag", "").strip('"')

    async def forget(self, namespace: str, name: str) -> None:
        """Remove the organisation's configuration; it is no error when there is none."""
        await self._call("delete configuration", "DELETE", configuration_path(namespace, name))

    async def evidence(self, namespace: str, name: str) -> Evidence:
        """Return what the connector has seen of the organisation's visits."""
        return parse(await self._call("get evidence", "GET", evidence_path(namespace, name)), Evidence)

    async def graph(self, namespace: str, name: str) -> GraphReport | None:
        """Return whether online meetings can be held; None when the connector is older than the report."""
        path = graph_path(namespace, name)
        return await self._report("get Graph report", path, GraphReport, timeout_s=limits.PROBES_TIMEOUT_S)

    async def messages(self, namespace: str, name: str) -> MessagesReport | None:
        """Return which messages wait, and whose texts do not arrive; None when the connector is older than the report."""
        return await self._report("get messages report", messages_path(namespace, name), MessagesReport)

    async def run_probes(self, namespace: str, name: str, endpoint: str, *, expects: str) -> ProbeReport | None:
        """Let the connector probe one endpoint with its key.

        None when it does not know the endpoint (yet), or not as it is expected: `expects` is its `probe_digest`.
        """
        path = probes_path(namespace, name, endpoint)
        precondition = {"If-Match": f'"{expects}"'}
        try:
            answer = await self._call(
                "run probes", "POST", path, headers=precondition, timeout_s=limits.PROBES_TIMEOUT_S
            )
        except RefusedError as exc:
            if exc.status in {HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}:
                return None
            raise
        return parse(answer, ProbeReport)

    async def _report(
        self, operation: str, path: str, model: type[_Report], *, timeout_s: float = limits.ANSWER_TIMEOUT_S
    ) -> _Report | None:
        """Return a report that came with some version of the connector; None where there is none."""
        try:
            answer = await self._call(operation, "GET", path, timeout_s=timeout_s)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return parse(answer, model)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = limits.ANSWER_TIMEOUT_S,
    ) -> Answer:
        request = self._http.build_request(
            method,
            self._url + path,
            content=body,
            headers={**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})},
            timeout=timeout_s,
        )
        answer = await exchange(
            self._http, request, system=SYSTEM, operation=operation, timeout_s=timeout_s, max_bytes=_MAX_DOCUMENT_BYTES
        )
        try:
            return check(answer)
        except RefusedError as exc:
            raise ControlRefusedError(exc, _problem(answer)) from None


def _problem(answer: Answer) -> Problem | None:
    try:
        return parse(answer, Problem)
    except ContractError:
        return None
