"""SMART on FHIR as the specification words it: discovery, and the token of the client itself."""

from __future__ import annotations

import time
from typing import Any

import pytest
from contract.ehr_client.conftest import Ehr
from joserfc import jwt
from joserfc.jwk import RSAKey

from ehr_clients.errors import ContractError, RefusedError, TemporaryError
from ehr_clients.http import Http
from ehr_clients.smart import Grant, SigningKey, discover, system_token

GRANT = {"access_token": "s3cret", "token_type": "Bearer", "scope": "system/Appointment.read", "expires_in": 300}
SCOPES = ["system/Appointment.read", "system/Patient.read"]


async def ask(http: Http, ehr: Ehr, key: SigningKey, scopes: list[str] = SCOPES) -> Grant:
    return await system_token(http, f"{ehr.origin}/token", "our-client", key, scopes)


@pytest.mark.parametrize("ending", ["", "/"])
async def test_discovery_asks_below_the_base_url_for_json(http: Http, ehr: Ehr, ending: str) -> None:
    ehr.answers({"token_endpoint": "https://auth.example/token", "issuer": "https://auth.example", "more": 1})
    found = await discover(http, ehr.base_url + ending)
    assert (found.token_endpoint, found.issuer) == ("https://auth.example/token", "https://auth.example")
    assert found.authorization_endpoint is None
    (request,) = ehr.requests
    assert (request.url.path, request.headers["accept"]) == (
        "/r4/.well-known/smart-configuration",
        "application/json",
    )


@pytest.mark.parametrize(
    ("stated", "meant"), [("token", "{base}/token"), ("/token", "{origin}/token"), ("./a/../token", "{base}/token")]
)
async def test_a_relative_token_endpoint_is_resolved_against_the_base_url(
    http: Http, ehr: Ehr, stated: str, meant: str
) -> None:
    ehr.answers({"token_endpoint": stated})
    found = await discover(http, ehr.base_url)
    assert found.token_endpoint == meant.format(base=ehr.base_url, origin=ehr.origin)


@pytest.mark.parametrize("stated", ["http://auth.example/token", "javascript:alert(1)", "file:///etc/passwd"])
async def test_a_token_endpoint_that_is_not_https_breaks_the_contract(http: Http, ehr: Ehr, stated: str) -> None:
    ehr.answers({"token_endpoint": stated})
    with pytest.raises(ContractError, match="https"):
        await discover(http, ehr.base_url)


@pytest.mark.parametrize(
    "body", [{}, [], {"token_endpoint": ""}, {"token_endpoint": None}, {"token_endpoint": "x" * 3000}]
)
async def test_a_configuration_without_a_token_endpoint_breaks_the_contract(http: Http, ehr: Ehr, body: Any) -> None:
    ehr.answers(body)
    with pytest.raises(ContractError):
        await discover(http, ehr.base_url)


async def test_the_assertion_holds_what_the_specification_asks_for(
    http: Http, ehr: Ehr, signing_key: SigningKey
) -> None:
    ehr.answers(GRANT)
    before = int(time.time())
    await ask(http, ehr, signing_key)
    (form,) = ehr.forms
    assertion = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "scope": " ".join(SCOPES),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    token = jwt.decode(assertion, signing_key.key, algorithms=["ES384"])
    assert token.header == {"alg": "ES384", "kid": signing_key.key_id, "typ": "JWT"}
    claims = token.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("our-client", "our-client", f"{ehr.origin}/token")
    assert before < claims["exp"] <= int(time.time()) + 300
    assert ehr.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_no_assertion_is_used_twice(http: Http, ehr: Ehr, signing_key: SigningKey) -> None:
    ehr.answers(GRANT)
    for _ in range(3):
        await ask(http, ehr, signing_key)
    ids = {
        jwt.decode(form["client_assertion"], signing_key.key, algorithms=["ES384"]).claims["jti"] for form in ehr.forms
    }
    assert len(ids) == 3


