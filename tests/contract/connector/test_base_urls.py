"""A FHIR base URL belongs to one organisation of a connector, on either database."""

from __future__ import annotations

import asyncio

import pytest
from contract.connector.running import NEW, Connector, Starter, host_in_upper_case, path_of, with_endpoints

URL = "https://fhir.example/r4/tenant"


async def test_a_second_claim_is_refused_and_names_the_base_url(connector: Connector) -> None:
    await connector.put_new(with_endpoints("https://fhir.example/r4/mine", URL))
    second = with_endpoints("https://fhir.example/r4/theirs", URL, name="second")
    answer = await connector.put(second, NEW)
    assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert URL in answer.json()["detail"]
    assert answer.json()["field"] == "endpoints.baseURL"
    assert (await connector.get(path_of(second))).status_code == 404


async def test_a_refusal_does_not_tell_who_holds_the_base_url(connector: Connector) -> None:
    await connector.put_new(with_endpoints(URL, name="rival-hospital"))
    answer = await connector.put(with_endpoints(URL, name="second"), NEW)
    assert "rival-hospital" not in answer.text


@pytest.mark.parametrize(
    "written",
    [host_in_upper_case(URL), f"{URL}/", "https://FHIR.example/r4/tenant/"],
    ids=["upper case", "slash", "both"],
)
async def test_another_way_to_write_a_base_url_is_the_same_claim(connector: Connector, written: str) -> None:
    await connector.put_new(with_endpoints(URL))
    assert (await connector.put(with_endpoints(written, name="second"), NEW)).status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        "/r4/TENANT",
        "/r4/./tenant",
        "/r4/other/../tenant",
        "/r4//tenant",
        "/r4/%74enant",
        "/r4/%2E/tenant",
        "/r4/tenant;a=b",
    ],
    ids=["case", "dot", "two dots", "empty segment", "encoded letter", "encoded dot", "parameter"],
)
async def test_a_path_that_may_reach_the_same_server_is_the_same_claim(small: Connector, path: str) -> None:
    await small.put_new(with_endpoints(URL))
    written = with_endpoints(f"https://fhir.example{path}", name="second")
    answer = await small.put(written, NEW)
    assert (answer.status_code, URL in answer.json()["detail"]) == (409, True)


async def test_one_organization_has_a_base_url_once_however_it_is_written(small: Connector) -> None:
    answer = await small.put(with_endpoints(URL, "https://fhir.example/r4/../r4/tenant"), NEW)
    assert (answer.status_code, answer.json()["field"]) == (422, "endpoints.1.baseURL")


async def test_deletion_frees_the_base_url(connector: Connector) -> None:
    first, second = with_endpoints(URL), with_endpoints(URL, name="second")
    await connector.put_new(first)
    await connector.delete(first)
    assert (await connector.put(second, NEW)).status_code == 204


async def test_an_endpoint_that_leaves_the_document_frees_its_base_url(connector: Connector) -> None:
    etag = await connector.put_new(with_endpoints(URL, "https://fhir.example/r4/kept"))
    await connector.put(with_endpoints("https://fhir.example/r4/kept"), {"If-Match": etag})
    assert (await connector.put(with_endpoints(URL, name="second"), NEW)).status_code == 204


async def test_two_endpoints_of_one_organization_swap_their_base_urls(connector: Connector) -> None:
    other = "https://fhir.example/r4/other"
    etag = await connector.put_new(with_endpoints(URL, other))
    swapped = with_endpoints(other, URL)
    assert (await connector.put(swapped, {"If-Match": etag})).status_code == 204
    assert (await connector.get(path_of(swapped))).json() == swapped
    assert (await connector.put(with_endpoints(URL, name="second"), NEW)).status_code == 409


async def test_a_refused_change_keeps_the_claims_of_the_one_before(connector: Connector) -> None:
    mine, theirs, free = (f"https://fhir.example/r4/{name}" for name in ("mine", "theirs", "free"))
    etag = await connector.put_new(with_endpoints(mine))
    await connector.put_new(with_endpoints(theirs, name="second"))
    answer = await connector.put(with_endpoints(free, theirs), {"If-Match": etag})
    assert (answer.status_code, theirs in answer.json()["detail"]) == (409, True)
    later = [
        (await connector.put(with_endpoints(url, name=f"third-{index}"), NEW)).status_code
        for index, url in enumerate((mine, free))
    ]
    assert later == [409, 204]


async def test_of_many_that_claim_one_base_url_at_once_exactly_one_gets_it(start: Starter, database_url: str) -> None:
    replicas = [await start(database_url), await start(database_url)]
    answers = await asyncio.gather(
        *(replicas[number % 2].put(with_endpoints(URL, name=f"hospital-{number}"), NEW) for number in range(8))
    )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(204), set(statuses) - {204, 409, 412}) == (1, set())


@pytest.mark.parametrize(
    "written",
    ["https://fhir.example:443/r4/tenant", "https://fhir.example./r4/tenant"],
    ids=["default port", "root dot"],
)
async def test_the_default_port_and_the_dot_of_the_root_make_no_other_base_url(small: Connector, written: str) -> None:
    await small.put_new(with_endpoints(URL))
    assert (await small.put(with_endpoints(written, name="second"), NEW)).status_code == 409


async def test_many_that_claim_the_same_base_urls_in_different_orders_all_get_an_answer(
    start: Starter, database_url: str
) -> None:
    replicas = [await start(database_url), await start(database_url)]
    urls = [f"https://fhir.example/r4/{number}" for number in range(150)]
    answers = await asyncio.gather(
        *(
            replicas[number % 2].put(
                with_endpoints(*(urls if number % 2 else urls[::-1]), name=f"hospital-{number}"), NEW
            )
            for number in range(8)
        )
    )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(204), set(statuses) - {204, 409, 412}) == (1, set())
