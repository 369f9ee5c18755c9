"""Browsing, and the reservations of the newer way to buy."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from ehr_sandbox.acs.catalog import national_digits, offerings_of
from ehr_sandbox.acs.errors import bad_request, conflict, not_found
from ehr_sandbox.acs.model import (
    AssignmentType,
    AvailableNumber,
    Capabilities,
    Capability,
    Cost,
    ErrorDetail,
    LedgerEntry,
    NumberType,
    Operation,
    Reservation,
    Wire,
    needs_agreement,
)
from ehr_sandbox.acs.world import World

HOLD = timedelta(minutes=15)
"""A hold lasts so long from the last change."""
LONGEST_HOLD = timedelta(hours=2)
"""And no longer than this from the reservation's creation. Source: CreateOrUpdateReservation."""

UNSUPPORTED = "Unsupported capabilities requested."


class WantedCapabilities(Wire):
    """What a browsed number must be able to do; what is left out may be anything."""

    calling: Capability | None = None
    sms: Capability | None = None


class BrowseRequest(Wire):
    """The body of a browse."""

    phone_number_type: NumberType
    capabilities: WantedCapabilities | None = None
    assignment_type: AssignmentType | None = None
    phone_number_prefixes: list[str] = Field(default_factory=list[str])


class WantedNumber(Wire):
    """A number as a client puts it into a reservation."""

    country_code: str
    capabilities: Capabilities
    phone_number_type: NumberType
    assignment_type: AssignmentType


class ReservationPatch(Wire):
    """A merge patch of a reservation: numbers to add by their digits, and null for those to take out."""

    phone_numbers: dict[str, WantedNumber | None] = Field(default_factory=dict[str, WantedNumber | None])


class AgreementRequest(Wire):
    """The body of a reservation's purchase."""

    agree_to_not_resell: bool = False


def browse(world: World, country_code: str, wanted: BrowseRequest) -> list[AvailableNumber]:
    """Return some matching numbers on sale, in random order; nothing is held.

    Raises:
        AzureError: no offering of this kind can do what is wanted.
    """
    offerings = offerings_of(country_code, wanted.phone_number_type, wanted.assignment_type)
    if not offerings:
        raise bad_request(f"`phoneNumberType` '{wanted.phone_number_type}' is not offered in '{country_code}'.")
    asked = wanted.capabilities or WantedCapabilities()
    minimum = Capabilities(calling=asked.calling or "none", sms=asked.sms or "none")
    if not any(minimum.within(offering.capabilities) for offering in offerings):
        raise bad_request(UNSUPPORTED)
    found = [
        _as_asked(number, asked, wanted.assignment_type)
        for number in world.all_on_sale()
        if number.country_code == country_code
        and number.phone_number_type == wanted.phone_number_type
        and minimum.within(number.capabilities)
        and _has_prefix(number, wanted.phone_number_prefixes)
    ]
    return found[: world.behaviour.browse_size]


def _as_asked(
    number: AvailableNumber, asked: WantedCapabilities, assignment_type: AssignmentType | None
) -> AvailableNumber:
    """Return the number with what was asked for; what was left open stays as offered."""
    offered = number.capabilities
    capabilities = Capabilities(calling=asked.calling or offered.calling, sms=asked.sms or offered.sms)
    return number.model_copy(
        update={"capabilities": capabilities, "assignment_type": assignment_type or number.assignment_type}
    )


def _has_prefix(number: AvailableNumber, prefixes: list[str]) -> bool:
    """Tell whether the number starts with any of the prefixes, which people write with and without country code."""
    spellings = (number.phone_number, number.id, national_digits(number))
    return not prefixes or any(spelling.startswith(prefix) for prefix in prefixes for spelling in spellings)


def find(world: World, reservation_id: str) -> Reservation:
    """Return a reservation; raises AzureError (404) where there is none."""
    reservation = world.state.reservations.get(reservation_id.lower())
    if reservation is None:
        raise not_found(f"Reservation '{reservation_id}'")
    return reservation