async def test_an_rsa_key_signs_with_rs384(http: Http, ehr: Ehr) -> None:
    ehr.answers(GRANT)
    key = SigningKey(RSAKey.generate_key(2048, private=True), "RS384", "20260101T000000Z-aa")
    await ask(http, ehr, key)
    assert jwt.decode(ehr.forms[0]["client_assertion"], key.key, algorithms=["RS384"]).header["alg"] == "RS384"


async def test_a_grant_tells_which_scopes_it_lacks_and_hides_its_token(
    http: Http, ehr: Ehr, signing_key: SigningKey
) -> None:
    ehr.answers(GRANT)
    grant = await ask(http, ehr, signing_key)
    assert grant.missing(SCOPES) == ["system/Patient.read"]
    assert grant.access_token == "s3cret"
    assert "s3cret" not in f"{grant!r} {grant}"


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ("system/Appointment.read system/Patient.read", []),
        ("system/Appointment.rs system/Patient.r", ["system/Patient.read"]),
        ("system/*.read", []),
        ("system/Appointment.cruds system/Patient.*", []),
        ("system/Appointment.r system/Appointment.s system/*.rs", []),
        ("user/Appointment.read patient/Patient.read", SCOPES),
        ("system/Appointment.write system/Patient.cud", SCOPES),
        ("system/Appointment.rs?status=booked system/Patient.read", ["system/Appointment.read"]),
        ("system/Appointment.readd system/.read openid", SCOPES),
        ("system/Appointment. system/Patient.read", ["system/Appointment.read"]),
        ("", SCOPES),
    ],
)
def test_a_scope_counts_as_granted_in_either_notation(granted: str, missing: list[str]) -> None:
    grant = Grant(access_token="s3cret", token_type="Bearer", scope=granted)
    assert grant.missing(SCOPES) == missing


def test_scopes_of_the_second_notation_are_covered_by_the_first() -> None:
    grant = Grant(
        access_token="s3cret", token_type="Bearer", scope="system/Appointment.write system/Patient.read launch"
    )
    needed = ["launch", "openid", "system/Appointment.cud", "system/Appointment.cruds", "system/Patient.rs"]
    assert grant.missing(needed) == ["openid", "system/Appointment.cruds"]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"error": "invalid_client"}, "invalid_client"),
        (401, {"error": "invalid_client", "error_description": "Nancy"}, "invalid_client"),
        (400, {"error": "invalid_scope"}, "invalid_scope"),
        (400, {"error": "x" * 129}, ""),
        (400, {"error": 7}, ""),
        (400, [], ""),
        (302, {}, ""),
        (403, "Tenant not valid or accessible", ""),
    ],
)
async def test_a_refusal_carries_the_oauth_error(
    http: Http, ehr: Ehr, signing_key: SigningKey, status: int, body: Any, code: str
) -> None:
    ehr.answers(body, status)
    with pytest.raises(RefusedError) as caught:
        await ask(http, ehr, signing_key)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert "Nancy" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_server_that_is_busy_or_broken_is_temporary(
    http: Http, ehr: Ehr, signing_key: SigningKey, status: int
) -> None:
    ehr.answers({"error": "server_error"}, status, **{"Retry-After": "30"})
    with pytest.raises(TemporaryError) as caught:
        await ask(http, ehr, signing_key)
    assert (caught.value.status, caught.value.retry_after_s) == (status, 30.0)


@pytest.mark.parametrize(
    "body", [{}, {"access_token": ""}, {"access_token": "s3cret"}, {"token_type": "Bearer"}, "s3cret"]
)
async def test_a_grant_without_token_or_type_breaks_the_contract_and_shows_nothing(
    http: Http, ehr: Ehr, signing_key: SigningKey, body: Any
) -> None:
    ehr.answers(body)
    with pytest.raises(ContractError) as caught:
        await ask(http, ehr, signing_key)
    assert "s3cret" not in str(caught.value)


async def test_a_signing_key_shows_in_no_representation(signing_key: SigningKey) -> None:
    secret = str(signing_key.key.as_dict(private=True)["d"])
    assert secret not in repr(signing_key)
