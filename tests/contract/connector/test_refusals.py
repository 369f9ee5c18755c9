"""What is not a configuration for this connector is refused with the field and the remedy, and without an echo."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from contract.connector.running import (
    NEW,
    Connector,
    Document,
    organization,
    organization_path,
    path_of,
    with_endpoints,
)

CANARY = "Nancy-Smart-1990"


async def refused(connector: Connector, document: Any, *, path: str | None = None) -> dict[str, Any]:
    """PUT a document that must be refused with 422, and return the problem."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    answer = await connector.send("PUT", path or path_of(organization()), content=body, headers=NEW)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json"), answer.text
    assert CANARY not in answer.text
    assert (await connector.get(path_of(organization()))).status_code == 404
    return answer.json()


async def test_another_geography_is_refused_with_the_field_and_the_remedy(small: Connector) -> None:
    problem = await refused(small, organization(dataGeography="Europe"))
    assert problem["field"] == "dataGeography"
    assert "Americas" in problem["detail"]
    assert "Europe" in problem["detail"]
    assert "controlURL" in problem["detail"]


@pytest.mark.parametrize("change", [{"name": "other"}, {"namespace": "other"}])
async def test_a_document_under_another_name_is_refused(small: Connector, change: dict[str, str]) -> None:
    problem = await refused(small, organization() | change)
    assert problem["field"] == "name"


@pytest.mark.parametrize("second", ["https://fhir.example/r4/t", "https://FHIR.example/r4/t/"])
async def test_two_endpoints_with_one_base_url_are_refused(small: Connector, second: str) -> None:
    problem = await refused(small, with_endpoints("https://fhir.example/r4/t", second))
    assert problem["field"] == "endpoints.1.baseURL"
    assert "https://fhir.example/r4/t" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        f'"{CANARY}"'.encode(),
        f'{{"displayName": "{CANARY}"'.encode(),
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "null", "list", "string", "cut with input", "no UTF-8", "deep"],
)
async def test_a_body_that_is_no_json_document_is_refused(small: Connector, body: bytes) -> None:
    problem = await refused(small, body)
    assert problem["status"] == 422


@pytest.mark.parametrize(
    "path",
    ["displayName", "dataGeography", "ehr", "publicURL", "microsoft365", "endpoints.0.baseURL", "endpoints.1.active"],
)
async def test_a_missing_field_is_named(small: Connector, path: str) -> None:
    document: Any = organization()
    place: Any = document
    *parents, last = path.split(".")
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    del place[last]
    problem = await refused(small, document)
    assert problem["field"] == path
    assert path in problem["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"displayName": [CANARY]}, "displayName"),
        ({"displayName": CANARY * 10}, "displayName"),
        ({"dataGeography": CANARY}, "dataGeography"),
        ({"ehr": {"system": CANARY, "release": "2018.11"}}, "ehr.system"),
        ({"endpoints": CANARY}, "endpoints"),
    ],
)
async def test_a_wrong_value_is_not_echoed(small: Connector, change: Document, field: str) -> None:
    problem = await refused(small, organization() | change)
    assert problem["field"] == field


async def test_fields_of_a_newer_operator_are_ignored(small: Connector) -> None:
    document = organization()
    answer = await small.put(document | {"fromTheFuture": CANARY}, NEW)
    assert answer.status_code == 204
    assert (await small.get(path_of(document))).json() == document


async def test_more_than_32_mebibytes_are_refused_while_they_arrive(small: Connector) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64:
            sent += 1
            yield b" " * 2**20

    answer = await small.send("PUT", path_of(organization()), content=endless(), headers=NEW)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")
    assert sent == 33


async def test_exactly_32_mebibytes_are_accepted(small: Connector) -> None:
    document = organization()
    body = json.dumps(document).encode().ljust(32 * 2**20)
    answer = await small.send("PUT", path_of(document), content=body, headers=NEW)
    assert answer.status_code == 204


async def test_a_precondition_is_asked_for_before_the_body_is_read(small: Connector) -> None:
    sent = 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 8:
            sent += 1
            yield b" " * 2**20

    answer = await small.send("PUT", path_of(organization()), content=large())
    assert (answer.status_code, sent) == (428, 0)


@pytest.mark.parametrize("name", ["UPPER", "under_score", "a" * 254, "-dash", "%20", "..%2f..%2fetc"])
async def test_a_name_that_no_kubernetes_object_can_have_is_refused(small: Connector, name: str) -> None:
    answer = await small.send("GET", f"/control/v1/organizations/lamna/{name}/configuration")
    assert answer.status_code in {404, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_another_method_is_refused_and_told_what_is_allowed(small: Connector) -> None:
    answer = await small.send("PATCH", path_of(organization()))
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")
    assert answer.headers["Allow"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_who_is_not_the_operator_learns_nothing_of_what_is_configured(small: Connector, method: str) -> None:
    document = organization()
    await small.put_new(document)
    answers = [
        await small.http.request(method, path_of(organization(name)), content=b"{") for name in ("lamna", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert (await small.get(path_of(document))).json() == document


@pytest.mark.parametrize("path", ["/evidence", "/endpoints/lamna-test/probes", "/configuration"])
async def test_every_address_asks_who_calls(small: Connector, path: str) -> None:
    method = "POST" if path.endswith("probes") else "GET"
    answer = await small.http.request(method, organization_path(organization()) + path)
    assert answer.status_code == 401


async def test_two_endpoints_of_one_name_are_refused(small: Connector) -> None:
    document = with_endpoints("https://fhir.example/r4/a", "https://fhir.example/r4/b")
    document["endpoints"][1]["name"] = document["endpoints"][0]["name"]
    problem = await refused(small, document)
    assert problem["field"] == "endpoints.1.name"


async def test_a_base_url_that_is_no_url_is_refused(small: Connector) -> None:
    problem = await refused(small, with_endpoints("https://[/r4"))
    assert problem["field"] == "endpoints.0.baseURL"
