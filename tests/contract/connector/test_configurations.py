"""A configuration is held as it was sent, under preconditions, on either database."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import rfc8785
from contract.connector.running import (
    NEW,
    Connector,
    Document,
    Starter,
    digest_of,
    organization,
    organization_path,
    path_of,
    with_endpoints,
)
from sqlalchemy import Engine, event, text

from ehr_connector.store.database import open_database


def match(digest: str) -> dict[str, str]:
    return {"If-Match": digest if digest.startswith('"') else f'"{digest}"'}


async def execute(database_url: str, statement: str, **values: Any) -> None:
    """Write into the database behind the connector's back."""
    engine = open_database(database_url)
    async with engine.begin() as connection:
        await connection.execute(text(statement), values)
    await engine.dispose()


async def test_a_document_comes_back_byte_by_byte_with_its_digest_as_etag(connector: Connector) -> None:
    document = organization(displayName="Lämna “Klinik” 診療所")
    answer = await connector.put(document, NEW)
    held = await connector.get(path_of(document))
    assert (answer.status_code, answer.content, held.status_code) == (204, b"", 200)
    assert rfc8785.dumps(held.json()) == rfc8785.dumps(document)
    assert answer.headers["ETag"] == held.headers["ETag"] == f'"{digest_of(document)}"'


async def test_reading_twice_gives_the_same_bytes(connector: Connector) -> None:
    document = organization()
    await connector.put_new(document)
    first = await connector.get(path_of(document))
    second = await connector.get(path_of(document))
    assert first.content == second.content
    assert first.headers["Content-Type"] == "application/json"


async def test_a_configuration_that_cannot_be_audited_is_not_held(connector: Connector, database_url: str) -> None:
    held, other = organization(), organization(name="other", endpoints=[])
    await connector.put_new(held)
    await execute(database_url, "ALTER TABLE audit_event RENAME TO audit_event_away")
    assert (await connector.put(other, NEW)).status_code == 500
    assert (await connector.send("DELETE", path_of(held))).status_code == 500
    await execute(database_url, "ALTER TABLE audit_event_away RENAME TO audit_event")
    assert (await connector.get(path_of(other))).status_code == 404
    assert (await connector.get(path_of(held))).status_code == 200


async def test_a_deleted_configuration_is_gone(connector: Connector) -> None:
    document = organization()
    await connector.put_new(document)
    await connector.delete(document)
    assert (await connector.get(path_of(document))).status_code == 404


async def test_deleting_what_is_not_there_is_no_error(connector: Connector) -> None:
    answer = await connector.send("DELETE", path_of(organization()))
    assert answer.status_code == 204


async def test_a_deleted_organization_can_come_back(connector: Connector) -> None:
    document = organization()
    first = await connector.put_new(document)
    await connector.delete(document)
    assert await connector.put_new(document) == first


async def test_organizations_of_one_name_in_two_namespaces_are_two(connector: Connector) -> None:
    one, other = organization(namespace="one"), organization(namespace="other", displayName="Other")
    await connector.put_new(one)
    await connector.put_new(other)
    await connector.delete(other)
    assert (await connector.get(path_of(one))).json() == one


async def test_an_update_with_the_etag_that_was_read_replaces_the_document(connector: Connector) -> None:
    document = organization()
    etag = await connector.put_new(document)
    changed = document | {"displayName": "Lamna Health"}
    answer = await connector.put(changed, match(etag))
    assert (answer.status_code, answer.headers["ETag"]) == (204, f'"{digest_of(changed)}"')
    assert (await connector.get(path_of(document))).json() == changed


async def test_if_match_star_replaces_whatever_stands(connector: Connector) -> None:
    document = organization()
    await connector.put_new(document)
    answer = await connector.put(document | {"displayName": "Lamna Health"}, {"If-Match": "*"})
    assert answer.status_code == 204


@pytest.mark.parametrize("headers", [{"If-Match": "*"}, match("sha256:" + "0" * 64)])
async def test_if_match_fails_where_nothing_stands(connector: Connector, headers: dict[str, str]) -> None:
    answer = await connector.put(organization(), headers)
    assert answer.status_code == 412
    assert (await connector.get(path_of(organization()))).status_code == 404


