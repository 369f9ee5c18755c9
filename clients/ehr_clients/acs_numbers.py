"""Phone numbers of Azure Communication Services, by its REST interface.

Not the vendor's SDK: that repeats calls that spend by itself, and its pollers cannot be asked what became of an operation
after a restart. Each function here is one request, sent once.

Source: Azure Communication Services, Phone Numbers REST API 2025-06-01.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ehr_clients import limits
from ehr_clients.acs_error import error_code
from ehr_clients.errors import ContractError, RefusedError
from ehr_clients.http import Answer, check, exchange, parse

API_VERSION = "2025-06-01"
SYSTEM = "Communication Services"
_RESERVATIONS = "/availablePhoneNumbers/reservations"
_PAGE_SIZE = 100
_MAX_PAGES = 200


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Capabilities(_Model):
    """What a number can do: `none`, `inbound`, `outbound` or `inbound+outbound` each."""

    calling: str
    sms: str


class Cost(_Model):
    """What a number costs a month."""

    amount: float
    currency_code: str


class PurchasedNumber(_Model):
    """A number that the resource owns. It carries no tag: nothing on it says who bought it."""

    phone_number: str
    country_code: str
    phone_number_type: str
    capabilities: Capabilities
    purchase_date: datetime | None = None
    cost: Cost | None = None


class ApiErrorBody(_Model):
    """Azure's error object."""

    code: str = ""


class AvailableNumber(_Model):
    """A number that can be reserved, or one in a reservation."""

    id: str = ""
    phone_number: str = ""
    country_code: str
    phone_number_type: str
    assignment_type: str
    capabilities: Capabilities
    cost: Cost | None = None
    status: str | None = None
    error: ApiErrorBody | None = None


class Reservation(_Model):
    """A hold on numbers: 15 minutes from its last change, two hours at the most."""

    id: str
    expires_at: datetime | None = None
    status: Literal["active", "submitted", "completed", "expired"]
    phone_numbers: dict[str, AvailableNumber | None] = Field(default_factory=dict[str, AvailableNumber | None])

    @property
    def held(self) -> list[AvailableNumber]:
        """Return the numbers that are really in the reservation, without those that could not be reserved."""
        return [number for number in self.phone_numbers.values() if number is not None and number.status != "error"]


class Operation(_Model):
    """A long-running operation."""

    id: str
    status: str
    error: ApiErrorBody | None = None


class _Owned(_Model):
    phone_numbers: list[PurchasedNumber] = Field(default_factory=list[PurchasedNumber])
    next_link: str | None = None


class _Reservations(_Model):
    reservations: list[Reservation] = Field(default_factory=list[Reservation])
    next_link: str | None = None


class _Browsed(_Model):
    phone_numbers: list[AvailableNumber] = Field(default_factory=list[AvailableNumber])


