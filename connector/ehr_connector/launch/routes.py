"""`/launch/provider`, `/launch/patient` and `/launch/callback`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from http import HTTPStatus
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from ehr_clients.errors import RemoteError
from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import Appointment
from ehr_connector.audit import Action, Audit, Outcome
from ehr_connector.directory import Directory, Site
from ehr_connector.ehr.access import EhrAccess, in_time_for_a_page
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.flow import CALLBACK_PATH, Launched, LaunchFlow
from ehr_connector.launch.problems import WORDS, Initiator, LaunchError, LaunchReason
from ehr_connector.launch.sealed import Sealer
from ehr_connector.launch.session import ClinicianSession, session_of
from ehr_connector.metrics import Metrics
from ehr_connector.store.evidence import EvidenceBook
from ehr_connector.store.rates import Limit, Rates
from ehr_connector.visits.booking import Access, access, booking, join_window
from ehr_connector.visits.links import Role
from ehr_connector.visits.service import VisitService
from ehr_connector.web import cookies
from ehr_connector.web.locales import N_
from ehr_connector.web.pages import Pages

BOARD_PATH = "/clinician/"
_REFUSALS = Limit(60, timedelta(minutes=1))
"""Refused launches of one endpoint that are audited; metrics count all."""
_OF_USE = {Access.OPEN: 0, Access.EARLY: 1}


@dataclass(frozen=True, slots=True)
class LaunchPages:
    """The handlers."""

    flow: LaunchFlow
    sessions: Sealer[ClinicianSession]
    directory: Directory
    ehr: EhrAccess
    service: VisitService
    evidence: EvidenceBook
    audit: Audit
    rates: Rates
    secret: SecretKeys
    pages: Pages
    metrics: Metrics
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route("/launch/provider", self.provider, methods=["GET"])
        router.add_api_route("/launch/patient", self.patient, methods=["GET"])
        router.add_api_route(CALLBACK_PATH, self.callback, methods=["GET"])
        return router

    async def provider(self, request: Request) -> Response:
        """Begin a clinician's launch."""
        return await self._begin(request, Initiator.PROVIDER)

    async def patient(self, request: Request) -> Response:
        """Begin a patient's launch from a portal; without one, say where the patient's link is."""
        if not request.query_params.getlist("iss") and not request.query_params.getlist("launch"):
            return await self._where_the_link_is(request)
        return await self._begin(request, Initiator.PATIENT)

    async def callback(self, request: Request) -> Response:
        """Complete a launch with the EHR's answer."""
        query = request.query_params
        browser = cookies.browser_of(request)
        try:
            launched = await self.flow.complete(query.get("state", ""), query.get("code"), query.get("error"), browser)
            address = await self._address(launched, browser or "")
        except LaunchError as exc:
            return await self._refused(request, exc)
        await self._note(launched)
        self.metrics.launches.labels(launched.initiator.value, "completed").inc()
        return RedirectResponse(address, HTTPStatus.SEE_OTHER)

    async def _begin(self, request: Request, initiator: Initiator) -> Response:
        query = request.query_params
        browser = cookies.browser_of(request) or cookies.new_browser()
        record = query.get("record")
        try:
            address = await self.flow.begin(initiator, query.getlist("iss"), query.getlist("launch"), record, browser)
        except LaunchError as exc:
            return await self._refused(request, exc)
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
        cookies.set_framed(response, cookies.BROWSER, browser)
        return response

    async def _address(self, launched: Launched, browser: str) -> str:
        if launched.initiator is Initiator.PROVIDER:
            return BOARD_PATH + self.sessions.seal(session_of(launched), browser)
        return await self._patients_link(launched)

    async def _patients_link(self, launched: Launched) -> str:
        """Return the link of the patient's visit today: of those that are open the nearest one, else the next."""
        site = launched.site
        zone = ZoneInfo(site.endpoint.appointments.time_zone)
        now = self.now()
        midnight, end = (datetime.combine(now.astimezone(zone).date(), moment, zone) for moment in (time.min, time.max))
        start = min(midnight, now - join_window(site)[1])  # one that began yesterday may go on

        async def search(fhir: Fhir) -> list[Appointment]:
            return await fhir.appointments("patient", [launched.patient], start, end)

        try:
            async with in_time_for_a_page():
                appointments = await self.ehr.call(site, search)
        except (RemoteError, KeysError) as exc:
            raise LaunchError(LaunchReason.EHR_UNAVAILABLE) from exc
        found = [one for one in (booking(site, appointment) for appointment in appointments) if one is not None]
        ours = [one for one in found if launched.patient in one.appointment.ids_of("Patient")]
        alive = [one for one in ours if access(one, now) in _OF_USE]
        if not alive:
            raise LaunchError(LaunchReason.NO_VISIT)
        first = min(alive, key=lambda one: (_OF_USE[access(one, now)], abs(one.start - now)))
        return self.service.link(first, Role.PATIENT)

    async def _note(self, launched: Launched) -> None:
        site = launched.site
        if launched.record is not None:
            name = launched.record.partition("/")[2]
            await self.evidence.record_seen(site.namespace, site.organization_name, name)
        actor = self.secret.name("actor", site.base_url, launched.user.user)
        target = f"FhirEndpoint/{site.endpoint.name}"
        outcome = Outcome(launched.initiator.value)
        await self.audit.record(site.namespace, site.organization_name, Action.LAUNCHED, actor, target, outcome)

    async def _note_refusal(self, site: Site) -> None:
        """Write down that a launch ended; who it was is not proved. Anybody can have launches refused: so many suffice."""
        bucket = self.secret.name("rate", "refused launch", site.base_url)
        if await self.rates.take(bucket, _REFUSALS) is None:
            target = f"FhirEndpoint/{site.endpoint.name}"
            await self.audit.record(
                site.namespace, site.organization_name, Action.LAUNCHED, "unknown", target, Outcome.REFUSED
            )

    async def _where_the_link_is(self, request: Request) -> Response:
        """Answer somebody who opened the record's address by itself."""
        namespace, _, name = request.query_params.get("record", "").partition("/")
        endpoint = name.removesuffix(f"-{Initiator.PATIENT}")
        site = await self.directory.by_name(namespace, endpoint)
        visits = site.organization.visits if site else None
        return self.pages.error(
            request,
            title=N_("Open the link that you were sent"),
            text=N_("Your video visit has a link of its own. It is in the text message or e-mail about your visit."),
            remedy=N_("Open that link at the time of the visit. If you cannot find it, call the clinic."),
            status=HTTPStatus.OK,
            help_phone=visits.help_phone if visits else None,
        )

    async def _refused(self, request: Request, error: LaunchError) -> Response:
        self.metrics.launches.labels(error.initiator or "", error.reason.value).inc()
        if error.site is not None:
            await self._note_refusal(error.site)
        words = WORDS[error.reason]
        visits = error.site.organization.visits if error.site else None
        return self.pages.error(
            request,
            title=words.title,
            text=words.text,
            remedy=words.remedy,
            audience=words.audience,
            status=words.status,
            values=error.values,
            help_phone=visits.help_phone if visits else None,
            # Whose launch it was is not known then; in no frame at all the browser would say that we refuse to connect.
            frame_ancestors=visits.frame_ancestors if visits else self.directory.embedders(),
            # The address of the callback must not be loaded again: what stands in it counts once.
            path="/launch/provider",
        )
