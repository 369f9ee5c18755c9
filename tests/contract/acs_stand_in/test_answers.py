"""What answers have in common: API versions, errors, ids, lists of what is offered; and the simulator's own controls."""

from __future__ import annotations

import re
import uuid
from typing import Any

import httpx
import pytest
from azure.communication.phonenumbers import PhoneNumberAssignmentType, PhoneNumberType
from azure.communication.phonenumbers.aio import PhoneNumbersClient
from azure.core.exceptions import ResourceNotFoundError
from contract.acs_stand_in.running import AcsStandIn, AcsStarter

ANY = str(uuid.uuid4())
RESERVATION = f"/availablePhoneNumbers/reservations/{ANY}"
PATCH_TYPE = {"Content-Type": "application/merge-patch+json"}


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/phoneNumbers/+18005550100", {}, 404, "NotFound"),
        ("GET", "/phoneNumbers/operations/purchase_1", {}, 404, "NotFound"),
        ("GET", RESERVATION, {}, 404, "NotFound"),
        ("GET", "/availablePhoneNumbers/searchResults/1", {}, 404, "NotFound"),
        ("GET", "/availablePhoneNumbers/countries/XX/offerings", {}, 404, "NotFound"),
        ("GET", "/phonenumbers", {}, 404, "NotFound"),
        ("PUT", RESERVATION, {}, 405, "MethodNotAllowed"),
        ("PATCH", RESERVATION, {"json": {}}, 415, "UnsupportedMediaType"),
        ("PATCH", RESERVATION, {"content": b"{", "headers": PATCH_TYPE}, 400, "BadRequest"),
        ("POST", "/availablePhoneNumbers/countries/US/:browse", {"json": {}}, 400, "BadRequest"),
        ("GET", "/phoneNumbers", {"params": {"api-version": "2020-01-01"}}, 400, "UnsupportedApiVersionValue"),
        ("GET", "/phoneNumbers", {"params": {"api-version": ""}}, 400, "MissingApiVersionParameter"),
        ("GET", RESERVATION, {"params": {"api-version": "2024-03-01"}}, 404, "NotFound"),
        ("GET", "/phoneNumbers", {"headers": {"Authorization": ""}}, 401, "Denied"),
    ],
    ids=[
        *("number", "operation", "reservation", "search", "country", "address", "method", "media-type", "no-json"),
        *("field-missing", "version-unknown", "version-missing", "version-before-reservations", "not-let-in"),
    ],
)
async def test_an_error_has_a_code_a_message_and_an_id_for_support(
    acs_http: httpx.AsyncClient, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    answer = await acs_http.request(method, path, **options)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].keys() == {"code", "message"}
    assert answer.json()["error"]["message"]
    assert re.fullmatch(r"[A-Za-z0-9+/]{22}\.0", answer.headers["ms-cv"])


async def test_an_error_reaches_the_callers_of_the_vendors_client(sdk: PhoneNumbersClient) -> None:
    with pytest.raises(ResourceNotFoundError) as refused:
        await sdk.get_reservation(ANY)

    assert refused.value.message.startswith(f"(NotFound) Reservation '{ANY}' was not found.")


async def test_a_fault_looks_like_an_error_of_the_service(acs: AcsStandIn, acs_http: httpx.AsyncClient) -> None:
    await acs.control("PUT", "faults", [{"action": "status", "status": 429, "retry_after_s": 5}])

    answer = await acs_http.get("/phoneNumbers")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert answer.json()["error"]["code"] == "TooManyRequests"
    assert answer.headers["ms-cv"]


async def test_each_answer_has_an_id_of_its_own_and_says_that_it_is_simulated(acs_http: httpx.AsyncClient) -> None:
    answers = [await acs_http.get("/phoneNumbers", headers={"x-ms-client-request-id": ANY}) for _ in range(2)]

    assert answers[0].headers["ms-cv"] != answers[1].headers["ms-cv"]
    assert {answer.headers["server"] for answer in answers} == {"ehr-sandbox-acs-simulator"}
    assert "x-ms-client-request-id" not in answers[0].headers


async def test_countries_are_listed_page_by_page(sdk: PhoneNumbersClient) -> None:
    pages = [
        [country.country_code async for country in page]
        async for page in sdk.list_available_countries(max_page_size=2).by_page()
    ]

    assert pages == [["FR", "GB"], ["US"]]


