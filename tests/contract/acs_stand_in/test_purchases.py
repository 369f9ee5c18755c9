"""Buy what is reserved, follow the operation, own the number and give it up: by the vendor's own client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from azure.communication.phonenumbers.aio import PhoneNumbersClient
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError, ServiceRequestError
from contract.acs_stand_in.running import (
    AcsStandIn,
    AcsStarter,
    error_codes_of,
    id_of,
    on_sale,
    reserve,
    reserve_any,
    retry_after_s,
    statuses_of,
)


async def buy_any(sdk: PhoneNumbersClient) -> str:
    """Buy a number and return it."""
    number = (await on_sale(sdk))[0]
    reservation = await reserve(sdk, number)
    await (await sdk.begin_purchase_reservation(id_of(reservation))).result()
    assert number.phone_number is not None
    return number.phone_number


async def test_a_purchase_buys_every_number_of_the_reservation_in_one_operation(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"purchase_quota": 2})
    sdk = await acs.sdk()
    first, second = (await on_sale(sdk))[:2]
    reservation_id = id_of(await reserve(sdk, first, second))

    poller = await sdk.begin_purchase_reservation(reservation_id)
    nothing = await poller.result()
    bought = await sdk.get_reservation(reservation_id)

    assert nothing is None
    assert str(bought.status) == "completed"
    assert statuses_of(bought) == {first.id: "purchased", second.id: "purchased"}
    assert await acs.bought() == [first.phone_number, second.phone_number]
    assert (await acs.ledger())["totalCost"] == {"amount": 4.0, "currencyCode": "USD"}


async def test_an_operation_runs_until_its_time_has_come(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"operation_seconds": 90})
    sdk, http = await acs.sdk(), await acs.http()
    reservation_id = await reserve_any(sdk)

    started = await http.post(f"/availablePhoneNumbers/reservations/{reservation_id}/:purchase", json={})
    location = started.headers["operation-location"]
    running = await http.get(location)
    during = await sdk.get_reservation(reservation_id)
    await acs.pass_time(seconds=90)
    ended = await http.get(location)

    assert (started.status_code, started.content) == (202, b"")
    assert location == f"/phoneNumbers/operations/{started.headers['operation-id']}?api-version=2025-06-01"
    assert started.headers["operation-id"] == f"reservationPurchase_{started.headers['reservation-purchase-id']}"
    assert (running.json()["status"], running.json()["operationType"]) == ("running", "reservationPurchase")
    assert str(during.status) == "submitted"
    assert ended.json()["status"] == "succeeded"
    assert ended.json().keys() == {"id", "operationType", "status", "createdDateTime", "lastActionDateTime"}


async def test_the_vendors_poller_waits_and_can_be_resumed(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"operation_seconds": 90})
    sdk = await acs.sdk()
    reservation_id = await reserve_any(sdk)

    poller = await sdk.begin_purchase_reservation(reservation_id, polling_interval=0)
    token = poller.continuation_token()
    before = await acs.bought()
    await acs.pass_time(seconds=90)
    resumed = await sdk.begin_purchase_reservation(reservation_id, continuation_token=token, polling_interval=0)
    await resumed.result()

    assert before == []
    assert (resumed.status().lower(), len(await acs.bought())) == ("succeeded", 1)


async def test_a_second_purchase_is_refused_and_buys_nothing(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    reservation_id = await reserve_any(sdk)
    await (await sdk.begin_purchase_reservation(reservation_id)).result()

    with pytest.raises(ResourceExistsError):
        await sdk.begin_purchase_reservation(reservation_id)

    assert len(await acs.bought()) == 1


async def test_a_purchase_whose_answer_was_lost_can_be_asked_after(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    reservation_id = await reserve_any(sdk)
    await acs.control("PUT", "faults", [{"action": "lose_answer", "path": "/:purchase$"}])

    with pytest.raises(ServiceRequestError):
        await sdk.begin_purchase_reservation(reservation_id)

    assert str((await sdk.get_reservation(reservation_id)).status) == "completed"
    assert len(await acs.bought()) == 1


async def test_an_empty_reservation_is_not_bought(sdk: PhoneNumbersClient) -> None:
    reservation_id = id_of(await reserve(sdk))

    with pytest.raises(HttpResponseError) as refused:
        await sdk.begin_purchase_reservation(reservation_id)

    assert refused.value.status_code == 400


async def test_a_number_that_must_not_be_resold_is_bought_only_with_the_agreement(
    acs: AcsStandIn, sdk: PhoneNumbersClient
) -> None:
    number = (await on_sale(sdk, country_code="FR", phone_number_type="geographic"))[0]
    reservation_id = id_of(await reserve(sdk, number))

    with pytest.raises(HttpResponseError) as refused:
        await sdk.begin_purchase_reservation(reservation_id)
    await sdk.begin_purchase_reservation(reservation_id, agree_to_not_resell=True)

    assert refused.value.status_code == 400
    assert await acs.bought() == [number.phone_number]


@pytest.mark.parametrize("under_way", [False, True], ids=["owned", "under-way"])
async def test_a_tenant_may_own_one_number_unless_support_raised_the_quota(
    start_acs: AcsStarter, *, under_way: bool
) -> None:
    acs = await start_acs(behaviour={"operation_seconds": 60 if under_way else 0})
    sdk = await acs.sdk()
    await sdk.begin_purchase_reservation(await reserve_any(sdk), polling=False)
    second = await reserve_any(sdk)

    with pytest.raises(HttpResponseError) as refused:
        await sdk.begin_purchase_reservation(second)
    after_refusal = str((await sdk.get_reservation(second)).status)
    await acs.control("PATCH", "settings", {"purchase_quota": 2})
    await sdk.begin_purchase_reservation(second, polling=False)
    await acs.pass_time(minutes=1)

    assert refused.value.status_code == 429
    assert retry_after_s(refused.value) == 3600
    assert after_refusal == "active"
    assert (len(await acs.bought()), len((await acs.ledger())["purchasesRefused"])) == (2, 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fail_operations": [{"operation_type": "reservationPurchase", "code": "NoWallet"}]}, "NoWallet"),
        ({"fail_operations": [{"operation_type": "reservationPurchase"}]}, "ProvisioningFailed"),
        ({"sell": ["{number}"]}, "AllNumbersNotAcquired"),
    ],
    ids=["wallet", "usual", "sold-meanwhile"],
)
async def test_a_purchase_that_fails_owns_nothing_and_says_why(
    acs: AcsStandIn, sdk: PhoneNumbersClient, change: dict[str, Any], code: str
) -> None:
    number = (await on_sale(sdk))[0]
    reservation_id = id_of(await reserve(sdk, number))
    if "sell" in change:
        change = {"sell": [number.phone_number]}
    await acs.control("POST", "state", change)

    with pytest.raises(HttpResponseError, match=code):
        await (await sdk.begin_purchase_reservation(reservation_id)).result()
    failed = await sdk.get_reservation(reservation_id)

    assert await acs.bought() == []
    assert (statuses_of(failed), error_codes_of(failed)) == ({number.id: "error"}, {code})


async def test_a_purchase_of_two_of_which_one_was_sold_buys_the_other(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"purchase_quota": 2})
    sdk = await acs.sdk()
    free, sold = (await on_sale(sdk))[:2]
    reservation_id = id_of(await reserve(sdk, free, sold))
    await acs.control("POST", "state", {"sell": [sold.phone_number]})

    with pytest.raises(HttpResponseError, match="NumbersPartiallyAcquired"):
        await (await sdk.begin_purchase_reservation(reservation_id)).result()

    assert await acs.bought() == [free.phone_number]
    assert statuses_of(await sdk.get_reservation(reservation_id)) == {free.id: "purchased", sold.id: "error"}


async def test_a_number_just_bought_is_not_listed_at_once(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"listing_delay_s": 180})
    sdk = await acs.sdk()
    phone_number = await buy_any(sdk)

    with pytest.raises(ResourceNotFoundError):
        await sdk.get_purchased_phone_number(phone_number)
    early = [number async for number in sdk.list_purchased_phone_numbers()]
    await acs.pass_time(minutes=3)

    assert early == []
    assert await acs.bought() == [phone_number]
    assert (await sdk.get_purchased_phone_number(phone_number)).phone_number == phone_number


async def test_an_owned_number_says_what_it_is_and_not_who_bought_it(sdk: PhoneNumbersClient, acs: AcsStandIn) -> None:
    phone_number = await buy_any(sdk)

    number = (await (await acs.http()).get(f"/phoneNumbers/{phone_number}")).json()

    assert number == {
        "id": phone_number.removeprefix("+"),
        "phoneNumber": phone_number,
        "countryCode": "US",
        "phoneNumberType": "tollFree",
        "assignmentType": "application",
        "capabilities": {"calling": "inbound+outbound", "sms": "inbound+outbound"},
        "cost": {"amount": 2.0, "currencyCode": "USD", "billingFrequency": "monthly"},
        "purchaseDate": acs.settings.now().isoformat().replace("+00:00", "Z"),
    }


async def test_owned_numbers_are_listed_a_hundred_a_page(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    numbers = await acs.own(250)

    pages = [
        [number.phone_number async for number in page] async for page in sdk.list_purchased_phone_numbers().by_page()
    ]

    assert [len(page) for page in pages] == [100, 100, 50]
    assert [number for page in pages for number in page] == numbers


@pytest.mark.parametrize(
    ("query", "status", "shown"),
    [
        ({"skip": "1", "top": "1"}, 200, [1]),
        ({"skip": "9"}, 200, []),
        ({"top": "1000"}, 200, [0, 1, 2]),
        ({"top": "0"}, 200, [0]),
        ({"skip": "-1"}, 400, None),
        ({"top": "all"}, 400, None),
    ],
    ids=["middle", "beyond", "too-many", "none", "negative", "no-number"],
)
async def test_a_page_is_cut_by_skip_and_top(
    acs: AcsStandIn, query: dict[str, str], status: int, shown: list[int] | None
) -> None:
    numbers = await acs.own(3)
    http = await acs.http()

    answer = await http.get("/phoneNumbers", params={**http.params, **query})

    listed = [number["phoneNumber"] for number in answer.json()["phoneNumbers"]] if answer.is_success else None
    assert answer.status_code == status
    assert listed == (None if shown is None else [numbers[index] for index in shown])


@pytest.mark.parametrize("spelling", ["+", "%2B"])
async def test_a_released_number_is_gone_for_good(acs: AcsStandIn, acs_http: httpx.AsyncClient, spelling: str) -> None:
    sdk = await acs.sdk()
    phone_number = await buy_any(sdk)

    released = await acs_http.delete(f"/phoneNumbers/{phone_number.replace('+', spelling)}")
    operation = (await acs_http.get(released.headers["operation-location"])).json()
    await acs.control("PATCH", "settings", {"browse_size": 10_000})

    assert (released.status_code, operation["operationType"]) == (202, "releasePhoneNumber")
    assert released.headers["operation-id"] == f"release_{released.headers['release-id']}"
    assert operation["status"] == "succeeded"
    assert [entry["phoneNumber"] for entry in (await acs.ledger())["releases"]] == [phone_number]
    assert phone_number not in [number.phone_number for number in await on_sale(sdk)]
    with pytest.raises(ResourceNotFoundError):
        await sdk.begin_release_phone_number(phone_number)


async def test_a_number_is_owned_until_its_release_has_ended(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"operation_seconds": 60})
    sdk = await acs.sdk()
    (phone_number,) = await acs.own(1)

    poller = await sdk.begin_release_phone_number(phone_number, polling_interval=0)
    with pytest.raises(ResourceExistsError):
        await sdk.begin_release_phone_number(phone_number)
    during = await sdk.get_purchased_phone_number(phone_number)
    await acs.pass_time(minutes=1)
    nothing = await poller.result()

    assert (during.phone_number, nothing) == (phone_number, None)
    assert [number async for number in sdk.list_purchased_phone_numbers()] == []


async def test_a_release_that_fails_keeps_the_number(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    (phone_number,) = await acs.own(1)
    await acs.control("POST", "state", {"fail_operations": [{"operation_type": "releasePhoneNumber"}]})

    with pytest.raises(HttpResponseError, match="ProvisioningFailed"):
        await (await sdk.begin_release_phone_number(phone_number)).result()

    assert (await acs.ledger())["releases"] == []
    assert (await sdk.get_purchased_phone_number(phone_number)).phone_number == phone_number


async def test_capabilities_change_by_an_operation_that_ends_in_the_number(
    acs: AcsStandIn, sdk: PhoneNumbersClient
) -> None:
    (phone_number,) = await acs.own(1)

    changed = await (await sdk.begin_update_phone_number_capabilities(phone_number, calling="none")).result()

    assert changed.capabilities.as_dict() == {"calling": "none", "sms": "inbound+outbound"}


async def test_an_operation_that_is_cancelled_has_no_effect(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"operation_seconds": 60})
    http = await acs.http()
    (phone_number,) = await acs.own(1)
    location = (await http.delete(f"/phoneNumbers/{phone_number}")).headers["operation-location"]

    cancelled = await http.delete(location)
    operation = (await http.get(location)).json()
    await acs.pass_time(minutes=1)

    assert cancelled.status_code == 204
    assert (operation["status"], operation["error"]["code"]) == ("failed", "OperationCanceled")
    assert (await http.get(f"/phoneNumbers/{phone_number}")).is_success


async def test_a_restart_finishes_what_was_under_way_and_forgets_no_money(start_acs: AcsStarter, tmp_path: Any) -> None:
    options: dict[str, Any] = {"state_file": tmp_path / "state.json", "behaviour": {"operation_seconds": 60}}
    before = await start_acs(**options)
    sdk = await before.sdk()
    reservation_id = await reserve_any(sdk)
    poller = await sdk.begin_purchase_reservation(reservation_id, polling=False)
    assert poller is not None

    after = await start_acs(**options)
    await after.pass_time(minutes=1)
    bought = await after.bought()
    again = await start_acs(**options)
    sdk = await again.sdk()
    second = await reserve_any(sdk)
    with pytest.raises(HttpResponseError) as refused:
        await sdk.begin_purchase_reservation(second)

    assert len(bought) == 1
    assert await again.bought() == bought
    assert refused.value.status_code == 429