class PhoneNumbers:
    """The phone numbers of one Communication Services resource."""

    def __init__(self, http: httpx.AsyncClient, endpoint: str) -> None:
        self._http = http
        self._endpoint = endpoint.rstrip("/")

    async def owned(self) -> list[PurchasedNumber]:
        """Return every number that the resource owns."""
        numbers: list[PurchasedNumber] = []
        for page in range(_MAX_PAGES):
            query = {"skip": str(page * _PAGE_SIZE), "top": str(_PAGE_SIZE)}
            answer = await self._call("list numbers", "GET", "/phoneNumbers", query=query)
            found = parse(answer, _Owned)
            numbers += found.phone_numbers
            if found.next_link is None:
                return numbers
        raise ContractError(SYSTEM, "list numbers", f"more than {_MAX_PAGES} pages")

    async def owned_number(self, phone_number: str) -> PurchasedNumber | None:
        """Return one owned number, or None: also for minutes after its purchase, until the service lists it."""
        path = f"/phoneNumbers/{phone_number.replace('+', '%2B')}"
        try:
            return parse(await self._call("get number", "GET", path), PurchasedNumber)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def browse(
        self, country_code: str, number_type: str, capabilities: Capabilities, area_code: str | None
    ) -> list[AvailableNumber]:
        """Return some numbers on sale, in random order; nothing is held and no search quota is used."""
        body: dict[str, Any] = {
            "phoneNumberType": number_type,
            "assignmentType": "application",
            "capabilities": capabilities.model_dump(),
        }
        if area_code is not None:
            body["phoneNumberPrefixes"] = [area_code]
        path = f"/availablePhoneNumbers/countries/{country_code}/:browse"
        return parse(await self._call("browse numbers", "POST", path, body=body), _Browsed).phone_numbers

    async def reservation(self, reservation_id: str) -> Reservation | None:
        """Return what the service says of a reservation, or None where it knows none."""
        try:
            return parse(await self._call("get reservation", "GET", _reservation(reservation_id)), Reservation)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def reservations(self) -> list[Reservation]:
        """Return every reservation of the resource, whoever made it, for the month that the service keeps it.

        The service leaves the numbers out of this list: ask `reservation` for them.
        """
        reservations: list[Reservation] = []
        query = {"maxPageSize": str(_PAGE_SIZE)}
        for _ in range(_MAX_PAGES):
            found = parse(await self._call("list reservations", "GET", _RESERVATIONS, query=query), _Reservations)
            reservations += found.reservations
            if found.next_link is None:
                return reservations
            # Only what the link asks for is taken over: credentials go to no address that an answer names.
            query = dict(parse_qsl(urlsplit(found.next_link).query))
        raise ContractError(SYSTEM, "list reservations", f"more than {_MAX_PAGES} pages")

    async def reserve(self, reservation_id: str, number: AvailableNumber) -> Reservation:
        """Put one number into the reservation of this id and return the reservation.

        The call is a merge: a second number would be added, not replace the first. Ask `reservation` before.
        """
        wanted = number.model_dump(
            by_alias=True, include={"country_code", "phone_number_type", "assignment_type", "capabilities"}
        )
        digits = number.id or number.phone_number.lstrip("+")
        answer = await self._call(
            "reserve number",
            "PATCH",
            _reservation(reservation_id),
            body={"phoneNumbers": {digits: wanted}},
            media_type="application/merge-patch+json",
        )
        return parse(answer, Reservation)

    async def purchase(self, reservation_id: str) -> str:
        """Start to buy what the reservation holds, and return the id of the operation. This spends money."""
        answer = await self._call(
            "purchase reservation",
            "POST",
            f"{_reservation(reservation_id)}/:purchase",
            body={"agreeToNotResell": True},
            timeout_s=limits.SPENDING_TIMEOUT_S,
        )
        return _operation_id(answer)

    async def operation(self, operation_id: str) -> Operation | None:
        """Return the state of an operation, or None where the service knows none."""
        try:
            return parse(
                await self._call("get operation", "GET", f"/phoneNumbers/operations/{operation_id}"), Operation
            )
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def release(self, phone_number: str) -> str:
        """Start to give a number up for good, and return the id of the operation."""
        path = f"/phoneNumbers/{phone_number.replace('+', '%2B')}"
        answer = await self._call("release number", "DELETE", path, timeout_s=limits.SPENDING_TIMEOUT_S)
        return _operation_id(answer)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        media_type: str = "application/json",
        timeout_s: float = limits.ANSWER_TIMEOUT_S,
    ) -> Answer:
        request = self._http.build_request(
            method,
            self._endpoint + path,
            params={**(query or {}), "api-version": API_VERSION},
            content=None if body is None else json.dumps(body),
            headers={} if body is None else {"Content-Type": media_type},
        )
        answer = await exchange(self._http, request, system=SYSTEM, operation=operation, timeout_s=timeout_s)
        return check(answer, code=error_code(answer))


def _reservation(reservation_id: str) -> str:
    return f"{_RESERVATIONS}/{reservation_id}"


def _operation_id(answer: Answer) -> str:
    operation_id = answer.headers.get("operation-id", "")
    if not operation_id:
        raise ContractError(SYSTEM, answer.operation, "the answer has no operation-id")
    return operation_id