@pytest.mark.parametrize("headers", [NEW, match("sha256:" + "0" * 64)])
async def test_a_precondition_that_fails_changes_nothing(connector: Connector, headers: dict[str, str]) -> None:
    document = organization()
    await connector.put_new(document)
    answer = await connector.put(document | {"displayName": "Lamna Health"}, headers)
    assert answer.status_code == 412
    assert "read it again" in answer.json()["detail"]
    assert (await connector.get(path_of(document))).json() == document


async def test_a_stale_etag_is_refused_once_somebody_else_wrote(connector: Connector) -> None:
    document = organization()
    stale = await connector.put_new(document)
    theirs = document | {"displayName": "Theirs"}
    assert (await connector.put(theirs, match(stale))).status_code == 204
    assert (await connector.put(document | {"displayName": "Ours"}, match(stale))).status_code == 412
    assert (await connector.get(path_of(document))).json() == theirs


async def test_without_a_precondition_nothing_is_written(connector: Connector) -> None:
    answer = await connector.put(organization(), {})
    assert answer.status_code == 428
    assert "If-None-Match" in answer.json()["detail"]
    assert (await connector.get(path_of(organization()))).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": f'W/"sha256:{"0" * 64}"'}, 400),
        ({"If-Match": "sha256:" + "0" * 64}, 400),
        ({"If-Match": '"one", "two"'}, 400),
        ({"If-Match": '"unclosed'}, 400),
        ({"If-Match": ""}, 400),
        ({"If-None-Match": '"sha256"'}, 428),
    ],
)
async def test_a_precondition_that_is_not_understood_is_refused(
    small: Connector, headers: dict[str, str], status: int
) -> None:
    assert (await small.put(organization(), headers)).status_code == status
    assert (await small.get(path_of(organization()))).status_code == 404


async def test_of_two_that_create_at_once_exactly_one_wins(connector: Connector) -> None:
    documents = [organization(displayName=f"Version {number}") for number in range(8)]
    answers = await asyncio.gather(*(connector.put(document, NEW) for document in documents))
    assert sorted(answer.status_code for answer in answers) == [204] + [412] * 7
    winner = next(document for document, answer in zip(documents, answers, strict=True) if answer.status_code == 204)
    assert (await connector.get(path_of(winner))).json() == winner


async def test_of_two_that_update_at_once_exactly_one_wins(connector: Connector) -> None:
    etag = await connector.put_new(organization())
    documents = [organization(displayName=f"Version {number}") for number in range(8)]
    answers = await asyncio.gather(*(connector.put(document, match(etag)) for document in documents))
    assert sorted(answer.status_code for answer in answers) == [204] + [412] * 7
    winner = next(document for document, answer in zip(documents, answers, strict=True) if answer.status_code == 204)
    assert (await connector.get(path_of(winner))).json() == winner


