"""FHIR R4 as Oracle Health Millennium (Cerner) serves it.

Source: Millennium Platform APIs, R4 Appointment: a search names one of `_id`, `patient`, `practitioner` and `location`,
and a date range.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from ehr_clients.errors import ContractError
from ehr_clients.fhir_model import Appointment, AppointmentBundle, Encounter, FhirModel, Patient
from ehr_clients.http import Answer, ask, check, exchange, parse

_Read = TypeVar("_Read", bound=FhirModel)

SYSTEM = "EHR"
_FHIR_JSON = "application/fhir+json"
_JSON_PATCH = "application/json-patch+json"
_ETAG = re.compile(r'(?:W/)?"([A-Za-z0-9\-.]{1,64})"')
_PAGE = 100
"""Entries of a page that are asked for; a server may give fewer."""
_PAGES_MAX, _PAGES_IN_ALL = 200, 1_000
"""Pages of one search, after which its time is searched in halves; and of all of them: an end where `next` never ends."""
_SHORTEST = timedelta(hours=1)
"""No shorter time is searched by itself."""
Actor = Literal["location", "practitioner", "patient"]
Status = Literal["booked", "arrived", "checked-in", "fulfilled", "cancelled"]


class _Issue(BaseModel):
    code: str = Field(default="", max_length=128)


class _OperationOutcome(BaseModel):
    resource_type: Literal["OperationOutcome"] = Field(alias="resourceType")
    issue: list[_Issue] = Field(default_factory=list[_Issue])


class _Resource(BaseModel):
    resource_type: str = Field(alias="resourceType")


class _Entry(BaseModel):
    resource: _Resource | None = None


class _Bundle(BaseModel):
    resource_type: Literal["Bundle"] = Field(alias="resourceType")
    total: int | None = None
    entry: list[_Entry] = Field(default_factory=list[_Entry])


class Fhir:
    """One FHIR base URL, with an access token."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, access_token: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept": _FHIR_JSON, "Authorization": f"Bearer {access_token}"}

    async def count_appointments(
        self, actor: Literal["location", "practitioner"], ids: Sequence[str], start: datetime, end: datetime
    ) -> int:
        """Return how many appointments of these locations or practitioners the first page shows; nothing else is kept.

        Raises:
            RefusedError: `code` is the code of the first issue of the OperationOutcome.
            RemoteError: The server gave no usable answer.
        """
        query = [(actor, ",".join(ids)), ("date", f"ge{_instant(start)}"), ("date", f"lt{_instant(end)}")]
        answer = await self._get(f"{self._base_url}/Appointment", "search Appointment", query)
        bundle = parse(answer, _Bundle)
        found = [entry.resource for entry in bundle.entry if entry.resource is not None]
        return sum(resource.resource_type == "Appointment" for resource in found)

    async def appointments(self, actor: Actor, ids: Sequence[str], start: datetime, end: datetime) -> list[Appointment]:
        """Return the appointments of these actors that begin in [start, end), each once, pages followed.

        An entry that is no readable Appointment is left out: one odd booking must not hide all others. Visits in person count
        for the pages too, so a long list is searched in shorter spans of time.

        Raises:
            RemoteError: As for `count_appointments`; or a page was missing, so that the list would not be whole.
        """
        found: dict[str, Appointment] = {}
        spans, pages_left = [(start, end)], _PAGES_IN_ALL
        while spans:
            first, last = spans.pop()
            most = min(_PAGES_MAX, pages_left)
            pages = await self._walk(found, actor, ids, (first, last), most)
            pages_left -= pages or most
            if pages is None:
                half = timedelta(seconds=(last - first) // timedelta(seconds=2))
                if not pages_left or half < _SHORTEST:
                    raise ContractError(SYSTEM, "search Appointment", f"more than {most} pages")
                spans += [(first + half, last), (first, first + half)]
        return list(found.values())

    async def _walk(
        self,
        found: dict[str, Appointment],
        actor: Actor,
        ids: Sequence[str],
        span: tuple[datetime, datetime],
        most: int,
    ) -> int | None:
        """Put the appointments of a span into `found`, and return how many pages they had; None: there are more."""
        url, bounds = (
            f"{self._base_url}/Appointment",
            [("date", f"ge{_instant(span[0])}"), ("date", f"lt{_instant(span[1])}")],
        )
        query = [(actor, ",".join(ids)), *bounds, ("_count", str(_PAGE))]
        for number in range(1, most + 1):
            answer = await self._get(url, "search Appointment", query)
            bundle = parse(answer, AppointmentBundle)
            for entry in bundle.entry:
                appointment = _appointment(entry.resource)
                if appointment is not None:
                    found[appointment.id] = appointment  # one that stands on two pages is newer on the later one
            following = next((link.url for link in bundle.link if link.relation == "next"), None)
            if following is None:
                return number
            if not following.startswith(f"{self._base_url}/"):
                # The access token goes to the server that it is for and to no other.
                raise ContractError(SYSTEM, "search Appointment", "the next page is on another server")
            url, query = following, []
        return None

    async def appointment(self, appointment_id: str) -> Appointment:
        """Return one appointment as it stands now, its version among it, from the `ETag` where the body has none.

        Raises:
            RefusedError: `status` 404: there is none of that id.
            RemoteError: The server gave no usable answer.
        """
        answer = await self._get(f"{self._base_url}/Appointment/{appointment_id}", "read Appointment")
        appointment = parse(answer, Appointment)
        tag = _ETAG.fullmatch(answer.headers.get("ETag", ""))
        if appointment.version is None and tag is not None:
            return appointment.model_copy(update={"version": tag[1]})
        return appointment

    async def encounter(self, encounter_id: str) -> Encounter:
        """Return one encounter. Raises as `appointment` does."""
        return await self._read(Encounter, "Encounter", encounter_id)

    async def patient(self, patient_id: str) -> Patient:
        """Return how a patient is reached. Raises as `appointment` does."""
        return await self._read(Patient, "Patient", patient_id)

    async def write_links(
        self, appointment: Appointment, *, provider: str, patient: str, start: datetime, end: datetime
    ) -> None:
        """Write both links of a video visit, with the time for which they hold.

        The four operations go together; index 0 is the provider's room and 1 the patient's, in whatever order they are
        read. `add` when there are none yet, `replace` afterwards. Source: Millennium, R4 Appointment, "Patch".

        Raises:
            RefusedError: `status` 409 another version stands, 412, 422 not a video visit, 423 somebody edits it, 424.
            RemoteError: The server gave no usable answer; read the appointment before repeating. ContractError: it has no
                version, so that a change by somebody else could not be noticed; nothing was sent.
        """
        op = "replace" if appointment.has_rooms() else "add"
        values = {
            "/contained/0/telecom/0/value": provider,
            "/contained/1/telecom/0/value": patient,
            "/contained/0/telecom/0/period/start": _instant(start),
            "/contained/0/telecom/0/period/end": _instant(end),
        }
        await self._patch(appointment, [{"op": op, "path": path, "value": value} for path, value in values.items()])

    async def write_status(self, appointment: Appointment, status: Status) -> None:
        """Move an appointment to another status. Raises as `write_links` does."""
        await self._patch(appointment, [{"op": "replace", "path": "/status", "value": status}])

    async def _patch(self, appointment: Appointment, operations: Sequence[Mapping[str, str]]) -> None:
        if appointment.version is None:
            raise ContractError(SYSTEM, "patch Appointment", "it was read without a version")
        request = self._http.build_request(
            "PATCH",
            f"{self._base_url}/Appointment/{appointment.id}",
            headers={**self._headers, "Content-Type": _JSON_PATCH, "If-Match": f'W/"{appointment.version}"'},
            content=json.dumps(list(operations)),
        )
        answer = await exchange(self._http, request, system=SYSTEM, operation="patch Appointment")
        check(answer, code=_issue_code(answer))

    async def _read(self, model: type[_Read], resource_type: str, logical_id: str) -> _Read:
        answer = await self._get(f"{self._base_url}/{resource_type}/{logical_id}", f"read {resource_type}")
        return parse(answer, model)

    async def _get(self, url: str, operation: str, query: Sequence[tuple[str, str]] = ()) -> Answer:
        answer = await ask(
            self._http, "GET", url, system=SYSTEM, operation=operation, headers=self._headers, query=query
        )
        return check(answer, code=_issue_code(answer))


def _appointment(resource: Mapping[str, object] | None) -> Appointment | None:
    if resource is None or resource.get("resourceType") != "Appointment":
        return None
    try:
        return Appointment.model_validate(resource)
    except ValidationError:
        return None


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _issue_code(answer: Answer) -> str:
    try:
        issues = parse(answer, _OperationOutcome).issue
    except ContractError:
        return ""
    return issues[0].code if issues else ""