def upsert(world: World, reservation_id: str, patch: ReservationPatch) -> tuple[int, Reservation]:
    """Merge the patch into the reservation of this id, made anew where there is none.

    What the patch does not name stays: a second number is added beside the first, and a purchase buys both. Returns the
    HTTP status (201 created, 200 changed, 207 when a number could not be reserved) and the reservation.
    """
    now = world.now()
    reservation = world.state.reservations.get(reservation_id.lower())
    created = reservation is None
    if reservation is None:
        reservation = Reservation(id=reservation_id.lower(), created_at=now, expires_at=now)
        world.state.reservations[reservation.id] = reservation
    elif reservation.status != "active":
        raise conflict(f"The reservation is {reservation.status}; only an active one can be changed.")
    for digits, wanted in patch.phone_numbers.items():
        if wanted is None:
            reservation.phone_numbers.pop(digits, None)
        else:
            reservation.phone_numbers[digits] = _reserve(world, reservation, digits, wanted)
    reservation.expires_at = min(now + HOLD, reservation.created_at + LONGEST_HOLD)
    _record(world, reservation)
    failed = any(
        number is not None and reservation.phone_numbers[digits].status == "error"
        for digits, number in patch.phone_numbers.items()
    )
    return (207 if failed else 201 if created else 200), reservation


def _reserve(world: World, reservation: Reservation, digits: str, wanted: WantedNumber) -> AvailableNumber:
    mine = any(number.id == digits for number in reservation.held)
    number = world.stock.get(digits) if mine else world.on_sale(digits)
    if number is None:
        return _refused(digits, wanted, "The phone number is not available.")
    if wanted.country_code != number.country_code or wanted.phone_number_type != number.phone_number_type:
        return _refused(digits, wanted, "The phone number is of another country or type.")
    if not wanted.capabilities.within(number.capabilities):
        return _refused(digits, wanted, UNSUPPORTED)
    return number.model_copy(
        update={
            "status": "reserved",
            "capabilities": wanted.capabilities,
            "assignment_type": wanted.assignment_type,
        }
    )


def _refused(digits: str, wanted: WantedNumber, why: str) -> AvailableNumber:
    return AvailableNumber(
        id=digits,
        phone_number=f"+{digits}",
        country_code=wanted.country_code,
        phone_number_type=wanted.phone_number_type,
        assignment_type=wanted.assignment_type,
        capabilities=wanted.capabilities,
        cost=Cost(amount=0),
        status="error",
        error=ErrorDetail(code="FailedToReserveNumber", message=why),
    )


def _record(world: World, reservation: Reservation) -> None:
    held = [number.phone_number for number in reservation.held]
    world.record(LedgerEntry(kind="reservation", time=world.now(), id=reservation.id, phone_numbers=held))


def delete(world: World, reservation_id: str) -> None:
    """Give the numbers back; raises AzureError (409) when the reservation is not active."""
    reservation = find(world, reservation_id)
    if reservation.status != "active":
        raise conflict(f"The reservation is {reservation.status}; only an active one can be deleted.")
    del world.state.reservations[reservation.id]


def purchase(world: World, reservation_id: str, agreement: AgreementRequest) -> Operation:
    """Start to buy every number that the reservation holds.

    A second call finds the reservation submitted or completed, and is refused: it never buys twice, and it does not
    repeat the first answer either. A client that lost that answer asks the reservation.
    """
    reservation = find(world, reservation_id)
    if reservation.status != "active":
        raise conflict(f"The reservation is {reservation.status}; only an active one can be purchased.")
    if not reservation.held:
        raise bad_request("The reservation holds no phone number.")
    if needs_agreement(reservation.held) and not agreement.agree_to_not_resell:
        raise bad_request("`agreeToNotResell` must be true for the phone numbers in this reservation.")
    world.charge_purchase_quota(reservation.id, reservation.held)
    reservation.status = "submitted"
    return world.start("reservationPurchase", reservation.id)
