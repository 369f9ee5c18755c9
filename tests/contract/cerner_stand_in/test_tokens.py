"""The token endpoint: who gets a token for what, and what each refusal says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.cerner_stand_in.running import (
    ALL_SCOPES,
    ASSERTION_TYPE,
    CLIENT,
    NOON,
    OTHER_TENANT,
    SECRET,
    SECRET_CLIENT,
    TENANT,
    CernerStandIn,
    Clock,
    Publisher,
    Starter,
    outcome_of,
)
from joserfc.jwk import ECKey, RSAKey
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

NOW_S = int(NOON.timestamp())


async def refusal_of(cerner: CernerStandIn, answer: httpx.Response) -> tuple[int, str, str]:
    """Return the status, the OAuth error, and the reason that its `error_uri` names and explains."""
    body = answer.json()
    assert set(body) == {"error", "error_uri"}
    assert answer.headers["cache-control"] == "no-store"
    page = await cerner.http.get(body["error_uri"])
    assert page.status_code == 200
    assert body["error"] in page.text
    return answer.status_code, body["error"], body["error_uri"].partition("/instances/")[0].rpartition(":")[2]


@pytest.mark.parametrize("key", ["EC", "RSA"])
async def test_a_signed_assertion_gets_a_token(start_cerner: Starter, key: str) -> None:
    made = {
        "EC": lambda: ECKey.generate_key("P-384", {"kid": "one"}, private=True),
        "RSA": lambda: RSAKey.generate_key(2048, {"kid": "one"}, private=True),
    }[key]()
    cerner = await start_cerner(Publisher(made))
    answer = await cerner.ask_token()

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json().pop("access_token")
    assert {**answer.json(), "access_token": token} == {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 570,
        "scope": ALL_SCOPES,
    }
    read = await cerner.http.get(f"/r4/{TENANT}/Location/21304876", headers={"Authorization": f"Bearer {token}"})
    assert read.status_code == 200


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"iss": "nobody", "sub": "nobody"}, "invalid_client", "client-unknown"),
        ({"iss": SECRET_CLIENT, "sub": SECRET_CLIENT}, "invalid_client", "client-unknown"),
        ({"without": "iss"}, "invalid_client", "client-unknown"),
        ({"sub": "nobody"}, "invalid_client", "issuer-subject"),
        ({"without": "sub"}, "invalid_client", "issuer-subject"),
        ({"aud": "https://authorization.cerner.com/"}, "invalid_client", "audience"),
        ({"aud": []}, "invalid_client", "audience"),
        ({"without": "aud"}, "invalid_client", "audience"),
        ({"exp": NOW_S}, "invalid_client", "expired"),
        ({"exp": NOW_S - 3600}, "invalid_client", "expired"),
        ({"exp": NOW_S + 301}, "invalid_client", "expiry-too-far"),
        ({"exp": "soon"}, "invalid_client", "expiry-missing"),
        ({"without": "exp"}, "invalid_client", "expiry-missing"),
        ({"jti": ""}, "invalid_client", "jti-missing"),
        ({"without": "jti"}, "invalid_client", "jti-missing"),
        ({"header": {"kid": "other"}}, "invalid_client", "key-unknown"),
        ({"key": ECKey.generate_key("P-384", {"kid": "first"}, private=True)}, "invalid_client", "signature"),
        ({"key": RSAKey.generate_key(2048, {"kid": "first"}, private=True)}, "invalid_client", "signature"),
        (
            {"key": ECKey.generate_key("P-256", {"kid": "first"}, private=True), "header": {"alg": "ES256"}},
            "invalid_client",
            "algorithm",
        ),
        ({"scope": None}, "invalid_scope", "scope-missing"),
        ({"scope": ""}, "invalid_scope", "scope-missing"),
        ({"scope": "system/*.read"}, "invalid_scope", "scope-refused"),
        ({"scope": "user/Patient.read launch"}, "invalid_scope", "scope-refused"),
        ({"form": {"grant_type": "password"}}, "unsupported_grant_type", "grant-type"),
        ({"form": {"client_assertion_type": "saml"}}, "invalid_request", "assertion-type"),
        ({"form": {"client_assertion": "x.y.z"}}, "invalid_client", "assertion-unreadable"),
        ({"form": {"client_assertion": "no-jwt"}}, "invalid_client", "assertion-unreadable"),
    ],
)
async def test_a_request_that_is_not_right_is_refused(
    cerner: CernerStandIn, changes: dict[str, Any], error: str, reason: str
) -> None:
    answer = await cerner.ask_token(**changes)

    assert await refusal_of(cerner, answer) == (400, error, reason)


async def test_an_assertion_is_good_once(cerner: CernerStandIn) -> None:
    first = await cerner.ask_token(jti="same")
    second = await cerner.ask_token(jti="same")

    assert first.status_code == 200
    assert await refusal_of(cerner, second) == (400, "invalid_client", "jti-reused")


async def test_an_assertion_that_was_refused_does_not_use_up_its_id(cerner: CernerStandIn) -> None:
    refused = await cerner.ask_token(jti="same", aud="elsewhere")
    granted = await cerner.ask_token(jti="same")

    assert (refused.status_code, granted.status_code) == (400, 200)


async def test_the_address_of_another_tenants_token_endpoint_is_no_audience(cerner: CernerStandIn) -> None:
    answer = await cerner.ask_token(audience=await cerner.token_endpoint(OTHER_TENANT))

    assert await refusal_of(cerner, answer) == (400, "invalid_client", "audience")


async def test_the_audience_may_be_in_a_list(cerner: CernerStandIn) -> None:
    answer = await cerner.ask_token(aud=["https://elsewhere.example", await cerner.token_endpoint()])

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "reason"),
    [
        (b"{}", {"Content-Type": "application/json"}, "form"),
        (b"grant_type=a&grant_type=b", {}, "form"),
        (b"\xff\xfe", {}, "form"),
        (b"grant_type=client_credentials", {}, "authentication-missing"),
    ],
)
async def test_a_request_that_is_no_form_or_proves_nothing_is_refused(
    cerner: CernerStandIn, content: bytes, headers: dict[str, str], reason: str
) -> None:
    usual = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await cerner.http.post(await cerner.token_endpoint(), content=content, headers=usual | headers)

    assert (await refusal_of(cerner, answer))[2] == reason


async def test_keys_are_fetched_once_for_many_assertions_and_again_after_a_minute(
    cerner: CernerStandIn, clock: Clock
) -> None:
    fetches: list[int] = []
    for seconds in (0, 30, 29, 1):
        clock.advance(seconds=seconds)
        assert (await cerner.ask_token()).status_code == 200
        fetches.append(cerner.publisher.fetches)

    assert fetches == [1, 1, 1, 2]


async def test_a_new_key_is_known_as_soon_as_it_is_published(cerner: CernerStandIn) -> None:
    await cerner.ask_token()
    new = ECKey.generate_key("P-384", {"kid": "second"}, private=True)
    before = await cerner.ask_token(key=new)
    cerner.publisher.published.append(new)
    after = await cerner.ask_token(key=new)

    assert (await refusal_of(cerner, before))[2] == "key-unknown"
    assert after.status_code == 200


async def test_a_key_that_was_withdrawn_is_refused_after_a_minute(cerner: CernerStandIn, clock: Clock) -> None:
    await cerner.ask_token()
    cerner.publisher.published[:] = [ECKey.generate_key("P-384", {"kid": "second"}, private=True)]
    clock.advance(minutes=1)

    assert (await refusal_of(cerner, await cerner.ask_token()))[2] == "key-unknown"


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("down", status_code=503),
        PlainTextResponse("<html>"),
        JSONResponse([]),
        JSONResponse({"keys": "none"}),
        JSONResponse({"keys": [{"kty": "EC"}]}),
        PlainTextResponse(" " * 300_000),
    ],
    ids=["status", "html", "list", "no keys", "broken key", "too large"],
)
async def test_a_client_whose_keys_cannot_be_had_is_refused(cerner: CernerStandIn, answer: Response) -> None:
    cerner.publisher.answer = answer

    assert (await refusal_of(cerner, await cerner.ask_token()))[1:] == ("invalid_client", "keys-unavailable")


async def test_a_client_whose_address_for_keys_does_not_answer_is_refused(start_cerner: Starter) -> None:
    cerner = await start_cerner(client_jwks_urls={CLIENT: "http://127.0.0.1:1/jwks.json"})

    assert (await refusal_of(cerner, await cerner.ask_token()))[2] == "keys-unavailable"


@pytest.mark.parametrize(("trusted", "status"), [(True, 200), (False, 400)])
async def test_keys_are_fetched_over_tls_from_whom_is_trusted(
    start_cerner: Starter, tmp_path: Path, trusted: bool, status: int
) -> None:
    ca, other = LocalCA.create(tmp_path / "ca"), LocalCA.create(tmp_path / "other")
    certificate, key = ca.server_certificate("client", "localhost")
    publisher = Publisher()
    async with serve(publisher.app, ssl_certfile=certificate, ssl_keyfile=key) as url:
        jwks = f"{url.replace('127.0.0.1', 'localhost')}/jwks.json"
        authority = ca.ca_file if trusted else other.ca_file
        cerner = await start_cerner(publisher, client_jwks_urls={CLIENT: jwks}, client_ca=authority)
        answer = await cerner.ask_token()

    assert answer.status_code == status


async def test_fewer_scopes_may_be_granted_than_were_asked_for(start_cerner: Starter) -> None:
    registered = frozenset({"system/Patient.read", "system/Appointment.crus"})
    cerner = await start_cerner(client_scopes={CLIENT: registered})
    answer = await cerner.ask_token(scope="system/Patient.read system/Location.read system/Nothing.read openid")

    assert answer.json()["scope"] == "system/Patient.read"


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("system/Location.read", "Location/21304876", 200),
        ("system/Location.rs", "Location/21304876", 200),
        ("system/Location.rs", "Location?_id=21304876", 200),
        ("system/Practitioner.crs", "Practitioner?active=true", 200),
        ("system/Patient.read", "Location/21304876", 403),
        ("system/Appointment.write", "Appointment/4817000", 403),
        ("system/Appointment.write", "Appointment?_id=4817000", 403),
    ],
)
async def test_a_token_is_good_for_what_its_scopes_say(
    cerner: CernerStandIn, scope: str, path: str, status: int
) -> None:
    answer = await cerner.http.get(f"/r4/{TENANT}/{path}", headers=await cerner.bearer(scope))

    assert answer.status_code == status
    if status == 403:
        assert outcome_of(answer) == (403, "forbidden")
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


async def test_a_token_expires(cerner: CernerStandIn, clock: Clock) -> None:
    headers = await cerner.bearer()
    clock.advance(seconds=569)
    in_time = await cerner.http.get(f"/r4/{TENANT}/Location/21304876", headers=headers)
    clock.advance(seconds=1)
    late = await cerner.http.get(f"/r4/{TENANT}/Location/21304876", headers=headers)

    assert in_time.status_code == 200
    assert outcome_of(late) == (401, "login")
    assert late.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, "Bearer"),
        ("Bearer", "Bearer"),
        ("Basic eDp5", "Bearer"),
        ("Bearer made-up", 'Bearer error="invalid_token"'),
    ],
)
@pytest.mark.parametrize("path", ["Location/21304876", "Appointment?_id=4817000", "Nothing"])
async def test_a_caller_without_a_good_token_is_refused(
    cerner: CernerStandIn, authorization: str | None, challenge: str, path: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = await cerner.http.get(f"/r4/{TENANT}/{path}", headers=headers)

    assert outcome_of(answer) == (401, "login")
    assert answer.headers["www-authenticate"] == challenge


def basic_form(**changes: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "scope": ALL_SCOPES} | changes


async def test_a_client_with_a_secret_gets_a_token(cerner: CernerStandIn) -> None:
    # RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined.
    answer = await cerner.http.post(
        await cerner.token_endpoint(), data=basic_form(), auth=(SECRET_CLIENT, "s3cret%3Awith%25signs")
    )

    assert answer.status_code == 200
    assert answer.json()["scope"] == ALL_SCOPES


@pytest.mark.parametrize(
    ("authorization", "form", "refusal"),
    [
        ((SECRET_CLIENT, "wrong"), {}, (401, "invalid_client", "secret-wrong")),
        (("nobody", SECRET), {}, (401, "invalid_client", "client-unknown")),
        ((CLIENT, SECRET), {}, (401, "invalid_client", "client-unknown")),
        ("Basic no-base64", {}, (401, "invalid_client", "authentication-missing")),
        ("Bearer token", {}, (401, "invalid_client", "authentication-missing")),
        (
            (SECRET_CLIENT, SECRET),
            {"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE},
            (400, "invalid_request", "authentication-twice"),
        ),
    ],
)
async def test_a_client_with_a_wrong_secret_is_refused(
    cerner: CernerStandIn, authorization: tuple[str, str] | str, form: dict[str, str], refusal: tuple[int, str, str]
) -> None:
    endpoint = await cerner.token_endpoint()
    if isinstance(authorization, str):
        answer = await cerner.http.post(endpoint, data=basic_form(**form), headers={"Authorization": authorization})
    else:
        answer = await cerner.http.post(endpoint, data=basic_form(**form), auth=authorization)

    assert await refusal_of(cerner, answer) == refusal
    assert ("www-authenticate" in answer.headers) is (refusal[0] == 401)


async def test_an_unknown_reason_has_no_page(cerner: CernerStandIn) -> None:
    assert (await cerner.http.get("/errors/urn:cerner:error:nothing/instances/1")).status_code == 404


async def test_an_assertion_may_be_reused_by_id_once_it_would_have_expired_anyway(
    cerner: CernerStandIn, clock: Clock
) -> None:
    first = await cerner.ask_token(jti="same")
    clock.advance(seconds=timedelta(minutes=5).total_seconds())
    later = await cerner.ask_token(jti="same")

    assert (first.status_code, later.status_code) == (200, 200)
