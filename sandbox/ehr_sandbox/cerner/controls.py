"""Controls that steer what is booked and who is there.

All of them are under `/_sandbox`, take and return JSON, and answer 400 with `{"error": {"code", "message"}}` to a body that
is wrong, 404 to an id that is not there. `tenant` may be left out where it is clear: there is only one, or the appointment
was booked or changed at one alone.

`POST /appointments` books: `{tenant?, patient, practitioner, location, start, durationMinutes = 30, service = "Video Visit",
status = "booked", encounter = "linked" | "unlinked" | "none"}` -> 201 `{tenant, id, version, encounter}`, where `encounter`
is the encounter's id or null. An unlinked encounter does not name its appointment.

`PATCH /appointments/{id}?tenant=` changes what the body names, whatever moves are legal for others: `{start, durationMinutes,
service, status, patient, practitioner, location, locked, failDependency}`; `locked: true` makes each FHIR patch fail with 423,
`failDependency: true` with 424, until they are set to false. It answers as GET.

`GET /appointments/{id}?tenant=` tells the truth, whatever the FHIR interface shows: `{tenant, id, version, status, service,
start, end, patient, practitioner, location, locked, failDependency, encounter, encounterNamesAppointment, links: null |
{provider, patient, start, end}, history: [{version, at, by, change}]}`; `by` is the client's id, or `control`.

`POST /patients` plants a patient: `{tenant?, given, family, gender?, birthDate?, phone?, email?, language?, identifiers?:
[{value, system?}]}` -> 201 `{tenant, id}`. Phones are kept as they are written.

`GET /search?text=` tells whether anything that can be read holds a text, upper and lower case apart: `{found, where:
[{tenant, resource}]}`, of which at most 100 are listed.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.appointments import SERVICES
from ehr_sandbox.cerner.bookings import VIDEO_VISIT, Booking, instant
from ehr_sandbox.cerner.control_bodies import ControlBody, ControlError, answering, tenant_of
from ehr_sandbox.cerner.encounters import encounter_id
from ehr_sandbox.cerner.planted import NewPatient
from ehr_sandbox.cerner.population import KINDS, Population
from ehr_sandbox.cerner.settings import CernerSettings

CONTROLS = {
    "POST /_sandbox/appointments": "Book an appointment.",
    "PATCH /_sandbox/appointments/{id}": "Move, cancel, lock or break an appointment.",
    "GET /_sandbox/appointments/{id}": "An appointment as it really is, with both links and its history.",
    "POST /_sandbox/patients": "Plant a patient.",
    "GET /_sandbox/search": "Whether anything that can be read here holds ?text=.",
}

_BY = "control"
_LISTED = 100

Status = Literal[
    "proposed", "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow", "entered-in-error", "checked-in",
    "waitlist",
]  # fmt: skip


class NewAppointment(ControlBody):
    """The appointment to book."""

    tenant: str | None = None
    patient: str
    practitioner: str
    location: str
    start: AwareDatetime
    duration_minutes: int = Field(default=30, gt=0)
    service: str = VIDEO_VISIT
    status: Status = "booked"
    encounter: Literal["linked", "unlinked", "none"] = "linked"


class ChangedAppointment(ControlBody):
    """What to change in an appointment."""

    patient: str | None = None
    practitioner: str | None = None
    location: str | None = None
    start: AwareDatetime | None = None
    duration_minutes: int | None = Field(default=None, gt=0)
    service: str | None = None
    status: Status | None = None
    locked: bool | None = None
    fail_dependency: bool | None = None


class Controls:
    """The routes of the controls."""

    def __init__(self, settings: CernerSettings, population: Population) -> None:
        self._settings = settings
        self._population = population
        self._schedule = population.schedule

    def routes(self) -> list[Route]:
        """Return the routes, to be mounted at `/_sandbox`."""
        return [
            Route("/appointments", answering(self._book), methods=["POST"]),
            Route("/appointments/{id}", answering(self._change), methods=["PATCH"]),
            Route("/appointments/{id}", answering(self._show), methods=["GET"]),
            Route("/patients", answering(self._plant), methods=["POST"]),
            Route("/search", answering(self._search), methods=["GET"]),
        ]

    async def _book(self, request: Request) -> Response:
        new = NewAppointment.model_validate_json(await request.body())
        tenant = tenant_of(self._settings, new.tenant)
        booking = self._schedule.book(
            tenant,
            _BY,
            requested=_span(new.start, timedelta(minutes=new.duration_minutes)),
            status=new.status,
            encounter=new.encounter,
            **self._checked(tenant, new.patient, new.practitioner, new.location, new.service),
        )
        shown = {"tenant": tenant, "id": booking.id, "version": booking.version, "encounter": encounter_id(booking)}
        return JSONResponse(shown, status_code=201)

    async def _change(self, request: Request) -> Response:
        new = ChangedAppointment.model_validate_json(await request.body())
        tenant, booking = self._found(request)
        fields = self._checked(tenant, new.patient, new.practitioner, new.location, new.service)
        if new.status is not None:
            fields["status"] = new.status
        if new.start is not None or new.duration_minutes is not None:
            start, end = booking.requested
            length = end - start if new.duration_minutes is None else timedelta(minutes=new.duration_minutes)
            fields["requested"] = _span(new.start or start, length)
        if fields:
            self._schedule.change(tenant, booking.id, _BY, **fields)
        for places, wanted in ((self._schedule.locked, new.locked), (self._schedule.failing, new.fail_dependency)):
            if wanted is not None:
                (places.add if wanted else places.discard)((tenant, booking.id))
        return JSONResponse(self._shown(*self._found(request)))

    async def _show(self, request: Request) -> Response:
        return JSONResponse(self._shown(*self._found(request)))

    async def _plant(self, request: Request) -> Response:
        new = NewPatient.model_validate_json(await request.body())
        tenant = tenant_of(self._settings, new.tenant)
        id_ = self._population.planted.plant(tenant, new, instant(self._settings.now()))
        return JSONResponse({"tenant": tenant, "id": id_}, status_code=201)

    async def _search(self, request: Request) -> Response:
        text = request.query_params.get("text", "")
        if not text:
            raise ControlError("text: must not be empty")
        tenants = {*self._settings.tenants, *self._schedule.tenants(), *self._population.planted.tenants()}
        where = [
            {"tenant": tenant, "resource": f"{kind}/{id_}"}
            for tenant in sorted(tenants)
            for kind in KINDS
            for id_ in self._population.ids(tenant, kind)
            if _holds(self._population.resource(tenant, kind, id_), text)
        ]
        return JSONResponse({"found": bool(where), "where": where[:_LISTED]})

    def _found(self, request: Request) -> tuple[str, Booking]:
        id_, given = request.path_params["id"], request.query_params.get("tenant")
        changed_at = self._schedule.tenants_of(id_)
        tenant = tenant_of(self._settings, given or (changed_at[0] if len(changed_at) == 1 else None))
        booking = self._schedule.get(tenant, id_)
        if booking is None:
            raise ControlError(f"There is no appointment {id_} at the tenant {tenant}", 404)
        return tenant, booking

    def _checked(
        self, tenant: str, patient: str | None, practitioner: str | None, location: str | None, service: str | None
    ) -> dict[str, Any]:
        """Return the fields that are given, once they name what is there."""
        if service is not None and service not in SERVICES:
            raise ControlError(f"service: must be one of {', '.join(SERVICES)}")
        given = {"Patient": patient, "Practitioner": practitioner, "Location": location}
        for kind, id_ in given.items():
            if id_ is not None and self._population.resource(tenant, kind, id_) is None:
                raise ControlError(f"{kind.lower()}: there is no {kind}/{id_} at the tenant {tenant}")
        fields = {f"{kind.lower()}_id": id_ for kind, id_ in given.items()} | {"service": service}
        return {name: value for name, value in fields.items() if value is not None}

    def _shown(self, tenant: str, booking: Booking) -> dict[str, Any]:
        place = (tenant, booking.id)
        return {
            "tenant": tenant,
            "id": booking.id,
            "version": booking.version,
            "status": booking.status,
            "service": booking.service,
            "start": instant(booking.requested[0]),
            "end": instant(booking.requested[1]),
            "patient": booking.patient_id,
            "practitioner": booking.practitioner_id,
            "location": booking.location_id,
            "locked": place in self._schedule.locked,
            "failDependency": place in self._schedule.failing,
            "encounter": encounter_id(booking),
            "encounterNamesAppointment": booking.encounter == "linked",
            "links": None if booking.links is None else dataclasses.asdict(booking.links),
            "history": [
                {
                    "version": revision.version,
                    "at": instant(revision.at),
                    "by": revision.by,
                    "change": json.loads(json.dumps(revision.change, default=_plain)),
                }
                for revision in self._schedule.history(*place)
            ],
        }


def _span(start: datetime, length: timedelta) -> tuple[datetime, datetime]:
    return start.astimezone(UTC), start.astimezone(UTC) + length


def _holds(resource: dict[str, Any] | None, text: str) -> bool:
    return text in json.dumps(resource, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return instant(value) if isinstance(value, datetime) else dataclasses.asdict(value)
