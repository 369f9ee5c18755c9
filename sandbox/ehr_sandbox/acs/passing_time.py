"""What passing time brings about: operations end, holds run out, old reservations are forgotten.

Nothing runs in the background. Each request first settles what was due by then, in the order in which it was due, so a
test that moves the clock sees exactly what waiting would have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ehr_sandbox.acs.messages.delivery import deliver
from ehr_sandbox.acs.model import AvailableNumber, ErrorDetail, LedgerEntry, Operation, OwnedNumber, Search
from ehr_sandbox.acs.world import World

SEARCH_HOLD = timedelta(minutes=15)
"""Source: PhoneNumberSearchResult.searchExpiresBy: less than 15 minutes. A client must read the field."""

_RESERVATIONS_KEPT = timedelta(days=30)
"""Source: PhoneNumbersReservation: reservations older than a month are deleted."""


def settle(world: World) -> bool:
    """Bring about all that is due, and tell whether that was anything."""
    now = world.now()
    due = sorted(
        (operation for operation in world.state.operations.values() if operation.open and operation.due_at <= now),
        key=lambda operation: operation.due_at,
    )
    for operation in due:
        _finish(world, operation)
    expired = _expire(world, now)
    delivered = deliver(world)
    return bool(due) or expired or delivered


def _finish(world: World, operation: Operation) -> None:
    operation.last_action_date_time = operation.due_at
    match operation.operation_type:
        case "search":
            failure = _finish_search(world.state.searches[operation.subject], operation)
        case "purchase":
            failure = _finish_purchase(world, world.state.searches[operation.subject], operation)
        case "reservationPurchase":
            failure = _finish_reservation_purchase(world, operation)
        case "releasePhoneNumber":
            failure = _finish_release(world, operation)
        case "updatePhoneNumberCapabilities":
            failure = _finish_capabilities(world, operation)
    operation.status = "failed" if failure else "succeeded"
    operation.error = failure_detail(failure) if failure else None


def failure_detail(code: str) -> ErrorDetail:
    """Return the error of an operation or number that failed."""
    return ErrorDetail(code=code, message=f"The operation failed: {code}.")


def _finish_search(search: Search, operation: Operation) -> str | None:
    failure = operation.failure or (None if search.numbers else "OutOfStock")
    if failure:
        search.status = "failed"
        return failure
    search.finished = True
    search.expires_at = operation.due_at + SEARCH_HOLD
    return None


def _finish_purchase(world: World, search: Search, operation: Operation) -> str | None:
    bought = _buy(world, search.numbers, operation)
    search.status = "purchased" if bought else "failed"
    return _purchase_failure(operation, bought, search.numbers)


def _finish_reservation_purchase(world: World, operation: Operation) -> str | None:
    """End a reservation's purchase.

    No page says what a reservation whose purchase failed looks like: here it is `completed`, and its numbers say.
    """
    reservation = world.state.reservations[operation.subject]
    wanted = reservation.held
    bought = _buy(world, wanted, operation)
    failure = _purchase_failure(operation, bought, wanted)
    for number in wanted:
        number.status = "purchased" if number in bought else "error"
        number.error = None if number in bought else failure_detail(failure or "PurchaseFailed")
    reservation.status = "completed"
    return failure


def _buy(world: World, numbers: Sequence[AvailableNumber], operation: Operation) -> list[AvailableNumber]:
    """Make the resource own those of the numbers that nobody else got meanwhile, and return them."""
    if operation.failure:
        return []
    bought = [number for number in numbers if number.id not in world.state.sold]
    at = operation.due_at
    for number in bought:
        world.state.owned[number.id] = own(number, at, listed_after_s=world.behaviour.listing_delay_s)
        world.record(
            LedgerEntry(
                kind="purchase",
                time=at,
                id=operation.subject,
                phone_number=number.phone_number,
                amount=number.cost.amount,
            )
        )
    return bought


def own(number: AvailableNumber, at: datetime, *, listed_after_s: float) -> OwnedNumber:
    """Return the number as one that the resource owns from `at` on."""
    return OwnedNumber(
        id=number.id,
        phone_number=number.phone_number,
        country_code=number.country_code,
        phone_number_type=number.phone_number_type,
        assignment_type=number.assignment_type,
        capabilities=number.capabilities,
        cost=number.cost,
        purchase_date=at,
        listed_at=at + timedelta(seconds=listed_after_s),
    )


def _purchase_failure(
    operation: Operation, bought: Sequence[AvailableNumber], wanted: Sequence[AvailableNumber]
) -> str | None:
    if operation.failure:
        return operation.failure
    if len(bought) == len(wanted):
        return None
    return "NumbersPartiallyAcquired" if bought else "AllNumbersNotAcquired"


def _finish_release(world: World, operation: Operation) -> str | None:
    if operation.failure:
        return operation.failure
    released = world.state.owned.pop(operation.subject, None)
    if released is not None:
        # A number that was given up is not on sale again for a long while.
        world.state.sold.add(released.id)
        world.record(
            LedgerEntry(kind="release", time=operation.due_at, id=operation.id, phone_number=released.phone_number)
        )
    return None


def _finish_capabilities(world: World, operation: Operation) -> str | None:
    number = world.state.owned.get(operation.subject)
    if operation.failure or number is None:
        return operation.failure or "ProvisioningFailed"
    if operation.capabilities is not None:
        number.capabilities = operation.capabilities
    return None


def _expire(world: World, now: datetime) -> bool:
    state = world.state
    reservations = [r for r in state.reservations.values() if r.status == "active" and r.expires_at <= now]
    for reservation in reservations:
        for number in reservation.held:
            number.status = "expired"
        reservation.status = "expired"
    searches = [s for s in state.searches.values() if s.finished and s.status == "held" and s.expires_at <= now]
    for search in searches:
        search.status = "expired"
    forgotten = [r.id for r in state.reservations.values() if r.created_at + _RESERVATIONS_KEPT <= now]
    for reservation_id in forgotten:
        del state.reservations[reservation_id]
    return bool(reservations or searches or forgotten)
