"""Browse and reserve, driven by the vendor's own client."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.communication.phonenumbers.aio import PhoneNumbersClient
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from contract.acs_stand_in.running import (
    AcsStandIn,
    AcsStarter,
    error_codes_of,
    id_of,
    on_sale,
    reserve,
    reserve_any,
    statuses_of,
)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, lambda number: number.phone_number_type == "tollFree"),
        ({"sms_capability": "outbound"}, lambda number: number.capabilities.sms == "outbound"),
        ({"phone_number_prefixes": ["833"]}, lambda number: number.phone_number.startswith("+1833")),
        ({"phone_number_prefixes": ["+1844", "1855"]}, lambda number: number.id[1:4] in {"844", "855"}),
        (
            {"phone_number_type": "geographic", "assignment_type": "person"},
            lambda number: number.assignment_type == "person",
        ),
        (
            {"country_code": "FR", "phone_number_type": "geographic"},
            lambda number: number.is_agreement_to_not_resell_required,
        ),
    ],
    ids=["any", "capability", "prefix", "prefixes", "assignment", "country"],
)
async def test_browsing_finds_only_numbers_that_fit(sdk: PhoneNumbersClient, wanted: dict[str, Any], fits: Any) -> None:
    found = await on_sale(sdk, **wanted)

    assert found
    assert all(fits(number) for number in found)
    assert {str(number.status) for number in found} == {"available"}


async def test_browsing_again_finds_other_numbers_and_holds_none(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    before = (await acs.control("GET", "state"))["on_sale"]

    first, second = [[number.id for number in await on_sale(sdk)] for _ in range(2)]

    assert first != second
    assert (await acs.control("GET", "state"))["on_sale"] == before
    assert (await acs.ledger())["searches"] == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"phone_number_type": "geographic", "sms_capability": "outbound"},
        {"phone_number_type": "mobile"},
        {"country_code": "XX"},
        {"phone_number_type": "premium"},
    ],
    ids=["only-toll-free-texts-in-the-US", "type", "country", "unknown-type"],
)
async def test_browsing_for_what_is_not_offered_is_refused(sdk: PhoneNumbersClient, wanted: dict[str, Any]) -> None:
    with pytest.raises(HttpResponseError) as refused:
        await on_sale(sdk, **wanted)

    assert refused.value.status_code == 400


async def test_a_reserved_number_is_held_for_a_quarter_of_an_hour(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    number = (await on_sale(sdk))[0]

    reservation = await reserve(sdk, number)

    assert (str(reservation.status), statuses_of(reservation)) == ("active", {number.id: "reserved"})
    assert reservation.expires_at == acs.settings.now() + timedelta(minutes=15)
    assert number.id not in await everything_on_sale(acs, sdk)


async def everything_on_sale(acs: AcsStandIn, sdk: PhoneNumbersClient) -> set[str | None]:
    await acs.control("PATCH", "settings", {"browse_size": 10_000})
    return {number.id for number in await on_sale(sdk)}


async def test_a_change_adds_a_number_beside_the_first_and_never_replaces_it(sdk: PhoneNumbersClient) -> None:
    first, second = (await on_sale(sdk))[:2]
    reservation_id = id_of(await reserve(sdk, first))

    changed = await reserve(sdk, second, reservation_id=reservation_id)

    assert statuses_of(changed) == {first.id: "reserved", second.id: "reserved"}


async def test_the_same_change_again_changes_nothing(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    number = (await on_sale(sdk))[0]
    first = await reserve(sdk, number)

    again = await reserve(sdk, number, reservation_id=id_of(first).upper())

    assert (again.id, statuses_of(again)) == (first.id, {number.id: "reserved"})
    assert len((await acs.control("GET", "state"))["reservations"]) == 1


async def test_a_number_that_is_taken_out_is_on_sale_again(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    kept, dropped = (await on_sale(sdk))[:2]
    assert dropped.id is not None
    reservation_id = id_of(await reserve(sdk, kept, dropped))

    changed = await sdk.create_or_update_reservation(reservation_id=reservation_id, numbers_to_remove=[dropped.id])

    assert statuses_of(changed) == {kept.id: "reserved"}
    assert dropped.id in await everything_on_sale(acs, sdk)


async def test_a_change_prolongs_the_hold_up_to_two_hours_from_the_beginning(
    acs: AcsStandIn, sdk: PhoneNumbersClient
) -> None:
    reservation = await reserve(sdk, (await on_sale(sdk))[0])
    assert reservation.expires_at is not None
    created_at = reservation.expires_at - timedelta(minutes=15)
    ends: list[datetime | None] = []

    for _ in range(9):
        await acs.pass_time(minutes=13)
        ends.append((await reserve(sdk, reservation_id=id_of(reservation))).expires_at)

    assert ends[0] == created_at + timedelta(minutes=13 + 15)
    assert ends[-1] == created_at + timedelta(hours=2)


async def test_a_reservation_that_expired_lets_its_numbers_go_and_is_final(
    acs: AcsStandIn, sdk: PhoneNumbersClient
) -> None:
    number = (await on_sale(sdk))[0]
    reservation_id = id_of(await reserve(sdk, number))

    await acs.pass_time(minutes=15)
    expired = await sdk.get_reservation(reservation_id)

    assert (str(expired.status), statuses_of(expired)) == ("expired", {number.id: "expired"})
    assert number.id in await everything_on_sale(acs, sdk)
    with pytest.raises(ResourceExistsError):
        await reserve(sdk, number, reservation_id=reservation_id)
    with pytest.raises(ResourceExistsError):
        await sdk.begin_purchase_reservation(reservation_id)


async def test_a_number_that_somebody_else_holds_fails_alone(sdk: PhoneNumbersClient, acs: AcsStandIn) -> None:
    held, free = (await on_sale(sdk))[:2]
    await reserve(sdk, held)

    partial = await reserve(sdk, held, free)

    assert statuses_of(partial) == {held.id: "error", free.id: "reserved"}
    assert error_codes_of(partial) == {"FailedToReserveNumber"}
    assert [entry["phoneNumbers"] for entry in (await acs.ledger())["reservations"]][1] == [free.phone_number]


def wire_name(_attribute: str, description: dict[str, Any], value: Any) -> tuple[str, Any]:
    return description["key"], value


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 201),
        ({"countryCode": "GB"}, 207),
        ({"phoneNumberType": "geographic"}, 207),
        ({"capabilities": {"calling": "none", "sms": "fax"}}, 400),
        ({"countryCode": None}, 400),
        ({"capabilities": {"calling": "outbound", "sms": "none"}}, 201),
    ],
    ids=["as-it-is", "country", "type", "unknown-capability", "field-null", "less"],
)
async def test_a_reservation_says_by_its_status_what_became_of_it(
    acs: AcsStandIn, sdk: PhoneNumbersClient, change: dict[str, Any], status: int
) -> None:
    http = await acs.http()
    number = (await on_sale(sdk))[0]
    wanted = {**number.as_dict(key_transformer=wire_name), **change}

    answer = await http.patch(
        f"/availablePhoneNumbers/reservations/{uuid.uuid4()}",
        json={"phoneNumbers": {number.id: wanted}},
        headers={"Content-Type": "application/merge-patch+json"},
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("reservation_id", "media_type", "status"),
    [
        (str(uuid.uuid4()), "application/json", 415),
        ("no-uuid", "application/merge-patch+json", 400),
        (str(uuid.uuid4()), "application/merge-patch+json; charset=utf-8", 201),
    ],
    ids=["media-type", "id", "parameters"],
)
async def test_a_reservation_is_a_merge_patch_under_a_uuid(
    acs: AcsStandIn, reservation_id: str, media_type: str, status: int
) -> None:
    http = await acs.http()

    answer = await http.patch(
        f"/availablePhoneNumbers/reservations/{reservation_id}", content=b"{}", headers={"Content-Type": media_type}
    )

    assert answer.status_code == status


async def test_reservations_are_listed_page_by_page_without_their_numbers(sdk: PhoneNumbersClient) -> None:
    ids = [await reserve_any(sdk) for _ in range(5)]

    pages = [
        [reservation async for reservation in page] async for page in sdk.list_reservations(max_page_size=2).by_page()
    ]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [reservation.id for page in pages for reservation in page] == ids
    assert all(not reservation.phone_numbers for page in pages for reservation in page)


async def test_a_deleted_reservation_is_gone_and_its_number_on_sale(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    number = (await on_sale(sdk))[0]
    reservation_id = id_of(await reserve(sdk, number))

    await sdk.delete_reservation(reservation_id)

    assert number.id in await everything_on_sale(acs, sdk)
    for gone in (sdk.get_reservation, sdk.delete_reservation):
        with pytest.raises(ResourceNotFoundError):
            await gone(reservation_id)


async def test_a_reservation_under_purchase_is_not_deleted(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"operation_seconds": 60})
    sdk = await acs.sdk()
    reservation_id = await reserve_any(sdk)
    await sdk.begin_purchase_reservation(reservation_id, polling=False)

    with pytest.raises(ResourceExistsError):
        await sdk.delete_reservation(reservation_id)


async def test_a_reservation_is_forgotten_after_a_month(acs: AcsStandIn, sdk: PhoneNumbersClient) -> None:
    reservation_id = await reserve_any(sdk)

    await acs.pass_time(days=30)

    with pytest.raises(ResourceNotFoundError):
        await sdk.get_reservation(reservation_id)


async def test_a_restart_keeps_holds_and_time(start_acs: AcsStarter, tmp_path: Any) -> None:
    before = await start_acs(state_file=tmp_path / "state.json")
    sdk = await before.sdk()
    reservation_id = await reserve_any(sdk)
    await before.pass_time(minutes=14)

    after = await start_acs(state_file=tmp_path / "state.json")
    sdk = await after.sdk()
    held = str((await sdk.get_reservation(reservation_id)).status)
    await after.pass_time(minutes=1)

    assert held == "active"
    assert str((await sdk.get_reservation(reservation_id)).status) == "expired"
