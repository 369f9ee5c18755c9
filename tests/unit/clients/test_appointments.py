"""Appointments as the EHR sends them: what is odd about one leaves it out, and hides no other; none is written blindly."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ehr_clients.errors import ContractError
from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import Appointment

BASE_URL = "https://fhir.example/r4/t"
START, TEN_S = datetime(2026, 11, 23, 12, tzinfo=UTC), timedelta(seconds=10)
SOUND: dict[str, Any] = {
    "resourceType": "Appointment",
    "id": "4823",
    "meta": {"versionId": "7"},
    "status": "booked",
    "start": "2026-11-23T12:00:00Z",
    "end": "2026-11-23T12:30:00Z",
}


async def _streamed(text: str) -> AsyncGenerator[bytes]:
    yield text.encode()


def answer(body: Any, **headers: str) -> httpx.Response:
    """Return an answer of the EHR."""
    kind = {"Content-Type": "application/fhir+json"}
    return httpx.Response(200, content=_streamed(json.dumps(body)), headers=kind | headers)


async def search(*resources: Any) -> list[Appointment]:
    """Return what is found when the EHR has these resources."""
    body = {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer(body))) as http:
        return await Fhir(http, BASE_URL, "token").appointments("location", ["1"], START, START)


@pytest.mark.parametrize(
    "odd",
    [
        {"start": "2026-11-23T12:00:00"},
        {"start": "2026-11-23"},
        {"start": "9999-12-31T23:59:59Z"},
        {"start": "0001-01-01T00:00:00Z"},
        {"end": "9999-12-31T23:59:59Z"},
        {"minutesDuration": 10**12},
        {"minutesDuration": -5},
        {"id": "é"},
        {"id": "a/b"},
        {"id": "4824\n"},
        {"id": "x" * 65},
        {"id": ""},
        {"meta": {"versionId": 'é"'}},
    ],
)
async def test_an_odd_appointment_is_left_out_and_the_others_stay(odd: dict[str, Any]) -> None:
    found = await search(SOUND | {"id": "4824"} | odd, SOUND)

    assert [one.id for one in found] == ["4823"]


@pytest.mark.parametrize("moment", ["2020-01-01", "9999-12-31T23:59:59Z", "never"])
async def test_a_period_that_cannot_be_compared_is_as_good_as_none(moment: str) -> None:
    room = {
        "resourceType": "HealthcareService",
        "type": [{"text": "Provider Virtual Meeting Room"}],
        "telecom": [{"system": "url", "value": "https://a.example", "period": {"start": moment, "end": SOUND["end"]}}],
    }
    (found,) = await search(SOUND | {"contained": [room]})

    assert found.link_period() == (None, datetime(2026, 11, 23, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("meta", "etag", "expected"),
    [
        ({"versionId": "7"}, "", 'W/"7"'),
        ({"versionId": "7"}, 'W/"8"', 'W/"7"'),
        ({}, 'W/"8"', 'W/"8"'),
        ({}, '"8"', 'W/"8"'),
        ({}, "", None),
        ({}, 'W/"', None),
    ],
)
async def test_a_change_names_the_version_that_was_read_or_is_not_sent(
    meta: dict[str, str], etag: str, expected: str | None
) -> None:
    sent: list[str | None] = []

    def ehr(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            sent.append(request.headers.get("If-Match"))
        return answer(SOUND | {"meta": meta}, ETag=etag)

    async with httpx.AsyncClient(transport=httpx.MockTransport(ehr)) as http:
        fhir = Fhir(http, BASE_URL, "token")
        found = await fhir.appointment("4823")
        if expected is None:
            with pytest.raises(ContractError):
                await fhir.write_status(found, "arrived")
        else:
            await fhir.write_status(found, "arrived")

    assert sent == ([] if expected is None else [expected])


def crowded(asked: list[httpx.URL], a_page: int, all_of_them: int, *, endless: bool = False) -> Any:
    """Return an EHR with an appointment every ten seconds, few of them on a page; or with pages that never end."""

    def ehr(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        query = request.url.params
        low, high = (datetime.fromisoformat(date[2:]) for date in query.get_list("date"))
        first = int(query.get("page", "0")) * a_page
        numbers = [number for number in range(all_of_them) if low <= START + number * TEN_S < high]
        shown = numbers[first : first + a_page]
        found = [SOUND | {"id": str(number), "start": (START + number * TEN_S).isoformat()} for number in shown]
        following = query.set("page", str(first // a_page + 1))
        more = endless or first + a_page < len(numbers)
        links = [{"relation": "next", "url": f"{BASE_URL}/Appointment?{following}"}] if more else []
        return answer({"resourceType": "Bundle", "entry": [{"resource": one} for one in found], "link": links})

    return ehr


async def test_a_list_that_is_too_long_for_one_search_is_whole_all_the_same() -> None:
    asked: list[httpx.URL] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(crowded(asked, 3, 1_500))) as http:
        found = await Fhir(http, BASE_URL, "token").appointments("location", ["1"], START, START + timedelta(hours=5))

    assert sorted(int(one.id) for one in found) == list(range(1_500))
    assert asked[0].params["_count"] == "100"
    assert len(asked) <= 1_000


async def test_pages_that_never_end_are_not_followed_for_ever() -> None:
    asked: list[httpx.URL] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(crowded(asked, 1, 1, endless=True))) as http:
        with pytest.raises(ContractError, match="more than"):
            await Fhir(http, BASE_URL, "token").appointments("location", ["1"], START, START + timedelta(days=14))

    assert len(asked) <= 1_000
