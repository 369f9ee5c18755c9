"""What the server says about itself, for which tenants, and to whom."""

from __future__ import annotations

from uuid import uuid4

import pytest
from contract.cerner_stand_in.running import OTHER_TENANT, TENANT, UNKNOWN_TENANT, CernerStandIn, Starter, outcome_of

OPEN = ("metadata", ".well-known/smart-configuration")


@pytest.mark.parametrize("host", [None, "fhir.lamna.example", "localhost:28443"])
async def test_every_address_is_under_the_one_that_the_caller_used(cerner: CernerStandIn, host: str | None) -> None:
    headers = {"Host": host} if host else {}
    origin = f"http://{host}" if host else cerner.url
    authority = origin.removeprefix("http://")
    statement, smart = [(await cerner.http.get(f"/r4/{TENANT}/{path}", headers=headers)).json() for path in OPEN]

    assert statement["implementation"]["url"] == f"{origin}/r4/{TENANT}"
    assert smart["issuer"] == f"{origin}/tenants/{TENANT}"
    assert smart["token_endpoint"] == (
        f"{origin}/tenants/{TENANT}/hosts/{authority}/protocols/oauth2/profiles/smart-v1/token"
    )
    addresses = [value for name, value in smart.items() if name.endswith("_endpoint") or name in {"issuer", "jwks_uri"}]
    assert all(address.startswith(f"{origin}/") for address in addresses)
    oauth = statement["rest"][0]["security"]["extension"][0]["extension"]
    assert {entry["url"]: entry["valueUri"] for entry in oauth}["token"] == smart["token_endpoint"]


async def test_the_capability_statement_reads_as_cerners(cerner: CernerStandIn) -> None:
    statement = (await cerner.http.get(f"/r4/{TENANT}/metadata")).json()

    shown = {name: statement[name] for name in ("name", "publisher", "kind", "fhirVersion", "date")}
    assert shown == {
        "name": "OracleHealthCapabilityStatement",
        "publisher": "Oracle Health",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "date": "2026-11-18",
    }
    assert "software" not in statement
    [appointment] = [entry for entry in statement["rest"][0]["resource"] if entry["type"] == "Appointment"]
    assert [entry["code"] for entry in appointment["interaction"]] == ["read", "search-type", "create", "patch"]


async def test_the_smart_configuration_offers_what_smart_2_asks_for(cerner: CernerStandIn) -> None:
    smart = (await cerner.http.get(f"/r4/{TENANT}/.well-known/smart-configuration")).json()

    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert smart["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "private_key_jwt"]
    assert smart["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert {"launch-ehr", "permission-v1", "permission-v2"} <= set(smart["capabilities"])
    assert {"system/Appointment.read", "system/Appointment.crus", "launch"} <= set(smart["scopes_supported"])
    assert not any("*" in scope for scope in smart["scopes_supported"])


@pytest.mark.parametrize("tenant", [UNKNOWN_TENANT, "no-guid", TENANT.replace("-", ""), TENANT.upper()])
@pytest.mark.parametrize("path", [*OPEN, "Appointment?_id=1", "Location/21304876", "a/b/c", ""])
async def test_an_unknown_tenant_is_refused_in_plain_text(cerner: CernerStandIn, tenant: str, path: str) -> None:
    answer = await cerner.http.get(f"/r4/{tenant}/{path}")

    assert (answer.status_code, answer.text) == (403, "Tenant not valid or accessible")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_token_endpoint_of_an_unknown_tenant_refuses_too(cerner: CernerStandIn) -> None:
    endpoint = (await cerner.token_endpoint()).replace(TENANT, UNKNOWN_TENANT)

    assert (await cerner.http.post(endpoint)).status_code == 403


async def test_a_token_of_one_tenant_is_refused_by_another(cerner: CernerStandIn) -> None:
    answer = await cerner.http.get(f"/r4/{OTHER_TENANT}/Location/21304876", headers=await cerner.bearer())

    assert (answer.status_code, answer.text) == (403, "Tenant not valid or accessible")


async def test_every_guid_is_a_tenant_when_any_may_be(start_cerner: Starter) -> None:
    cerner = await start_cerner(tenants=frozenset(), any_tenant=True)
    tenant = str(uuid4())

    assert (await cerner.get("Location/21304876", tenant=tenant)).status_code == 200
    assert (await cerner.http.get("/r4/no-guid/metadata")).status_code == 403


async def test_a_dstu2_address_says_that_it_is_one(cerner: CernerStandIn) -> None:
    answer = await cerner.http.get(f"/dstu2/{TENANT}/metadata")

    assert answer.headers["content-type"] == "application/json+fhir"
    assert (answer.json()["resourceType"], answer.json()["fhirVersion"]) == ("Conformance", "1.0.2")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/dstu2/{UNKNOWN_TENANT}/metadata", 403),
        (f"/dstu2/{TENANT}/Appointment", 404),
        (f"/r4/{TENANT}", 404),
        (f"/r4/{TENANT}/", 404),
        ("/r5/x/metadata", 404),
        ("/", 404),
    ],
)
async def test_nothing_else_is_served(cerner: CernerStandIn, path: str, status: int) -> None:
    assert (await cerner.http.get(path)).status_code == status


@pytest.mark.parametrize("path", ["metadata", "Location/21304876"])
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("application/json;q=0.9, text/html", 200),
        ("application/*", 200),
        ("*/*", 200),
        ("application/xml", 406),
        ("application/fhir+xml, text/html", 406),
    ],
)
async def test_only_json_is_spoken(cerner: CernerStandIn, path: str, accept: str, status: int) -> None:
    headers = await cerner.bearer() | {"Accept": accept}
    answer = await cerner.http.get(f"/r4/{TENANT}/{path}", headers=headers)

    assert answer.status_code == status
    assert (answer.content == b"") is (status == 406)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_but_a_patch_can_be_written(cerner: CernerStandIn, method: str) -> None:
    answer = await cerner.http.request(method, f"/r4/{TENANT}/Appointment/4817000", headers=await cerner.bearer())

    assert outcome_of(answer) == (405, "not-supported")
