"""The older way to buy: a search that puts numbers on hold under an id of the service's own, then a purchase."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from pydantic import Field

from ehr_sandbox.acs.catalog import Offering, national_digits, offerings_of
from ehr_sandbox.acs.errors import bad_request, conflict, not_found, too_many
from ehr_sandbox.acs.model import (
    AssignmentType,
    Capabilities,
    LedgerEntry,
    NumberType,
    Operation,
    Search,
    Wire,
    needs_agreement,
)
from ehr_sandbox.acs.passing_time import SEARCH_HOLD
from ehr_sandbox.acs.reservations import UNSUPPORTED
from ehr_sandbox.acs.world import World

QUOTA_WINDOW = timedelta(days=7)
"""Source: Communication Services, "Service limits": five searches a week for each tenant."""


class SearchRequest(Wire):
    """The body of a search."""

    phone_number_type: NumberType
    assignment_type: AssignmentType
    capabilities: Capabilities
    area_code: str | None = None
    quantity: int = Field(default=1, ge=1, le=500)


class PurchaseRequest(Wire):
    """The body of a purchase of searched numbers."""

    search_id: str
    agree_to_not_resell: bool = False


def start_search(world: World, country_code: str, wanted: SearchRequest) -> tuple[Search, Operation]:
    """Start a search; it counts against the quota whatever it finds."""
    offering = _offering(country_code, wanted)
    _charge_search_quota(world)
    numbers = [
        number.model_copy(
            update={
                "capabilities": wanted.capabilities,
                "assignment_type": wanted.assignment_type,
                "status": "reserved",
            }
        )
        for number in world.all_on_sale()
        if number.country_code == country_code
        and number.phone_number_type == wanted.phone_number_type
        and national_digits(number).startswith(wanted.area_code or "")
    ][: wanted.quantity]
    search_id = world.new_id()
    operation = world.start("search", search_id, resource_location=f"/availablePhoneNumbers/searchResults/{search_id}")
    search = Search(
        id=search_id,
        operation_id=operation.id,
        numbers=numbers,
        phone_number_type=wanted.phone_number_type,
        assignment_type=wanted.assignment_type,
        capabilities=wanted.capabilities,
        cost=offering.cost,
        expires_at=operation.due_at + SEARCH_HOLD,
    )
    world.state.searches[search.id] = search
    world.record(
        LedgerEntry(kind="search", time=world.now(), id=search.id, phone_numbers=[n.phone_number for n in numbers])
    )
    return search, operation


def _offering(country_code: str, wanted: SearchRequest) -> Offering:
    offerings = offerings_of(country_code, wanted.phone_number_type, wanted.assignment_type)
    if not offerings:
        raise bad_request(
            f"`phoneNumberType` '{wanted.phone_number_type}' with `assignmentType` '{wanted.assignment_type}' is not"
            f" offered in '{country_code}'."
        )
    fitting = [offering for offering in offerings if wanted.capabilities.within(offering.capabilities)]
    if not fitting or wanted.capabilities == Capabilities():
        raise bad_request(UNSUPPORTED)
    return fitting[0]


def _charge_search_quota(world: World) -> None:
    now = world.now()
    attempts = [attempt for attempt in world.state.search_attempts if attempt > now - QUOTA_WINDOW]
    quota = world.behaviour.search_quota
    refused = len(attempts) >= quota
    # Source: "Service limits": a retry during the wait counts too, so an impatient client waits the longer.
    attempts.append(now)
    world.state.search_attempts = attempts
    if refused:
        world.record(LedgerEntry(kind="search_refused", time=now, id=""))
        raise too_many(
            f"The tenant may make {quota} searches in seven days; a support request raises the quota.",
            _seconds_until_allowed(attempts, quota, now),
        )


def _seconds_until_allowed(attempts: list[datetime], quota: int, now: datetime) -> int:
    """Return the whole seconds until fewer than `quota` attempts lie in the window."""
    last_to_leave = attempts[-quota] if quota else attempts[-1]
    return math.ceil((last_to_leave + QUOTA_WINDOW - now).total_seconds())


def find(world: World, search_id: str) -> Search:
    """Return a search whose result is there; raises AzureError (404) otherwise."""
    search = world.state.searches.get(search_id)
    if search is None or not search.finished:
        raise not_found(f"Search '{search_id}'")
    return search


def purchase(world: World, wanted: PurchaseRequest) -> Operation:
    """Start to buy every number that the search holds; refused when it was bought or has run out."""
    search = find(world, wanted.search_id)
    if search.status != "held":
        raise conflict(f"The search is {search.status}; search again.")
    if needs_agreement(search.numbers) and not wanted.agree_to_not_resell:
        raise bad_request("`agreeToNotResell` must be true for the phone numbers in this search.")
    world.charge_purchase_quota(search.id, search.numbers)
    search.status = "submitted"
    return world.start("purchase", search.id)
