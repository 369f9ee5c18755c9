"""The numbers that the resource owns, and the operations on them."""

from __future__ import annotations

from ehr_sandbox.acs.catalog import offerings_of
from ehr_sandbox.acs.errors import bad_request, conflict, not_found
from ehr_sandbox.acs.model import Capabilities, Capability, Operation, OwnedNumber, Wire
from ehr_sandbox.acs.reservations import UNSUPPORTED
from ehr_sandbox.acs.world import World


class CapabilitiesPatch(Wire):
    """A merge patch of a number's capabilities: what is left out stays."""

    calling: Capability | None = None
    sms: Capability | None = None


def listed(world: World) -> list[OwnedNumber]:
    """Return the numbers that the service shows, in order of purchase: one just bought may be missing for a while."""
    now = world.now()
    shown = [number for number in world.state.owned.values() if number.listed_at <= now]
    return sorted(shown, key=lambda number: (number.purchase_date, number.id))


def find(world: World, phone_number: str) -> OwnedNumber:
    """Return one number that the service shows; raises AzureError (404) otherwise."""
    for number in listed(world):
        if number.phone_number == phone_number:
            return number
    raise not_found(f"Phone number '{phone_number}'")


def release(world: World, phone_number: str) -> Operation:
    """Start to give a number up; it is owned until that has ended."""
    number = find(world, phone_number)
    _refuse_while_busy(world, number)
    return world.start("releasePhoneNumber", number.id)


def change_capabilities(world: World, phone_number: str, patch: CapabilitiesPatch) -> Operation:
    """Start to change what a number can do.

    Raises:
        AzureError: the number is not owned, is busy, or its kind cannot do that.
    """
    number = find(world, phone_number)
    _refuse_while_busy(world, number)
    old = number.capabilities
    capabilities = Capabilities(calling=patch.calling or old.calling, sms=patch.sms or old.sms)
    offerings = offerings_of(number.country_code, number.phone_number_type, number.assignment_type)
    if not any(capabilities.within(offering.capabilities) for offering in offerings):
        raise bad_request(UNSUPPORTED)
    location = f"/phoneNumbers/{number.phone_number}"
    return world.start(
        "updatePhoneNumberCapabilities", number.id, resource_location=location, capabilities=capabilities
    )


def _refuse_while_busy(world: World, number: OwnedNumber) -> None:
    if any(operation.open and operation.subject == number.id for operation in world.state.operations.values()):
        raise conflict("Another operation on this phone number is running.")


def find_operation(world: World, operation_id: str) -> Operation:
    """Return an operation; raises AzureError (404) where there is none."""
    operation = world.state.operations.get(operation_id)
    if operation is None:
        raise not_found(f"Operation '{operation_id}'")
    return operation


def cancel_operation(world: World, operation_id: str) -> None:
    """Stop an operation that is still open, with no effect; nothing happens to one that has ended."""
    operation = find_operation(world, operation_id)
    if operation.open:
        operation.failure = "OperationCanceled"
        operation.due_at = world.now()