async def test_of_two_replicas_that_update_at_once_exactly_one_wins(start: Starter, database_url: str) -> None:
    one, other = await start(database_url), await start(database_url)
    etag = await one.put_new(organization())
    answers = await asyncio.gather(
        *(
            replica.put(organization(displayName=f"Version {number}"), match(etag))
            for number, replica in enumerate([one, other] * 4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [204] + [412] * 7
    assert (await one.get(path_of(organization()))).content == (await other.get(path_of(organization()))).content


async def test_a_document_changed_in_the_database_shows_in_the_etag(connector: Connector, database_url: str) -> None:
    document = organization()
    etag = await connector.put_new(document)
    tampered = document | {"displayName": "Somebody else"}
    await execute(database_url, "UPDATE organization SET document = :document", document=json.dumps(tampered))
    held = await connector.get(path_of(document))
    assert held.headers["ETag"] == f'"{digest_of(tampered)}"' != etag
    assert (await connector.put(document, match(etag))).status_code == 412


async def test_a_restart_keeps_everything(start: Starter, database_url: str) -> None:
    document = organization()
    async with start.running(database_url) as before:
        etag = await before.put_new(document)
    async with start.running(database_url) as after:
        held = await after.get(path_of(document))
        claimed = await after.put(organization("other", endpoints=document["endpoints"]), NEW)
    assert (held.json(), held.headers["ETag"], claimed.status_code) == (document, etag, 409)


@pytest.mark.parametrize(
    "statement", ["UPDATE organization", "DELETE FROM base_url_claim", "INSERT INTO base_url_claim"]
)
async def test_a_failure_between_two_statements_leaves_the_old_configuration_whole(
    connector: Connector, statement: str
) -> None:
    document = organization()
    etag = await connector.put_new(document)
    changed = with_endpoints("https://fhir.example/r4/new")

    def fail(*arguments: Any) -> None:
        if arguments[2].startswith(statement):
            raise RuntimeError("the process died here")

    event.listen(Engine, "after_cursor_execute", fail)
    try:
        assert (await connector.put(changed, match(etag))).status_code == 500
    finally:
        event.remove(Engine, "after_cursor_execute", fail)
    held = await connector.get(path_of(document))
    assert (held.json(), held.headers["ETag"]) == (document, etag)
    others = [
        (await connector.put(organization(f"other-{index}", endpoints=endpoints), NEW)).status_code
        for index, endpoints in enumerate((document["endpoints"], changed["endpoints"]))
    ]
    assert others == [409, 204]


async def test_two_thousand_endpoints_are_held_replaced_and_given_up(connector: Connector) -> None:
    urls = [f"https://fhir.example/r4/{number}" for number in range(2000)]
    document = with_endpoints(*urls)
    etag = await connector.put_new(document)
    assert (await connector.get(path_of(document))).json() == document
    moved = with_endpoints(*(f"{url}/moved" for url in urls))
    assert (await connector.put(moved, match(etag))).status_code == 204
    assert (await connector.put(with_endpoints(*urls, name="other"), NEW)).status_code == 204


async def test_the_evidence_of_a_new_organization_is_empty(connector: Connector) -> None:
    document = organization()
    await connector.put_new(document)
    answer = await connector.get(f"{organization_path(document)}/evidence")
    assert (answer.status_code, answer.json()) == (200, {"profiles": [], "records": []})


async def test_evidence_tells_times_in_utc_and_of_this_organization_alone(
    connector: Connector, database_url: str
) -> None:
    document = organization()
    await connector.put_new(document)
    digest = "sha256:" + "a" * 64
    zone = "" if database_url.startswith("sqlite") else "+02:00"
    hour = 8 if zone else 6
    for name, launches in (("lamna", 3), ("other", 9)):
        await execute(
            database_url,
            "INSERT INTO profile_evidence (namespace, name, endpoint, profile_digest, provider_launches, patient_joins,"
            f" last_seen) VALUES ('lamna', :name, 'lamna-test', :digest, :launches, 2, '2026-11-01 0{hour}:30:00{zone}')",
            name=name,
            digest=digest,
            launches=launches,
        )
        await execute(
            database_url,
            "INSERT INTO record_evidence (namespace, name, record, last_seen_launch)"
            f" VALUES ('lamna', :name, 'lamna-test-provider', '2026-11-01 0{hour}:30:00{zone}')",
            name=name,
        )
    answer = await connector.get(f"{organization_path(document)}/evidence")
    assert answer.json() == {
        "profiles": [
            {
                "endpoint": "lamna-test",
                "profileDigest": digest,
                "providerLaunches": 3,
                "patientJoins": 2,
                "lastSeen": "2026-11-01T06:30:00Z",
            }
        ],
        "records": [{"record": "lamna-test-provider", "lastSeenLaunch": "2026-11-01T06:30:00Z"}],
    }


async def test_evidence_outlives_the_configuration_that_it_is_about(connector: Connector, database_url: str) -> None:
    document = organization()
    await connector.put_new(document)
    await execute(
        database_url,
        "INSERT INTO record_evidence (namespace, name, record, last_seen_launch)"
        " VALUES ('lamna', 'lamna', 'lamna-test-provider', '2026-11-01 06:30:00')",
    )
    await connector.delete(document)
    await connector.put_new(document)
    answer = await connector.get(f"{organization_path(document)}/evidence")
    assert [entry["record"] for entry in answer.json()["records"]] == ["lamna-test-provider"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "configuration"),
        ("GET", "evidence"),
        ("POST", "endpoints/lamna-test/probes"),
        ("GET", "nothing"),
    ],
)
async def test_an_unknown_organization_or_address_is_not_found(small: Connector, method: str, path: str) -> None:
    answer = await small.send(method, f"{organization_path(organization())}/{path}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_unknown_endpoint_is_not_found_and_named(small: Connector) -> None:
    document: Document = organization()
    await small.put_new(document)
    answer = await small.send("POST", f"{organization_path(document)}/endpoints/nobody/probes")
    assert answer.status_code == 404
    assert "'nobody'" in answer.json()["detail"]
