"""The routes of the control API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_api.control import OrganizationConfiguration
from ehr_api.v1alpha1.ehr_connector_config import DataGeography
from ehr_connector.audit import Action, Audit, AuditEvent, tell
from ehr_connector.audit_configuration import notes_of
from ehr_connector.control.caller import Caller, IssuerUnavailableError, UnauthenticatedError, WrongCallerError
from ehr_connector.control.messages import MessagesReports
from ehr_connector.control.probes import BusyError, Probes
from ehr_connector.store.evidence import evidence_of
from ehr_connector.store.organizations import (
    BaseUrlClaimedError,
    Held,
    Organizations,
    Precondition,
    PreconditionFailedError,
    claimed_as,
)
from ehr_connector.teams.preflight import Preflight
from ehr_connector.web.problems import ProblemError

PREFIX = "/control/v1/"
_MAX_BYTES = 32 * 1024 * 1024
_SHOWN = 5
_OPERATOR = "operator"
"""The one caller that is let in."""
_STRONG_ETAG = re.compile(r'^"([^"]*)"$')

Name = Annotated[str, Path(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


@dataclass(frozen=True, slots=True)
class ControlApi:
    """The handlers of the control API."""

    caller: Caller
    organizations: Organizations
    engine: AsyncEngine
    probes: Probes
    preflight: Preflight
    messages: MessagesReports
    geography: DataGeography
    audit: Audit

    def router(self) -> APIRouter:
        """Return the routes; each of them first checks who calls."""
        router = APIRouter(
            prefix=PREFIX + "organizations/{namespace}/{name}", dependencies=[Depends(self.authenticate)]
        )
        router.add_api_route("/configuration", self.get_configuration, methods=["GET"])
        router.add_api_route("/configuration", self.put_configuration, methods=["PUT"])
        router.add_api_route("/configuration", self.delete_configuration, methods=["DELETE"])
        router.add_api_route("/evidence", self.get_evidence, methods=["GET"])
        router.add_api_route("/graph", self.get_graph, methods=["GET"])
        router.add_api_route("/messages", self.get_messages, methods=["GET"])
        router.add_api_route("/endpoints/{endpoint}/probes", self.run_probes, methods=["POST"])
        return router

    async def authenticate(self, authorization: Annotated[str | None, Header()] = None) -> None:
        """Let only the operator in."""
        try:
            await self.caller.check(authorization)
        except UnauthenticatedError as exc:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ProblemError(HTTPStatus.UNAUTHORIZED, str(exc), headers=challenge) from exc
        except WrongCallerError as exc:
            raise ProblemError(HTTPStatus.FORBIDDEN, str(exc)) from exc
        except IssuerUnavailableError as exc:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(exc), headers={"Retry-After": "5"}) from exc

    async def get_configuration(self, namespace: Name, name: Name) -> Response:
        """Give back what is held."""
        held = await self.organizations.get(namespace, name)
        if held is None:
            raise _unknown(namespace, name)
        return JSONResponse(held.configuration.to_api(), headers=_etag(held.digest))

    async def put_configuration(
        self,
        namespace: Name,
        name: Name,
        request: Request,
        if_match: Annotated[str | None, Header()] = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Hold another configuration instead."""
        precondition = _precondition(if_match, if_none_match)
        configuration = _parsed(await _body(request))
        _check(configuration, namespace, name, self.geography)
        audited: list[AuditEvent] = []
        held = await self.organizations.current(namespace, name)
        notes = notes_of(configuration, held.configuration if held else None)

        async def note(connection: AsyncConnection) -> None:
            for action, target in notes:
                audited.append(await self.audit.record_in(connection, namespace, name, action, _OPERATOR, target))

        try:
            digest = await self.organizations.put(configuration, precondition, note)
        except PreconditionFailedError as exc:
            detail = "the configuration is not the one that was read before: read it again"
            raise ProblemError(HTTPStatus.PRECONDITION_FAILED, detail) from exc
        except BaseUrlClaimedError as exc:
            raise ProblemError(
                HTTPStatus.CONFLICT,
                f"the FHIR base URL {exc.base_url} belongs to another organisation of this connector: remove it there"
                " first, or correct baseURL",
                field="endpoints.baseURL",
                base_url=exc.endpoint_url,
            ) from exc
        for event in audited:
            tell(event)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=_etag(digest))

    async def delete_configuration(self, namespace: Name, name: Name) -> Response:
        """Serve the organisation no more."""
        audited: list[AuditEvent] = []

        async def note(connection: AsyncConnection) -> None:
            event = await self.audit.record_in(
                connection, namespace, name, Action.DECONFIGURED, _OPERATOR, "configuration"
            )
            audited.append(event)

        await self.organizations.delete(namespace, name, note)
        for event in audited:
            tell(event)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def get_evidence(self, namespace: Name, name: Name) -> Response:
        """Tell what was seen of the organisation's visits."""
        await self._current(namespace, name)
        return JSONResponse((await evidence_of(self.engine, namespace, name)).to_api())

    async def get_graph(self, namespace: Name, name: Name) -> Response:
        """Tell what stands in the way of online meetings."""
        held = await self._current(namespace, name)
        return JSONResponse((await self.preflight.report(held.configuration)).to_api())

    async def get_messages(self, namespace: Name, name: Name) -> Response:
        """Tell which messages wait, and whose texts do not arrive."""
        await self._current(namespace, name)
        return JSONResponse((await self.messages.report(namespace, name)).to_api())

    async def run_probes(
        self, namespace: Name, name: Name, endpoint: Name, if_match: Annotated[str | None, Header()] = None
    ) -> Response:
        """Probe one endpoint with our key, now."""
        found = (await self._current(namespace, name)).endpoint(endpoint)
        if found is None:
            detail = f"no endpoint '{endpoint}' of {namespace}/{name} is configured here"
            raise ProblemError(HTTPStatus.NOT_FOUND, detail)
        if if_match is not None and if_match.strip() != "*" and _tag(if_match) != found.probe_digest:
            detail = f"the endpoint '{endpoint}' is configured in another way here"
            raise ProblemError(HTTPStatus.PRECONDITION_FAILED, detail)
        try:
            return JSONResponse((await self.probes.run(found)).to_api())
        except BusyError:
            detail = "so many endpoints are being probed that this one had no turn; ask again"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail) from None

    async def _current(self, namespace: str, name: str) -> Held:
        held = await self.organizations.current(namespace, name)
        if held is None:
            raise _unknown(namespace, name)
        return held


