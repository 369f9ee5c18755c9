"""Launches: what a clinician has open when an app is started, under an opaque name.

`POST /_sandbox/launches` makes one: `{tenant?, practitioner, patient, encounter?, needPatientBanner = false, fhirContext?:
[{reference}], deny = false, idToken?: {claim: value}, answer?: {field: value}}` -> 201 `{tenant, iss, launch}`. It is good for
ten minutes, however often it is used, as when a person reloads the page. For tests of refusals, `deny` makes the authorization
endpoint answer `access_denied`; `idToken` and `answer` change claims of the id_token and fields of the token answer, and
take away those that are null.

`DELETE /_sandbox/sessions` logs every clinician out: refresh tokens of online_access are good no more -> 204.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.control_bodies import ControlBody, ControlError, answering, tenant_of
from ehr_sandbox.cerner.population import Population
from ehr_sandbox.cerner.settings import CernerSettings

CONTROLS = {
    "POST /_sandbox/launches": "Make a launch for an app.",
    "DELETE /_sandbox/sessions": "Log every clinician out.",
}


class NewLaunch(ControlBody):
    """The launch to make."""

    tenant: str | None = None
    practitioner: str
    patient: str
    encounter: str | None = None
    need_patient_banner: bool = False
    fhir_context: list[dict[str, Any]] | None = None
    deny: bool = False
    id_token: dict[str, Any] = Field(default_factory=dict[str, Any])
    answer: dict[str, Any] = Field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Launch:
    """What is open in the EHR."""

    tenant: str
    opened: NewLaunch
    expires: datetime


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code that was given out."""

    client: str
    redirect_uri: str
    challenge: str
    scopes: frozenset[str]
    nonce: str | None
    launch: Launch
    expires: datetime


@dataclass(slots=True)
class Session:
    """What a refresh token stands for."""

    client: str
    scopes: frozenset[str]
    launch: Launch
    refreshed: datetime
    """When the last access token was given out."""


@dataclass
class Launches:
    """The launches, codes and sessions that are good now."""

    settings: CernerSettings
    population: Population
    _launches: dict[str, Launch] = field(default_factory=dict[str, Launch])
    _codes: dict[str, Code] = field(default_factory=dict[str, Code])
    _sessions: dict[str, Session] = field(default_factory=dict[str, Session])

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""
        return self.settings.now

    def open(self, tenant: str, opened: NewLaunch) -> str:
        """Make a launch.

        Raises:
            ControlError: It names somebody or something that is not there.
        """
        given = {"Practitioner": opened.practitioner, "Patient": opened.patient, "Encounter": opened.encounter}
        for kind, id_ in given.items():
            if id_ is not None and self.population.resource(tenant, kind, id_) is None:
                raise ControlError(f"{kind.lower()}: there is no {kind}/{id_} at the tenant {tenant}")
        name = secrets.token_urlsafe(24)
        now = self.now()
        self._launches = {key: launch for key, launch in self._launches.items() if launch.expires > now}
        self._launches[name] = Launch(tenant, opened, now + timedelta(seconds=self.settings.launch_life_s))
        return name

    def get(self, tenant: str, name: str) -> Launch | None:
        """Return a launch of a tenant that is still good."""
        launch = self._launches.get(name)
        good = launch is not None and launch.tenant == tenant and launch.expires > self.now()
        return launch if good else None

    def give_code(self, client: str, request: dict[str, str], scopes: frozenset[str], launch: Launch) -> str:
        """Return a code that can be exchanged once, for a minute; `request` is what was asked of the authorization endpoint."""
        name = secrets.token_urlsafe(32)
        self._codes[name] = Code(
            client=client,
            redirect_uri=request["redirect_uri"],
            challenge=request["code_challenge"],
            scopes=scopes,
            nonce=request.get("nonce"),
            launch=launch,
            expires=self.now() + timedelta(seconds=self.settings.code_life_s),
        )
        return name

    def take_code(self, name: str) -> Code | None:
        """Return a code that is still good, which it is no more from now on."""
        code = self._codes.pop(name, None)
        return code if code is not None and code.expires > self.now() else None

    def keep_session(self, code: Code) -> str:
        """Return a refresh token."""
        name = secrets.token_urlsafe(32)
        self._sessions[name] = Session(code.client, code.scopes, code.launch, self.now())
        return name

    def session(self, name: str) -> Session | None:
        """Return what a refresh token stands for."""
        return self._sessions.get(name)

    def routes(self) -> list[Route]:
        """Return the routes of the controls, to be mounted at `/_sandbox`."""
        return [
            Route("/launches", answering(self._make), methods=["POST"]),
            Route("/sessions", self._log_out, methods=["DELETE"]),
        ]

    async def _make(self, request: Request) -> Response:
        opened = NewLaunch.model_validate_json(await request.body())
        tenant = tenant_of(self.settings, opened.tenant)
        iss = f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}/r4/{tenant}"
        return JSONResponse({"tenant": tenant, "iss": iss, "launch": self.open(tenant, opened)}, status_code=201)

    async def _log_out(self, _request: Request) -> Response:
        self._sessions = {
            name: session for name, session in self._sessions.items() if "offline_access" in session.scopes
        }
        return Response(status_code=204)
