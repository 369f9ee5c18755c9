"""Each call of our client, and what it says of things that are not there or not allowed."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from contract.acs_client.connected import TEXTS, Connected
from contract.acs_stand_in.running import TOKEN

from ehr_clients.acs_auth import AccessKeyAuth, EntraTokenAuth
from ehr_clients.acs_numbers import AvailableNumber, Capabilities, PhoneNumbers
from ehr_clients.errors import ContractError, RefusedError, TemporaryError
from ehr_clients.http import client


async def test_a_number_is_browsed_reserved_bought_owned_and_released(connected: Connected) -> None:
    numbers, reservation_id = connected.numbers, str(uuid.uuid4())

    chosen = (await numbers.browse("US", "tollFree", TEXTS, "833"))[0]
    held = await numbers.reserve(reservation_id, chosen)
    purchase = await numbers.operation(await numbers.purchase(reservation_id))
    bought = await numbers.reservation(reservation_id)
    owned = await numbers.owned_number(chosen.phone_number)
    release = await numbers.operation(await numbers.release(chosen.phone_number))

    assert chosen.phone_number.startswith("+1833")
    assert chosen.cost is not None
    assert (held.status, [number.phone_number for number in held.held]) == ("active", [chosen.phone_number])
    assert held.expires_at == connected.acs.settings.now() + timedelta(minutes=15)
    assert (purchase and purchase.status, bought and bought.status) == ("succeeded", "completed")
    assert owned is not None
    assert (owned.phone_number, owned.capabilities, owned.cost) == (chosen.phone_number, TEXTS, chosen.cost)
    assert owned.purchase_date == connected.acs.settings.now()
    assert release is not None
    assert release.status == "succeeded"
    assert await numbers.owned() == []
    assert await connected.acs.bought() == [chosen.phone_number]


async def test_every_owned_number_is_listed_over_all_pages(connected: Connected) -> None:
    numbers = await connected.acs.own(250)

    owned = await connected.numbers.owned()

    assert [number.phone_number for number in owned] == numbers
    assert (await connected.acs.control("GET", "requests"))["count"] == 3


async def test_every_reservation_is_listed_over_all_pages_with_its_state_and_without_its_numbers(
    connected: Connected,
) -> None:
    made = [await connected.reserved() for _ in range(120)]
    await connected.numbers.purchase(made[0])

    listed = await connected.numbers.reservations()

    assert {one.id: one.status for one in listed} == {
        made[0]: "completed",
        **dict.fromkeys(made[1:], "active"),
    }
    assert {len(one.phone_numbers) for one in listed} == {0}


@pytest.mark.parametrize(
    "ask",
    [
        lambda numbers: numbers.owned_number("+18005550100"),
        lambda numbers: numbers.reservation(str(uuid.uuid4())),
        lambda numbers: numbers.operation("purchase_1"),
    ],
    ids=["number", "reservation", "operation"],
)
async def test_what_the_service_does_not_know_is_none(
    connected: Connected, ask: Callable[[PhoneNumbers], Awaitable[object]]
) -> None:
    assert await ask(connected.numbers) is None


async def test_a_number_just_bought_is_none_until_it_is_listed(connected: Connected) -> None:
    await connected.acs.control("PATCH", "settings", {"listing_delay_s": 180})
    reservation_id = await connected.reserved()
    await connected.numbers.purchase(reservation_id)
    (phone_number,) = await connected.acs.bought()

    early = await connected.numbers.owned_number(phone_number)
    await connected.acs.pass_time(minutes=3)
    listed = await connected.numbers.owned_number(phone_number)

    assert early is None
    assert listed is not None


async def test_a_second_number_is_held_beside_the_first(connected: Connected) -> None:
    first, second = await connected.on_sale(2)
    reservation_id = str(uuid.uuid4())
    await connected.numbers.reserve(reservation_id, first)

    both = await connected.numbers.reserve(reservation_id, second)

    assert [number.id for number in both.held] == [first.id, second.id]


async def test_a_number_that_somebody_else_holds_is_not_among_the_held(connected: Connected) -> None:
    number = (await connected.on_sale())[0]
    await connected.numbers.reserve(str(uuid.uuid4()), number)

    refused = await connected.numbers.reserve(str(uuid.uuid4()), number)

    assert (refused.status, refused.held) == ("active", [])
    failed = refused.phone_numbers[number.id]
    assert failed is not None
    assert failed.error is not None
    assert failed.error.code == "FailedToReserveNumber"


async def test_a_purchase_that_failed_says_why_by_its_operation(connected: Connected) -> None:
    reservation_id = await connected.reserved()
    failure = {"fail_operations": [{"operation_type": "reservationPurchase", "code": "NoWallet"}]}
    await connected.acs.control("POST", "state", failure)

    operation = await connected.numbers.operation(await connected.numbers.purchase(reservation_id))

    assert operation is not None
    assert operation.error is not None
    assert (operation.status, operation.error.code) == ("failed", "NoWallet")


async def test_a_number_that_must_not_be_resold_is_bought(connected: Connected) -> None:
    calls = Capabilities(calling="outbound", sms="none")
    number = (await connected.numbers.browse("FR", "geographic", calls, None))[0]
    reservation_id = str(uuid.uuid4())
    await connected.numbers.reserve(reservation_id, number)

    await connected.numbers.purchase(reservation_id)

    assert await connected.acs.bought() == [number.phone_number]


async def buy_twice(connected: Connected) -> object:
    reservation_id = await connected.reserved()
    await connected.numbers.purchase(reservation_id)
    return await connected.numbers.purchase(reservation_id)


async def buy_nothing(connected: Connected) -> object:
    return await connected.numbers.purchase(str(uuid.uuid4()))


async def release_what_is_not_owned(connected: Connected) -> object:
    return await connected.numbers.release("+18005550100")


async def browse_for_texts_of_local_numbers(connected: Connected) -> object:
    return await connected.numbers.browse("US", "geographic", TEXTS, None)


async def reserve_under_no_uuid(connected: Connected) -> object:
    return await connected.numbers.reserve("first", (await connected.on_sale())[0])


@pytest.mark.parametrize(
    ("act", "operation", "status", "code"),
    [
        (buy_twice, "purchase reservation", 409, "Conflict"),
        (buy_nothing, "purchase reservation", 404, "NotFound"),
        (release_what_is_not_owned, "release number", 404, "NotFound"),
        (browse_for_texts_of_local_numbers, "browse numbers", 400, "BadRequest"),
        (reserve_under_no_uuid, "reserve number", 400, "BadRequest"),
    ],
)
async def test_a_refusal_names_operation_status_and_code(
    connected: Connected, act: Callable[[Connected], Awaitable[object]], operation: str, status: int, code: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        await act(connected)

    assert (refused.value.operation, refused.value.status, refused.value.code) == (operation, status, code)
    assert str(refused.value) == f"Communication Services: {operation}: status {status} ({code})"


async def test_the_purchase_quota_is_temporary_and_says_when_to_come_back(connected: Connected) -> None:
    await connected.acs.control("PATCH", "settings", {"purchase_quota": 0})
    reservation_id = await connected.reserved()

    with pytest.raises(TemporaryError, match="TooManyRequests") as refused:
        await connected.numbers.purchase(reservation_id)

    assert (refused.value.retry_after_s, refused.value.ambiguous) == (3600.0, False)


@pytest.mark.parametrize("slash", ["", "/"], ids=["no-slash", "slash"])
async def test_the_key_opens_an_endpoint_written_with_or_without_a_slash(connected: Connected, slash: str) -> None:
    (phone_number,) = await connected.acs.own(1)

    owned = await PhoneNumbers(connected.http, connected.acs.url + slash).owned_number(phone_number)

    assert owned is not None


async def test_a_token_opens_too_and_is_asked_for_with_each_request(connected: Connected) -> None:
    asked: list[int] = []

    async def fetch_token() -> str:
        asked.append(len(asked))
        return TOKEN

    async with client(auth=EntraTokenAuth(fetch_token)) as http:
        numbers = PhoneNumbers(http, connected.acs.url)
        found = await numbers.browse("US", "tollFree", TEXTS, None)
        await numbers.reserve(str(uuid.uuid4()), found[0])

    assert asked == [0, 1]


async def other_token() -> str:
    return "token-of-another"


@pytest.mark.parametrize(
    "auth", [AccessKeyAuth("b3RoZXIga2V5"), EntraTokenAuth(other_token), None], ids=["key", "token", "none"]
)
async def test_who_is_not_let_in_is_refused_and_asks_once(connected: Connected, auth: httpx.Auth | None) -> None:
    (phone_number,) = await connected.acs.own(1)

    async with client(auth=auth) as http:
        with pytest.raises(RefusedError) as refused:
            await PhoneNumbers(http, connected.acs.url).owned_number(phone_number)

    assert (refused.value.status, refused.value.code) == (401, "Denied")
    assert (await connected.acs.control("GET", "requests"))["count"] == 1


@pytest.mark.parametrize("key", ["no base64", "a"], ids=["letters", "length"])
def test_a_key_that_is_not_base64_is_refused_at_once(key: str) -> None:
    with pytest.raises(ValueError, match="must be base64"):
        AccessKeyAuth(key)


def answering(status: int, body: bytes) -> PhoneNumbers:
    """Return a client of a service that says the same to everybody."""

    async def chunks() -> AsyncGenerator[bytes]:
        yield body

    transport = httpx.MockTransport(lambda _request: httpx.Response(status, content=chunks()))
    return PhoneNumbers(client(transport=transport), "https://acs.test")


NUMBER: dict[str, Any] = {
    "phoneNumber": "+18005550100",
    "countryCode": "US",
    "phoneNumberType": "tollFree",
    "capabilities": {"calling": "none", "sms": "outbound"},
}
AVAILABLE = AvailableNumber.model_validate({**NUMBER, "assignmentType": "application"})


@pytest.mark.parametrize(
    ("ask", "answer", "complaint"),
    [
        (lambda numbers: numbers.owned(), "<html>", "unexpected body at: the whole body"),
        (lambda numbers: numbers.owned(), {"phoneNumbers": [{}]}, r"unexpected body at: phoneNumbers\.0"),
        (lambda numbers: numbers.owned(), {"nextLink": "/again"}, "more than 200 pages"),
        (lambda numbers: numbers.owned(), " " * (4 * 1024 * 1024 + 1), "longer than 4194304 bytes"),
        (
            lambda numbers: numbers.owned_number("+1"),
            {**NUMBER, "capabilities": None},
            "unexpected body at: capabilities",
        ),
        (lambda numbers: numbers.reservation("1"), {"id": "1", "status": "sold"}, "unexpected body at: status"),
        (lambda numbers: numbers.reserve("1", AVAILABLE), {}, "unexpected body at: id, status"),
        (lambda numbers: numbers.browse("US", "tollFree", TEXTS, None), [], "unexpected body at: the whole body"),
        (lambda numbers: numbers.operation("1"), {"id": "1"}, "unexpected body at: status"),
        (lambda numbers: numbers.purchase("1"), {}, "the answer has no operation-id"),
        (lambda numbers: numbers.release("+1"), {}, "the answer has no operation-id"),
    ],
    ids=[
        *("no-json", "field-missing", "endless", "too-long", "null", "unknown-status", "reservation", "list"),
        *("operation", "purchase-without-id", "release-without-id"),
    ],
)
async def test_an_answer_that_breaks_the_contract_is_named_without_its_content(
    ask: Callable[[PhoneNumbers], Awaitable[object]], answer: object, complaint: str
) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    numbers = answering(200, text.encode())

    with pytest.raises(ContractError, match=complaint) as broken:
        await ask(numbers)

    assert "+18005550100" not in str(broken.value)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (302, b"", ""),
        (410, b"", ""),
        (410, b"<html>", ""),
        (410, b"{}", ""),
        (410, b'{"error": {"code": "Gone", "message": "It went."}}', "Gone"),
    ],
    ids=["redirect", "empty", "html", "other-json", "azure"],
)
async def test_a_refusal_has_the_code_that_its_body_holds(status: int, body: bytes, code: str) -> None:
    numbers = answering(status, body)

    with pytest.raises(RefusedError) as refused:
        await numbers.owned()

    assert (refused.value.status, refused.value.code) == (status, code)
