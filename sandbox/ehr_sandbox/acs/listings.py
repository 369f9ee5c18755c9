"""The REST interface of what is offered where: countries, localities, area codes, offerings."""

from __future__ import annotations

from typing import Any, get_args

from starlette.responses import Response
from starlette.routing import Route

from ehr_sandbox.acs.catalog import COUNTRIES, Area, offerings_of
from ehr_sandbox.acs.errors import bad_request, not_found
from ehr_sandbox.acs.gate import Call, Gate, page
from ehr_sandbox.acs.model import AssignmentType, NumberType
from ehr_sandbox.acs.world import World

_PATH = "/availablePhoneNumbers/countries"


def routes(gate: Gate) -> list[Route]:
    """Return the routes."""
    return [
        gate.route("GET", _PATH, _countries),
        gate.route("GET", f"{_PATH}/{{country}}/localities", _localities),
        gate.route("GET", f"{_PATH}/{{country}}/areaCodes", _area_codes),
        gate.route("GET", f"{_PATH}/{{country}}/offerings", _offerings),
    ]


def _countries(_world: World, call: Call) -> Response:
    items = [{"localizedName": name, "countryCode": code} for code, name in COUNTRIES.items()]
    return page(call, "countries", items, _PATH)


def _localities(_world: World, call: Call) -> Response:
    country = _country(call)
    items = [
        {
            "localizedName": area.locality,
            "administrativeDivision": {"localizedName": area.division_name, "abbreviatedName": area.division},
        }
        for area in _areas(country, _one_of(call, "phoneNumberType", NumberType), None)
        if area.locality and _in_division(call, area)
    ]
    return page(call, "phoneNumberLocalities", items, f"{_PATH}/{country}/localities")


def _area_codes(_world: World, call: Call) -> Response:
    country = _country(call)
    number_type = _one_of(call, "phoneNumberType", NumberType)
    if number_type is None:
        raise bad_request("`phoneNumberType` is required.")
    locality = call.query.get("locality")
    if number_type == "geographic" and not locality:
        raise bad_request("`locality` is required when `phoneNumberType` is 'geographic'.")
    items = [
        {"areaCode": area.code}
        for area in _areas(country, number_type, _one_of(call, "assignmentType", AssignmentType))
        if locality in {None, area.locality} and _in_division(call, area)
    ]
    return page(call, "areaCodes", items, f"{_PATH}/{country}/areaCodes")


def _offerings(_world: World, call: Call) -> Response:
    country = _country(call)
    number_type = _one_of(call, "phoneNumberType", NumberType)
    items = [
        {
            "phoneNumberType": offering.number_type,
            "assignmentType": offering.assignment_type,
            "availableCapabilities": offering.capabilities.to_wire(),
            "cost": offering.cost.to_wire(),
        }
        for offering in offerings_of(country, number_type, _one_of(call, "assignmentType", AssignmentType))
    ]
    return page(call, "phoneNumberOfferings", items, f"{_PATH}/{country}/offerings")


def _country(call: Call) -> str:
    country = call.path["country"]
    if country not in COUNTRIES:
        raise not_found(f"Country '{country}'")
    return country


def _one_of(call: Call, name: str, allowed: Any) -> str | None:
    value = call.query.get(name)
    if value is not None and value not in get_args(allowed):
        raise bad_request(f"`{name}` must be one of: {', '.join(get_args(allowed))}.")
    return value


def _areas(country: str, number_type: str | None, assignment_type: str | None) -> list[Area]:
    areas = [area for offering in offerings_of(country, number_type, assignment_type) for area in offering.areas]
    return list(dict.fromkeys(areas))


def _in_division(call: Call, area: Area) -> bool:
    return call.query.get("administrativeDivision") in {None, area.division, area.division_name}
