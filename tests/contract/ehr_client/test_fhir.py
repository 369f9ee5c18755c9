"""The search of Appointments: what is asked, what is counted, and that nothing else is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from contract.ehr_client.conftest import Ehr

from ehr_clients.errors import ContractError, RefusedError, TemporaryError
from ehr_clients.fhir import Fhir
from ehr_clients.http import Http

START = datetime(2026, 11, 18, 12, 30, 15, 999_000, tzinfo=UTC)
END = datetime(2026, 11, 19, 6, 0, tzinfo=timezone(timedelta(hours=-6)))


async def count(http: Http, ehr: Ehr, *, base_url: str | None = None) -> int:
    fhir = Fhir(http, base_url or ehr.base_url, "s3cret-token")
    return await fhir.count_appointments("location", ["21304876", "21304877"], START, END)


def bundle(*types: str, **parts: Any) -> dict[str, Any]:
    entries = [{"resource": {"resourceType": name, "id": "Nancy"}} for name in types]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries} | parts


@pytest.mark.parametrize("ending", ["", "/"])
async def test_the_search_names_its_actors_and_a_range_in_utc(http: Http, ehr: Ehr, ending: str) -> None:
    ehr.answers(bundle())
    await count(http, ehr, base_url=ehr.base_url + ending)
    (request,) = ehr.requests
    assert (request.method, request.url.path) == ("GET", "/r4/Appointment")
    assert parse_qsl(request.url.query) == [
        ("location", "21304876,21304877"),
        ("date", "ge2026-11-18T12:30:15Z"),
        ("date", "lt2026-11-19T12:00:00Z"),
    ]
    assert request.headers["accept"] == "application/fhir+json"
    assert request.headers["authorization"] == "Bearer s3cret-token"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (bundle(), 0),
        ({"resourceType": "Bundle", "total": 0}, 0),
        (bundle("Appointment", "Appointment"), 2),
        (bundle("Appointment", "OperationOutcome", "Patient"), 1),
        (bundle("Appointment", total=500), 1),
        ({"resourceType": "Bundle", "entry": [{"fullUrl": "x"}, {"resource": {"resourceType": "Appointment"}}]}, 1),
    ],
)
async def test_appointments_on_the_first_page_are_counted(
    http: Http, ehr: Ehr, body: dict[str, Any], expected: int
) -> None:
    ehr.answers(body)
    assert await count(http, ehr) == expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"resourceType": "Patient", "name": "Nancy"},
        {"resourceType": "OperationOutcome", "issue": [{"code": "Nancy"}]},
        {"resourceType": "Bundle", "entry": "Nancy"},
        {"resourceType": "Bundle", "entry": [{"resource": {"name": "Nancy"}}]},
    ],
)
async def test_what_is_no_bundle_breaks_the_contract_and_is_not_repeated(http: Http, ehr: Ehr, body: Any) -> None:
    ehr.answers(body)
    with pytest.raises(ContractError) as caught:
        await count(http, ehr)
    assert "Nancy" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"resourceType": "OperationOutcome", "issue": [{"code": "required"}, {"code": "value"}]}, "required"),
        (401, {"resourceType": "OperationOutcome", "issue": [{"code": "login", "diagnostics": "Nancy"}]}, "login"),
        (403, "Tenant not valid or accessible", ""),
        (404, {"resourceType": "OperationOutcome", "issue": []}, ""),
        (400, {"resourceType": "OperationOutcome", "issue": [{"code": "x" * 129}]}, ""),
        (400, {"issue": [{"code": "required"}]}, ""),
    ],
)
async def test_a_refusal_carries_the_code_of_the_first_issue(
    http: Http, ehr: Ehr, status: int, body: Any, code: str
) -> None:
    ehr.answers(body, status)
    with pytest.raises(RefusedError) as caught:
        await count(http, ehr)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert not [secret for secret in ("Nancy", "s3cret", "21304876") if secret in str(caught.value)]


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_a_server_that_is_busy_or_broken_is_temporary(http: Http, ehr: Ehr, status: int) -> None:
    ehr.answers({"resourceType": "OperationOutcome", "issue": [{"code": "throttled"}]}, status)
    with pytest.raises(TemporaryError) as caught:
        await count(http, ehr)
    assert caught.value.status == status
