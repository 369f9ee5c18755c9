"""What a JSON Patch may change in an Appointment: the links of a video visit, or the status. Nothing else, and no `remove`.

Source: Cerner's R4 page "Appointment", "Patch", and its list of operations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ehr_sandbox.cerner.bookings import VIDEO_VISIT, Booking, Links
from ehr_sandbox.cerner.errors import FhirError, not_found
from ehr_sandbox.cerner.schedule import Schedule
from ehr_sandbox.cerner.tokens import Grant

LONGEST_LINK = 255

# A patch numbers the rooms provider, patient; what is read lists the patient's first.
_LINK_PATHS = {
    "/contained/0/telecom/0/value": "provider",
    "/contained/1/telecom/0/value": "patient",
    "/contained/0/telecom/0/period/start": "start",
    "/contained/0/telecom/0/period/end": "end",
}
_MOVES = {
    "proposed": {"booked", "cancelled"},
    "booked": {"arrived", "checked-in", "cancelled"},
    "arrived": {"checked-in", "cancelled"},
    "checked-in": {"fulfilled", "cancelled"},
}

Operation = dict[str, Any]
_OPERATIONS = TypeAdapter(list[Operation])


def patched(schedule: Schedule, grant: Grant, id_: str, headers: Mapping[str, str], body: bytes) -> Booking:
    """Write a patch, and return the appointment's new version.

    Raises:
        FhirError: Nothing was written.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json-patch+json":
        raise FhirError(415, "not-supported", "The content type must be application/json-patch+json")
    place = (grant.tenant, id_)
    booking = schedule.get(*place)
    if booking is None:
        raise not_found(f"Appointment/{id_}")
    expected = headers.get("if-match")
    if expected is None:
        raise FhirError(412, "required", "If-Match must name the version")
    operations = operations_of(body)
    if expected.strip() != f'W/"{booking.version}"':
        raise FhirError(409, "conflict", "The appointment has another version than If-Match names")
    change = change_of(booking, operations)
    if place in schedule.locked:
        raise FhirError(423, "lock-error", "The appointment is being edited by somebody else")
    if place in schedule.failing:
        raise FhirError(424, "processing", "Something that the appointment depends on failed")
    return schedule.change(*place, grant.client, **change)


def operations_of(body: bytes) -> list[Operation]:
    """Return the operations of a patch.

    Raises:
        FhirError: 400, the body is no JSON Patch.
    """
    try:
        operations = _OPERATIONS.validate_python(json.loads(body))
    except (ValueError, ValidationError) as exc:
        raise FhirError(400, "structure", "The body must be a JSON Patch: a list of operations") from exc
    for operation in operations:
        if not isinstance(operation.get("op"), str) or not isinstance(operation.get("path"), str):
            raise FhirError(400, "structure", "Each operation must have an op and a path")
    if not operations:
        raise FhirError(400, "structure", "The patch holds no operation")
    return operations


def change_of(booking: Booking, operations: list[Operation]) -> dict[str, Any]:
    """Return the fields of the booking that the operations change.

    Raises:
        FhirError: 422, the operations or what they ask for are not allowed; 409, links are added where there are some.
    """
    paths = [operation["path"] for operation in operations]
    if len(set(paths)) != len(paths):
        raise _refused("A path may be given only once")
    if set(paths) <= set(_LINK_PATHS):
        return {"links": _links(booking, operations)}
    if set(paths) <= {"/status", "/slot", "/reasonCode"} and "/status" in paths:
        return {"status": _status(booking, operations)}
    raise _refused("The operations are not supported, or not together")


def _links(booking: Booking, operations: list[Operation]) -> Links:
    if booking.service != VIDEO_VISIT:
        raise _refused("Video visit links may be written only to video visits")
    kinds = {operation["op"] for operation in operations}
    if len(kinds) > 1 or not kinds <= {"add", "replace"}:
        raise _refused("Video visit links must all be added, or all be replaced")
    if len(operations) != len(_LINK_PATHS):
        raise _refused("All operations of video visit links must be given together")
    values = {_LINK_PATHS[operation["path"]]: operation.get("value") for operation in operations}
    texts = {name: value for name, value in values.items() if isinstance(value, str) and value}
    if len(texts) != len(_LINK_PATHS):
        raise _refused("The values of video visit links must be texts")
    if max(len(texts["provider"]), len(texts["patient"])) > LONGEST_LINK:
        raise _refused(f"A video visit link must have at most {LONGEST_LINK} characters")
    if _moment(texts["start"]) >= _moment(texts["end"]):
        raise _refused("The period of the video visit must end after it starts")
    if kinds == {"add"} and booking.links is not None:
        raise FhirError(409, "conflict", "The video visit has links; they can only be replaced")
    if kinds == {"replace"} and booking.links is None:
        raise _refused("The video visit has no links that could be replaced")
    return Links(**texts)


def _status(booking: Booking, operations: list[Operation]) -> str:
    given = {operation["path"]: operation for operation in operations}
    wanted = given["/status"].get("value")
    if given["/status"]["op"] != "replace" or not isinstance(wanted, str):
        raise _refused("The status can only be replaced, by a code")
    if (wanted == "booked") is not ("/slot" in given) or ("/reasonCode" in given and wanted != "booked"):
        raise _refused("The status booked, and no other, must come with a slot")
    if wanted not in _MOVES.get(booking.status, set()):
        raise _refused(f"The status may not change from {booking.status} to {wanted[:40]}")
    return wanted


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise _refused("The period of the video visit must be of times") from exc
    if moment.tzinfo is None or "T" not in text:
        raise _refused("The period of the video visit must be of times with an offset")
    return moment


def _refused(message: str) -> FhirError:
    return FhirError(422, "business-rule", message)