@pytest.mark.parametrize(
    ("wanted", "cities"),
    [
        ({}, ["Redmond", "Seattle", "Kansas City", "New York City"]),
        ({"administrative_division": "WA"}, ["Redmond", "Seattle"]),
        ({"phone_number_type": PhoneNumberType.TOLL_FREE}, []),
    ],
    ids=["all", "division", "toll-free-has-none"],
)
async def test_localities_are_those_of_the_division(
    sdk: PhoneNumbersClient, wanted: dict[str, Any], cities: list[str]
) -> None:
    listed = [locality.localized_name async for locality in sdk.list_available_localities("US", **wanted)]

    assert listed == cities


async def test_area_codes_need_a_locality_only_where_numbers_have_one(sdk: PhoneNumbersClient) -> None:
    toll_free = [area.area_code async for area in sdk.list_available_area_codes("US", PhoneNumberType.TOLL_FREE)]
    seattle = [
        area.area_code
        async for area in sdk.list_available_area_codes(
            "US",
            PhoneNumberType.GEOGRAPHIC,
            assignment_type=PhoneNumberAssignmentType.PERSON,
            locality="Seattle",
            administrative_division="WA",
        )
    ]

    assert toll_free == ["800", "833", "844", "855", "866", "877", "888"]
    assert seattle == ["206"]


@pytest.mark.parametrize(
    "query", ["", "phoneNumberType=premium", "phoneNumberType=geographic"], ids=["no-type", "type", "no-locality"]
)
async def test_area_codes_are_refused_without_what_they_need(acs_http: httpx.AsyncClient, query: str) -> None:
    answer = await acs_http.get(
        "/availablePhoneNumbers/countries/US/areaCodes", params={**acs_http.params, **httpx.QueryParams(query)}
    )

    assert answer.status_code == 400


async def test_only_toll_free_numbers_can_text_in_the_united_states(sdk: PhoneNumbersClient) -> None:
    offerings = [offering.as_dict() async for offering in sdk.list_available_offerings("US")]

    can_text = {offer["phone_number_type"]: offer["available_capabilities"]["sms"] for offer in offerings}
    assert can_text == {"tollFree": "inbound+outbound", "geographic": "none"}


async def test_the_same_seed_puts_the_same_numbers_on_sale(start_acs: AcsStarter) -> None:
    stocks: list[set[str]] = []
    for seed in (1, 1, 2):
        http = await (await start_acs(seed=seed, behaviour={"browse_size": 10_000})).http()
        browsed = await http.post("/availablePhoneNumbers/countries/US/:browse", json={"phoneNumberType": "tollFree"})
        stocks.append({number["id"] for number in browsed.json()["phoneNumbers"]})

    assert stocks[0] == stocks[1]
    assert stocks[0] != stocks[2]


async def test_what_happens_behind_the_clients_back_is_seen_and_costs_nothing(
    acs: AcsStandIn, sdk: PhoneNumbersClient
) -> None:
    await acs.control("POST", "state", {"own": ["+18005550100", "+18335550101"]})
    await acs.control("POST", "state", {"release": ["+18005550100"], "restock": ["+18665550102"]})

    owned = [number.phone_number async for number in sdk.list_purchased_phone_numbers()]
    found = await sdk.browse_available_phone_numbers(
        country_code="US", phone_number_type="tollFree", phone_number_prefixes=["8665550102"]
    )

    assert owned == ["+18335550101"]
    assert [number.phone_number for number in found.phone_numbers] == ["+18665550102"]
    assert (await acs.ledger())["totalCost"] == {"amount": 0, "currencyCode": "USD"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "state", {"own": ["+4930123456"]}),
        ("POST", "state", {"owns": []}),
        ("POST", "state", {"advance_s": -1}),
        ("PATCH", "settings", {"search_quota": -1}),
        ("PATCH", "settings", {"quota": 1}),
        ("PATCH", "settings", []),
    ],
    ids=["number", "unknown-change", "back-in-time", "negative-quota", "unknown-setting", "no-object"],
)
async def test_a_wrong_control_is_refused_and_changes_nothing(
    acs: AcsStandIn, acs_http: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    before = [await acs.control("GET", name) for name in ("state", "settings")]

    answer = await acs_http.request(method, f"/_sandbox/{path}", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert [await acs.control("GET", name) for name in ("state", "settings")] == before


@pytest.mark.parametrize("path", ["/_sandbox", "/_sandbox/"])
async def test_the_simulator_says_what_it_is_and_how_to_steer_it(acs_http: httpx.AsyncClient, path: str) -> None:
    answer = await acs_http.get(path)

    assert answer.status_code == 200
    assert answer.json()["simulator"] is True
    assert {"GET /_sandbox/ledger", "PUT /_sandbox/faults"} <= answer.json()["controls"].keys()
