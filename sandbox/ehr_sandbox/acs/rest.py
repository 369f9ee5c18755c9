"""The REST interface of phone numbers.

Source: azure-rest-api-specs, Communication/data-plane/PhoneNumbers/stable/2025-06-01.
"""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.acs import listings, owned, reservations, searches
from ehr_sandbox.acs.errors import bad_request
from ehr_sandbox.acs.gate import Call, Gate, page
from ehr_sandbox.acs.model import Operation, Reservation, needs_agreement
from ehr_sandbox.acs.world import World


def routes(gate: Gate) -> list[Route]:
    """Return every route of the interface; a slash then a colon is how Azure spells the actions."""
    sale = "/availablePhoneNumbers"
    country = f"{sale}/countries/{{country}}"
    reservation = f"{sale}/reservations/{{id}}"
    number = "/phoneNumbers/{number}"
    return [
        *listings.routes(gate),
        gate.route("POST", f"{country}/:browse", _browse),
        gate.route("POST", f"{country}/:search", _search),
        gate.route("GET", f"{sale}/searchResults/{{id}}", _search_result),
        gate.route("POST", f"{sale}/:purchase", _purchase_search),
        gate.route("GET", f"{sale}/reservations", _list_reservations),
        gate.route("GET", reservation, _get_reservation),
        gate.route("PATCH", reservation, _patch_reservation),
        gate.route("DELETE", reservation, _delete_reservation),
        gate.route("POST", f"{reservation}/:purchase", _purchase_reservation),
        gate.route("GET", "/phoneNumbers/operations/{id}", _get_operation),
        gate.route("DELETE", "/phoneNumbers/operations/{id}", _cancel_operation),
        gate.route("GET", "/phoneNumbers", _list_owned),
        gate.route("GET", number, _get_owned),
        gate.route("DELETE", number, _release),
        gate.route("PATCH", f"{number}/capabilities", _change_capabilities),
    ]


def _browse(world: World, call: Call) -> Response:
    wanted = call.body_as(reservations.BrowseRequest)
    found = reservations.browse(world, call.path["country"], wanted)
    return JSONResponse({"phoneNumbers": [number.to_wire() for number in found]})


def _search(world: World, call: Call) -> Response:
    search, operation = searches.start_search(world, call.path["country"], call.body_as(searches.SearchRequest))
    return _accepted(call, operation, {"search-id": search.id})


def _search_result(world: World, call: Call) -> Response:
    search = searches.find(world, call.path["id"])
    expired = search.status == "expired"
    return JSONResponse(
        {
            "searchId": search.id,
            "phoneNumbers": [number.phone_number for number in search.numbers],
            "phoneNumberType": search.phone_number_type,
            "assignmentType": search.assignment_type,
            "capabilities": search.capabilities.to_wire(),
            "cost": search.cost.to_wire(),
            "searchExpiresBy": search.expires_at.isoformat(),
            "isAgreementToNotResellRequired": needs_agreement(search.numbers),
            "error": "ReservationExpired" if expired else "NoError",
        }
    )


def _purchase_search(world: World, call: Call) -> Response:
    operation = searches.purchase(world, call.body_as(searches.PurchaseRequest))
    return _accepted(call, operation, {"purchase-id": operation.id.partition("_")[2]})


def _list_reservations(world: World, call: Call) -> Response:
    items = [_reservation(found, numbers=False) for found in world.state.reservations.values()]
    return page(call, "reservations", items, "/availablePhoneNumbers/reservations")


def _get_reservation(world: World, call: Call) -> Response:
    return JSONResponse(_reservation(reservations.find(world, call.path["id"])))


def _patch_reservation(world: World, call: Call) -> Response:
    reservation_id = call.path["id"]
    try:
        uuid.UUID(reservation_id)
    except ValueError as exc:
        raise bad_request("The reservation's id must be a UUID.") from exc
    patch = call.body_as(reservations.ReservationPatch, merge_patch=True)
    status, reservation = reservations.upsert(world, reservation_id, patch)
    return JSONResponse(_reservation(reservation), status_code=status)


def _delete_reservation(world: World, call: Call) -> Response:
    reservations.delete(world, call.path["id"])
    return Response(status_code=204)


def _purchase_reservation(world: World, call: Call) -> Response:
    agreement = call.body_as(reservations.AgreementRequest)
    operation = reservations.purchase(world, call.path["id"], agreement)
    return _accepted(call, operation, {"reservation-purchase-id": operation.id.partition("_")[2]})


def _get_operation(world: World, call: Call) -> Response:
    operation = owned.find_operation(world, call.path["id"])
    body = operation.to_wire(without={"due_at", "subject", "capabilities", "failure", "resource_location"})
    location = _location(call, operation)
    # A result that does not exist is not pointed at.
    if location and operation.status == "succeeded":
        body["resourceLocation"] = location["Location"]
    return JSONResponse(body, headers=location)


def _cancel_operation(world: World, call: Call) -> Response:
    owned.cancel_operation(world, call.path["id"])
    return Response(status_code=204)


def _list_owned(world: World, call: Call) -> Response:
    items = [number.to_wire(without={"listed_at"}) for number in owned.listed(world)]
    return page(call, "phoneNumbers", items, "/phoneNumbers", size_name="top")


def _get_owned(world: World, call: Call) -> Response:
    return JSONResponse(owned.find(world, call.path["number"]).to_wire(without={"listed_at"}))


def _release(world: World, call: Call) -> Response:
    operation = owned.release(world, call.path["number"])
    return _accepted(call, operation, {"release-id": operation.id.partition("_")[2]})


def _change_capabilities(world: World, call: Call) -> Response:
    patch = call.body_as(owned.CapabilitiesPatch, merge_patch=True)
    operation = owned.change_capabilities(world, call.path["number"], patch)
    return _accepted(call, operation, {"capabilities-id": operation.id.partition("_")[2]})


def _accepted(call: Call, operation: Operation, headers: dict[str, str]) -> Response:
    """Return 202 with the operation's address."""
    return Response(
        status_code=202,
        headers={
            "Operation-Location": _address(call, f"/phoneNumbers/operations/{operation.id}"),
            "operation-id": operation.id,
            **_location(call, operation),
            **headers,
        },
    )


def _location(call: Call, operation: Operation) -> dict[str, str]:
    """Return the header that leads to what the operation brings about, where that has an address."""
    return {"Location": _address(call, operation.resource_location)} if operation.resource_location else {}


def _address(call: Call, path: str) -> str:
    """Return a path for the client to follow as it is: relative, and with the API version that the call had.

    The vendor's examples leave the version out, but its clients do not add it, and their recordings of the service
    have it.
    """
    return f"{path}?api-version={call.query['api-version']}"


def _reservation(reservation: Reservation, *, numbers: bool = True) -> dict[str, Any]:
    hidden = {"created_at"} if numbers else {"created_at", "phone_numbers"}
    return reservation.to_wire(without=hidden)
