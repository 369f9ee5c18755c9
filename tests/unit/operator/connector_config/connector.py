"""The configuration part of a connector's control API, in memory, with the preconditions of HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from unit.operator.conftest import CONTROL_URL, ApiServer, config_body

from ehr_api.control import Evidence, GraphReport, MessagesReport, OrganizationConfiguration
from ehr_clients.http import client
from ehr_operator.connector_config.reconcile import EHRConnectorConfigKind
from ehr_operator.integration_record_sightings import Sightings
from ehr_operator.remotes import HttpRemotes
from ehr_operator.runtime.model import Finalized, Key, Outcome
from ehr_operator.sms_number_refusals import Refusals

OTHER_URL = "https://connector-2.lamna.example"


@dataclass
class HeldByConnector:
    """What the connector holds for one organisation, and how it answers."""

    document: dict[str, Any] | None = None
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """Status and explanation by method."""
    claimed: set[str] = field(default_factory=set[str])
    """Base URLs at which it serves another organisation."""
    lose_answer_to: str | None = None
    """This method is carried out, and its answer lost."""
    down: bool = False
    misread: bool = False
    change_after_reading: dict[str, Any] = field(default_factory=dict[str, Any])
    """What somebody else writes into the document right after it was read."""
    requests: list[str] = field(default_factory=list[str])
    """The methods of the requests about the configuration, in order."""
    evidence: Evidence = field(default_factory=Evidence)
    asked_for_evidence: int = 0
    graph: GraphReport | None = None
    """None: a connector that has no such report."""
    asked_for_graph: int = 0
    messages: MessagesReport | None = None
    """None: a connector that has no such report."""
    asked_for_messages: int = 0

    @property
    def digest(self) -> str:
        return OrganizationConfiguration.model_validate(self.document).digest()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.url.path.endswith("/evidence") and not self.down:
            self.asked_for_evidence += 1
            return _answer(200, self.evidence.to_api())
        if request.url.path.endswith("/graph") and not self.down:
            self.asked_for_graph += 1
            return _report(self.graph)
        if request.url.path.endswith("/messages") and not self.down:
            self.asked_for_messages += 1
            return _report(self.messages)
        self.requests.append(request.method)
        if self.down:
            raise httpx.ConnectError("down", request=request)
        if request.method in self.refuse:
            status, detail = self.refuse[request.method]
            return _answer(status, {"title": "Refused", "status": status, "detail": detail})
        response = self._carry_out(request)
        if self.lose_answer_to == request.method:
            raise httpx.ReadError("lost", request=request)
        return response

    def _carry_out(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            self.document = None
            return _answer(204, None)
        if request.method == "GET":
            if self.document is None:
                return _answer(404, {"title": "Not Found", "status": 404, "detail": "no such organisation"})
            answer = _answer(200, self.document, self.digest)
            self.document = {**self.document, **self.change_after_reading}
            return answer
        expected = f'"{self.digest}"' if self.document is not None else None
        if request.headers.get("If-Match") != expected or (expected is None) != ("If-None-Match" in request.headers):
            return _answer(412, {"title": "Precondition", "status": 412, "detail": "changed meanwhile"})
        document = json.loads(request.content)
        for endpoint in document["endpoints"]:
            if endpoint["baseURL"] in self.claimed:
                problem = {"title": "Conflict", "status": 409, "detail": "taken", "baseURL": endpoint["baseURL"]}
                return _answer(409, problem)
        self.document = document
        return _answer(200, {}, "sha256:" + "0" * 64 if self.misread else self.digest)


def _report(report: GraphReport | MessagesReport | None) -> httpx.Response:
    return _answer(404, None) if report is None else _answer(200, report.to_api())


def _answer(status: int, body: Any, digest: str | None = None) -> httpx.Response:
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"ETag": f'"{digest}"'} if digest else {})
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


@dataclass
class System:
    """The kind with a connector and a cluster around it."""

    api: ApiServer = field(default_factory=ApiServer)
    connector: HeldByConnector = field(default_factory=HeldByConnector)
    elsewhere: HeldByConnector = field(default_factory=HeldByConnector)
    """Another connector, at OTHER_URL."""
    trusted: bool = True
    monotonic: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.sightings = Sightings()
        self.http = client(transport=httpx.MockTransport(self._answer))
        self.restart()

    def restart(self) -> None:
        """Start the operator anew."""
        remotes = HttpRemotes(
            trusted_urls=(CONTROL_URL, OTHER_URL) if self.trusted else (),
            control_http=self.http,
            communication_http=self.http,
        )
        self.kind = EHRConnectorConfigKind(
            self.api, self.api.cache, remotes, lambda pause: pause, self.sightings, Refusals(), self.monotonic
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        return (self.elsewhere if str(request.url).startswith(OTHER_URL) else self.connector).answer(request)

    def move(self, key: Key) -> None:
        """Have the organisation served by the other connector."""
        self.api.change(key, {"spec": {"connector": {"controlURL": OTHER_URL}}})

    def add(self, **parts: Any) -> Key:
        """Apply the organisation."""
        return self.api.put(config_body(**parts))

    async def reconcile(self, key: Key) -> Outcome[Any]:
        """Make one pass and write its outcome."""
        outcome = await self.kind.reconcile(self.api.object(self.kind, key))
        self.api.settle(key, outcome)
        return outcome

    async def finalize(self, key: Key) -> Outcome[Any] | Finalized:
        """Make one pass of the deletion."""
        return await self.kind.finalize(self.api.object(self.kind, key))
