"""The probes that need the connector's key: is a token granted, and can Appointments be searched?"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal, TypeVar

from ehr_api.control import EndpointConfiguration, ProbeOutcome, ProbeReport, ProbeResult
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_clients.fhir import Fhir
from ehr_clients.guard import AddressRefusedError, GuardedTransport, Network, ResolutionError, Resolve, system_resolve
from ehr_clients.http import InvalidUrlError, client, tls_failure
from ehr_clients.smart import Grant, SigningKey, discover, system_token
from ehr_connector.ehr.access import CheckTokenEndpoint
from ehr_connector.keys.files import KeysError
from ehr_connector.metrics import Metrics
from ehr_connector.store.token_endpoints import ForeignTokenEndpointError

_Found = TypeVar("_Found")
AT_A_TIME = 32
"""Endpoints that are probed at a time."""
_TURN_S = 10.0
"""Others are probed: so long one waits for a turn."""
_LIMIT_S = 45.0
"""For all probes of an endpoint together. With the wait for a turn it ends before `PROBES_TIMEOUT_S`, or a slow EHR would
look like a connector that gives no answer."""
_AHEAD = timedelta(days=1)
_ACTORS = 20
"""Locations or practitioners in the search: enough to know that it is allowed."""
_NOT_RUN = ProbeResult(outcome=ProbeOutcome.NOT_RUN)


class BusyError(Exception):
    """So many endpoints are being probed that this one had no turn in time."""


class Probes:
    """Runs the probes of an endpoint, each time over fresh, guarded connections."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        allowed: Sequence[Network],
        signing_key: Callable[[], SigningKey],
        now: Callable[[], datetime],
        metrics: Metrics,
        check_token_endpoint: CheckTokenEndpoint,
        resolve: Resolve = system_resolve,
    ) -> None:
        self._check_token_endpoint = check_token_endpoint
        self._tls = tls
        self._allowed = allowed
        self._signing_key = signing_key
        self._now = now
        self._metrics = metrics
        self._resolve = resolve
        self._gate = asyncio.Semaphore(AT_A_TIME)

    async def run(self, endpoint: EndpointConfiguration) -> ProbeReport:
        """Return what the probes saw; never raises for what the server does.

        Raises:
            BusyError: Nothing was asked: others are still being probed.
        """
        try:
            async with asyncio.timeout(_TURN_S):
                await self._gate.acquire()
        except TimeoutError:
            raise BusyError from None
        try:
            report = await self._run(endpoint, asyncio.get_running_loop().time() + _LIMIT_S)
        finally:
            self._gate.release()
        for probe, result in (("token", report.token), ("appointment_search", report.appointment_search)):
            self._metrics.probes.labels(probe, result.outcome.value).inc()
        return report

    async def _run(self, endpoint: EndpointConfiguration, until_s: float) -> ProbeReport:
        transport = GuardedTransport(tls=self._tls, allowed=self._allowed, resolve=self._resolve)
        async with client(transport=transport) as http:
            try:
                key = self._signing_key()
            except KeysError:
                return ProbeReport(token=ProbeResult(outcome=ProbeOutcome.NOT_CONFIGURED), appointment_search=_NOT_RUN)

            async def grant() -> Grant:
                configuration = await discover(http, endpoint.base_url)
                await self._check_token_endpoint(endpoint.base_url, configuration.token_endpoint)
                return await system_token(
                    http, configuration.token_endpoint, endpoint.system_client_id, key, endpoint.system_scopes
                )

            granted, token = await _timed(grant, until_s)
            if granted is None:
                return ProbeReport(token=token, appointment_search=_NOT_RUN)
            missing = granted.missing(endpoint.system_scopes)
            if missing:
                token = token.model_copy(update={"outcome": ProbeOutcome.SCOPES_MISSING, "missing_scopes": missing})
                return ProbeReport(token=token, appointment_search=_NOT_RUN)

            async def search() -> int:
                actor, ids = _actor(endpoint)
                now = self._now()
                fhir = Fhir(http, endpoint.base_url, granted.access_token)
                return await fhir.count_appointments(actor, ids[:_ACTORS], now, now + _AHEAD)

            matches, result = await _timed(search, until_s)
            return ProbeReport(token=token, appointment_search=result.model_copy(update={"matches": matches}))


def _actor(endpoint: EndpointConfiguration) -> tuple[Literal["location", "practitioner"], list[str]]:
    if endpoint.appointments.locations:
        return "location", endpoint.appointments.locations
    return "practitioner", endpoint.appointments.practitioners


async def _timed(call: Callable[[], Awaitable[_Found]], until_s: float) -> tuple[_Found | None, ProbeResult]:
    """Return what the call gave by this time of the loop, if it gave anything, and the evidence of how it went."""
    started_s = time.perf_counter()
    found: _Found | None = None
    try:
        async with asyncio.timeout_at(until_s):
            found = await call()
        result = ProbeResult(outcome=ProbeOutcome.PASSED, http_status=HTTPStatus.OK)
    except TimeoutError:
        result = ProbeResult(outcome=ProbeOutcome.UNREACHABLE, error_code="too_slow")
    except RemoteError as exc:
        result = _result(exc)
    elapsed_ms = round((time.perf_counter() - started_s) * 1000)
    return found, result.model_copy(update={"latency_milliseconds": elapsed_ms})


def _result(error: RemoteError) -> ProbeResult:
    match error:
        case RefusedError(status=HTTPStatus.NOT_FOUND):
            return ProbeResult(outcome=ProbeOutcome.NOT_FOUND, http_status=error.status)
        case RefusedError(status=HTTPStatus.FORBIDDEN):
            # Millennium's "Tenant not valid or accessible"; a client without a scope gets no token in the first place.
            return ProbeResult(outcome=ProbeOutcome.TENANT_REFUSED, http_status=error.status)
        case RefusedError():
            return ProbeResult(
                outcome=ProbeOutcome.REFUSED, http_status=error.status, error_code=error.code[:128] or None
            )
        case TemporaryError(status=None):
            return ProbeResult(outcome=ProbeOutcome.UNREACHABLE, error_code=_no_answer(error))
        case TemporaryError():
            return ProbeResult(outcome=ProbeOutcome.SERVER_ERROR, http_status=error.status)
        case ForeignTokenEndpointError():
            return ProbeResult(outcome=ProbeOutcome.UNEXPECTED_ANSWER, error_code="foreign_token_endpoint")
        case ContractError():
            return ProbeResult(outcome=ProbeOutcome.UNEXPECTED_ANSWER)
        case _:
            return ProbeResult(outcome=ProbeOutcome.UNREACHABLE, error_code=_no_answer(error))


def _no_answer(error: RemoteError) -> str | None:
    """Return why there was no answer, where somebody other than the EHR's owner may have to act; the operator knows the words."""
    match error:
        case ResolutionError() | InvalidUrlError():
            return "no_address"
        case AddressRefusedError():
            return "address_refused"
        case _:
            return "tls_failed" if tls_failure(error) is not None else None
