"""A page like PowerChart's: sign in, patient list, and a chart with the app in a frame, as an MPage embeds it.

The frame is a third party to the page, and gets no help with pop-ups, cookies or single sign-on. Where the app is told that it
need not show who the patient is (`need_patient_banner` false), the page does. It is at `/powerchart`; nothing in it needs a
script, and each opening of a chart is a new launch.

`PUT /_sandbox/powerchart` replaces what is offered: `[{name, launchUrl, parameters = {}, needPatientBanner = false, tenant?}]`;
the frame opens `launchUrl` with the parameters (as `record`), `iss` and `launch`, beside any that it has. With a tenant it is
offered there alone. `GET` shows the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import Field, HttpUrl, TypeAdapter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.bookings import VIDEO_VISIT, Booking
from ehr_sandbox.cerner.control_bodies import ControlBody, answering
from ehr_sandbox.cerner.encounters import encounter_id
from ehr_sandbox.cerner.launches import Launches, NewLaunch
from ehr_sandbox.cerner.people import PRACTITIONER_IDS
from ehr_sandbox.cerner.places import PLACES
from ehr_sandbox.cerner.population import Population
from ehr_sandbox.cerner.settings import CernerSettings

CONTROLS = {
    "PUT /_sandbox/powerchart": "Replace what the PowerChart-like page offers to open.",
    "GET /_sandbox/powerchart": "What the PowerChart-like page offers to open.",
}

_ZONE = ZoneInfo("America/Chicago")
"""Where the clinics are."""
_PAGES = Path(__file__).with_name("pages")


class Offer(ControlBody):
    """An app that the page offers to open."""

    name: str = Field(min_length=1)
    launch_url: HttpUrl
    parameters: dict[str, str] = Field(default_factory=dict[str, str])
    need_patient_banner: bool = False
    """True: the app shows who the patient is, and the page does not."""
    tenant: str | None = None

    def address(self, iss: str, launch: str) -> str:
        """Return what the frame opens."""
        url = urlsplit(str(self.launch_url))
        query = [
            *parse_qsl(url.query, keep_blank_values=True),
            *self.parameters.items(),
            ("iss", iss),
            ("launch", launch),
        ]
        return url._replace(query=urlencode(query)).geturl()


_OFFERS = TypeAdapter(list[Offer])


@dataclass(frozen=True, slots=True)
class _Visit:
    """A row of the patient list."""

    booking: Booking
    patient: dict[str, Any]
    time: str
    place: str


class PowerChart:
    """The pages, and the control that says what they offer."""

    def __init__(self, settings: CernerSettings, population: Population, launches: Launches) -> None:
        self._settings = settings
        self._population = population
        self._launches = launches
        self._offers = [Offer.model_validate({"name": name, "launchUrl": url}) for name, url in settings.launch_urls]
        self._pages = Environment(
            loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def controls(self) -> list[Route]:
        """Return the routes of the controls, to be mounted at `/_sandbox`."""
        return [
            Route("/powerchart", answering(self._put), methods=["PUT"]),
            Route("/powerchart", answering(self._show), methods=["GET"]),
        ]

    def routes(self) -> list[Route]:
        """Return the routes of the pages."""
        return [
            Route("/powerchart", self._sign_in, methods=["GET"]),
            Route("/powerchart/style.css", self._style, methods=["GET"]),
            Route("/powerchart/sign-in", self._signed_in, methods=["GET"]),
            Route("/powerchart/{tenant}/{practitioner}", self._patient_list, methods=["GET"]),
            Route("/powerchart/{tenant}/{practitioner}/{appointment}", self._chart, methods=["GET"]),
        ]

    async def _put(self, request: Request) -> Response:
        self._offers = _OFFERS.validate_json(await request.body())
        return await self._show(request)

    async def _show(self, _request: Request) -> Response:
        return JSONResponse([offer.model_dump(by_alias=True, mode="json") for offer in self._offers])

    async def _style(self, _request: Request) -> Response:
        return Response((_PAGES / "style.css").read_text(), media_type="text/css")

    async def _sign_in(self, request: Request) -> Response:
        asked = request.query_params.get("tenant")
        tenants = [asked] if asked and self._settings.has_tenant(asked) else sorted(self._settings.tenants)
        clinicians = {
            tenant: [self._population.person(tenant, "Practitioner", id_) for id_ in PRACTITIONER_IDS]
            for tenant in tenants
        }
        return self._page("sign-in.html", clinicians=clinicians)

    async def _signed_in(self, request: Request) -> Response:
        tenant, _, practitioner = request.query_params.get("clinician", "").partition("/")
        if not self._is_here(tenant, practitioner):
            return self._missing()
        return RedirectResponse(f"/powerchart/{tenant}/{practitioner}", status_code=303)

    async def _patient_list(self, request: Request) -> Response:
        tenant, practitioner = request.path_params["tenant"], request.path_params["practitioner"]
        if not self._is_here(tenant, practitioner):
            return self._missing()
        today = self._settings.now().astimezone(_ZONE).date()
        return self._page(
            "patient-list.html",
            clinician=self._population.person(tenant, "Practitioner", practitioner),
            tenant=tenant,
            today=f"{today:%A}, {today:%B} {today.day}, {today.year}",
            offers=self._offered(tenant),
            visits=list(self._visits(tenant, practitioner, today)),
        )

    async def _chart(self, request: Request) -> Response:
        tenant, practitioner = request.path_params["tenant"], request.path_params["practitioner"]
        booking = self._population.schedule.get(tenant, request.path_params["appointment"])
        offers = self._offered(tenant)
        offer = next((offer for offer in offers if offer.name == request.query_params.get("app")), None)
        if not self._is_here(tenant, practitioner) or booking is None or offer is None:
            return self._missing()
        opened = NewLaunch(
            practitioner=practitioner,
            patient=booking.patient_id,
            encounter=encounter_id(booking),
            need_patient_banner=offer.need_patient_banner,
        )
        iss = f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}/r4/{tenant}"
        return self._page(
            "chart.html",
            clinician=self._population.person(tenant, "Practitioner", practitioner),
            tenant=tenant,
            visit=self._visit(tenant, booking),
            offers=offers,
            offer=offer,
            frame=offer.address(iss, self._launches.open(tenant, opened)),
        )

    def _is_here(self, tenant: str, practitioner: str) -> bool:
        return self._settings.has_tenant(tenant) and practitioner in PRACTITIONER_IDS

    def _offered(self, tenant: str) -> list[Offer]:
        return [offer for offer in self._offers if offer.tenant in {None, tenant}]

    def _visits(self, tenant: str, practitioner: str, day: date) -> Iterable[_Visit]:
        """Return the day's video visits of a clinician, earliest first."""
        found = [
            booking
            for booking in self._population.schedule.all(tenant)
            if booking.practitioner_id == practitioner
            and booking.service == VIDEO_VISIT
            and booking.start is not None
            and booking.start.astimezone(_ZONE).date() == day
        ]
        return (self._visit(tenant, booking) for booking in sorted(found, key=lambda booking: booking.requested[0]))

    def _visit(self, tenant: str, booking: Booking) -> _Visit:
        patient = self._population.resource(tenant, "Patient", booking.patient_id) or {}
        return _Visit(
            booking=booking,
            patient=patient,
            time=f"{booking.requested[0].astimezone(_ZONE):%H:%M}",
            place=PLACES[booking.location_id].name,
        )

    def _missing(self) -> Response:
        return self._page("missing.html", status=404)

    def _page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        html = self._pages.get_template(name).render(values)
        return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})