def _unknown(namespace: str, name: str) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"no organisation {namespace}/{name} is configured here")


def _etag(digest: str) -> dict[str, str]:
    return {"ETag": f'"{digest}"'}


def _precondition(if_match: str | None, if_none_match: str | None) -> Precondition:
    """Read the precondition; without one, two writers could overwrite each other unseen (RFC 6585, 428)."""
    if if_match is not None:
        return Precondition("*" if if_match.strip() == "*" else _tag(if_match))
    if if_none_match is not None and if_none_match.strip() == "*":
        return Precondition(None)
    detail = "send If-Match with the ETag that was read, or If-None-Match: * for a new organisation"
    raise ProblemError(HTTPStatus.PRECONDITION_REQUIRED, detail)


def _tag(header: str) -> str:
    found = _STRONG_ETAG.match(header.strip())
    if found is None:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "If-Match must be one entity tag in double quotes, or *")
    return found[1]


async def _body(request: Request) -> bytes:
    """Read the body, which may be large but not endless."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            detail = f"a configuration of more than {_MAX_BYTES} bytes is not accepted"
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return bytes(body)


def _parsed(body: bytes) -> OrganizationConfiguration:
    try:
        return OrganizationConfiguration.model_validate_json(body)
    except ValidationError as exc:
        errors = exc.errors(include_input=False, include_url=False)
        places = [f"{'.'.join(map(str, error['loc'])) or 'the document'}: {error['msg']}" for error in errors]
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"not a configuration that this version understands: {'; '.join(places[:_SHOWN])}",
            field=".".join(map(str, errors[0]["loc"])) or None,
        ) from exc


def _check(configuration: OrganizationConfiguration, namespace: str, name: str, geography: DataGeography) -> None:
    if (configuration.namespace, configuration.name) != (namespace, name):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "namespace and name must be those of the address", field="name"
        )
    if configuration.data_geography is not geography:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"this connector keeps data in {geography.value}, and the organisation asks for"
            f" {configuration.data_geography.value}: let connector.controlURL lead to a connector of that geography",
            field="dataGeography",
        )
    urls: set[str] = set()
    names: set[str] = set()
    for index, endpoint in enumerate(configuration.endpoints):
        try:
            url = claimed_as(endpoint.base_url)
        except ValueError:
            raise _invalid(f"endpoints.{index}.baseURL", f"{endpoint.base_url} is not a URL") from None
        if url in urls:
            raise _invalid(f"endpoints.{index}.baseURL", f"two endpoints have the base URL {url}")
        if endpoint.name in names:
            raise _invalid(f"endpoints.{index}.name", f"two endpoints have the name {endpoint.name}")
        urls.add(url)
        names.add(endpoint.name)


def _invalid(field: str, detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field)
