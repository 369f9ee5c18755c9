"""The older way to buy, a search and its purchase, and the quota that makes it costly: by the vendor's own client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from azure.communication.phonenumbers import PhoneNumberCapabilities, PhoneNumberSearchResult
from azure.communication.phonenumbers.aio import PhoneNumbersClient
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from contract.acs_stand_in.running import AcsStandIn, AcsStarter, on_sale, reserve, retry_after_s

TEXTS = PhoneNumberCapabilities(calling="none", sms="inbound+outbound")
CALLS = PhoneNumberCapabilities(calling="outbound", sms="none")


async def search(
    sdk: PhoneNumbersClient,
    capabilities: PhoneNumberCapabilities = TEXTS,
    *,
    country_code: str = "US",
    phone_number_type: str = "tollFree",
    assignment_type: str = "application",
    **wanted: Any,
) -> PhoneNumberSearchResult:
    poller = await sdk.begin_search_available_phone_numbers(
        country_code, phone_number_type, assignment_type, capabilities, polling_interval=0, **wanted
    )
    return await poller.result()


async def buy(sdk: PhoneNumbersClient, search_id: str | None, *, agree: bool = False) -> None:
    assert search_id is not None
    await (await sdk.begin_purchase_phone_numbers(search_id, agree_to_not_resell=agree, polling_interval=0)).result()


async def test_a_search_holds_what_it_found_until_the_time_it_says(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    found = await search(sdk, area_code="833", quantity=2)

    assert [number[:5] for number in found.phone_numbers] == ["+1833", "+1833"]
    assert found.capabilities.as_dict() == {"calling": "none", "sms": "inbound+outbound"}
    assert found.cost.as_dict() == {"amount": 2.0, "currency_code": "USD", "billing_frequency": "monthly"}
    assert found.search_expires_by == acs.settings.now() + timedelta(minutes=15)
    assert str(found.error) == "NoError"
    for number in await on_sale(sdk, phone_number_prefixes=["833"]):
        assert number.phone_number not in found.phone_numbers


async def test_what_a_search_found_is_bought_once_by_its_id(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    found = await search(sdk)

    await buy(sdk, found.search_id)
    with pytest.raises(ResourceExistsError):
        await buy(sdk, found.search_id)

    assert await acs.bought() == found.phone_numbers
    assert [number.phone_number async for number in sdk.list_purchased_phone_numbers()] == found.phone_numbers


async def test_a_search_for_more_than_there_is_finds_fewer(start_acs: AcsStarter) -> None:
    acs = await start_acs(numbers_per_area=3)

    found = await search(await acs.sdk(), area_code="833", quantity=10)

    assert len(found.phone_numbers) == 3


async def test_a_search_that_finds_nothing_fails_for_want_of_stock(start_acs: AcsStarter) -> None:
    acs = await start_acs(numbers_per_area=0)
    sdk = await acs.sdk()

    with pytest.raises(HttpResponseError, match="OutOfStock"):
        await search(sdk)

    assert len((await acs.ledger())["searches"]) == 1


@pytest.mark.parametrize(
    ("capabilities", "wanted"),
    [
        (TEXTS, {"phone_number_type": "geographic"}),
        (TEXTS, {"assignment_type": "person"}),
        (TEXTS, {"assignment_type": "user"}),
        (PhoneNumberCapabilities(calling="none", sms="none"), {}),
        (TEXTS, {"country_code": "XX"}),
    ],
    ids=["only-toll-free-texts", "assignment", "assignment-as-a-doc-string-says", "nothing", "country"],
)
async def test_a_search_for_what_is_not_offered_is_refused_and_not_counted(
    acs: AcsStandIn, sdk: PhoneNumbersClient, capabilities: PhoneNumberCapabilities, wanted: dict[str, str]
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        await search(sdk, capabilities, **wanted)

    assert refused.value.status_code == 400
    assert (await acs.ledger())["searches"] == []


async def test_a_number_of_a_person_is_found_as_one(sdk: PhoneNumbersClient) -> None:
    found = await search(sdk, CALLS, phone_number_type="geographic", assignment_type="person")

    assert (str(found.assignment_type), len(found.phone_numbers)) == ("person", 1)


async def test_a_search_is_no_result_until_it_has_ended(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"operation_seconds": 60})
    http = await acs.http()

    started = await http.post(
        "/availablePhoneNumbers/countries/US/:search",
        json={
            "phoneNumberType": "tollFree",
            "assignmentType": "application",
            "capabilities": {"calling": "none", "sms": "outbound"},
        },
    )
    early = await http.get(started.headers["location"])
    await acs.pass_time(minutes=1)
    ended = await http.get(started.headers["location"])
    operation = await http.get(started.headers["operation-location"])

    assert started.headers["operation-id"].startswith("search_")
    assert (early.status_code, ended.status_code) == (404, 200)
    assert ended.json()["searchId"] == started.headers["search-id"]
    assert operation.json()["resourceLocation"] == operation.headers["location"] == started.headers["location"]


async def test_an_expired_search_buys_nothing_and_lets_its_numbers_go(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    found = await search(sdk)
    await acs.pass_time(minutes=15)

    with pytest.raises(ResourceExistsError):
        await buy(sdk, found.search_id)
    result = await (await acs.http()).get(f"/availablePhoneNumbers/searchResults/{found.search_id}")
    await acs.control("PATCH", "settings", {"browse_size": 10_000})

    assert result.json()["error"] == "ReservationExpired"
    assert set(found.phone_numbers) <= {number.phone_number for number in await on_sale(sdk)}
    assert await acs.bought() == []


async def test_an_unknown_search_is_not_found(sdk: PhoneNumbersClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        await buy(sdk, "00000000-0000-4000-8000-000000000000")


async def test_a_search_that_needs_the_agreement_says_so_and_is_bought_with_it(
    acs: AcsStandIn, sdk: PhoneNumbersClient
) -> None:
    found = await search(sdk, CALLS, country_code="FR", phone_number_type="geographic")

    with pytest.raises(HttpResponseError, match="agreeToNotResell"):
        await buy(sdk, found.search_id)
    await buy(sdk, found.search_id, agree=True)

    assert found.is_agreement_to_not_resell_required is True
    assert await acs.bought() == found.phone_numbers


async def test_a_tenant_searches_five_times_in_seven_days(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    for _ in range(5):
        await search(sdk)

    with pytest.raises(HttpResponseError) as refused:
        await search(sdk)

    assert refused.value.status_code == 429
    assert retry_after_s(refused.value) == timedelta(days=7).total_seconds()
    ledger = await acs.ledger()
    assert (len(ledger["searches"]), len(ledger["searchesRefused"])) == (5, 1)


async def test_an_impatient_search_prolongs_the_wait(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    for _ in range(5):
        await search(sdk)
    await acs.pass_time(days=6)
    with pytest.raises(HttpResponseError):
        await search(sdk)

    await acs.pass_time(days=1)
    for _ in range(4):
        await search(sdk)
    with pytest.raises(HttpResponseError) as refused:
        await search(sdk)

    assert refused.value.status_code == 429


async def test_reserving_uses_no_search(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    for _ in range(6):
        await reserve(sdk, (await on_sale(sdk))[0])

    assert (await acs.ledger())["searches"] == []


async def test_a_search_and_a_reservation_never_hold_the_same_number(start_acs: AcsStarter) -> None:
    acs = await start_acs(numbers_per_area=1)
    sdk = await acs.sdk()
    held = (await on_sale(sdk, phone_number_prefixes=["833"]))[0]
    await reserve(sdk, held)

    with pytest.raises(HttpResponseError, match="OutOfStock"):
        await search(sdk, area_code="833")

    assert [number.phone_number for number in await on_sale(sdk, phone_number_prefixes=["833"])] == []
