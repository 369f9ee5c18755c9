"""The EHR launch: from a clinician's click to tokens, and every refusal on the way."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from contract.cerner_stand_in.journey import (
    APP,
    OPENED,
    REDIRECT,
    SCOPE,
    Journey,
    journey_at,
    reason_of,
    redirected,
)
from contract.cerner_stand_in.running import (
    ASSERTION_TYPE,
    CLIENT,
    OTHER_TENANT,
    TENANT,
    UNKNOWN_TENANT,
    CernerStandIn,
    Clock,
    Publisher,
    Starter,
    outcome_of,
)
from joserfc import jwt
from joserfc.jwk import KeySet

from ehr_sandbox.serving import serve


async def test_a_launch_ends_in_tokens_for_what_is_open(journey: Journey) -> None:
    answer = await journey.exchange(await journey.code())
    body = answer.json()

    assert answer.headers["cache-control"] == "no-store"
    assert {name: body[name] for name in body if not name.endswith("_token")} == {
        "token_type": "Bearer",
        "expires_in": 570,
        "scope": " ".join(sorted(SCOPE.split())),
        "patient": "12724001",
        "encounter": "94817001",
        "need_patient_banner": False,
        "tenant": TENANT,
    }
    assert {name for name in body if name.endswith("_token")} == {"access_token", "id_token", "refresh_token"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_redirect_brings_code_and_state(journey: Journey, method: str) -> None:
    brought = redirected(await journey.ask(method=method))

    assert set(brought) == {"code", "state"}
    assert brought["state"] == "a state"


async def test_the_token_reads_and_patches(journey: Journey) -> None:
    cerner = journey.cerner
    headers = {"Authorization": f"Bearer {(await journey.tokens())['access_token']}"}
    encounter = await cerner.http.get(f"/r4/{TENANT}/Encounter/94817001", headers=headers)
    location = await cerner.http.get(f"/r4/{TENANT}/Location/21304876", headers=headers)
    arrived = [{"op": "replace", "path": "/status", "value": "arrived"}]
    patched = await cerner.patch(await cerner.book(), arrived, authorization=headers["Authorization"])

    assert encounter.status_code == 200
    assert outcome_of(location) == (403, "forbidden")
    assert patched.status_code == 200


async def test_the_id_token_says_who_the_clinician_is(journey: Journey) -> None:
    cerner = journey.cerner
    token = (await journey.tokens())["id_token"]
    issuer = f"{cerner.url}/tenants/{TENANT}/oidc/idsps/{TENANT}/"
    configuration = (await cerner.http.get(f"{issuer}.well-known/openid-configuration")).json()
    keys = KeySet.import_key_set((await cerner.http.get(configuration["jwks_uri"])).json())
    decoded = jwt.decode(token, keys, algorithms=["RS256"])

    assert configuration["issuer"] == issuer
    assert decoded.header["alg"] == "RS256"
    assert decoded.claims.pop("sub").isalnum()
    now_s = int(cerner.clock.time.timestamp())
    assert decoded.claims == {
        "iss": issuer,
        "aud": APP,
        "nonce": "a nonce",
        "fhirUser": f"{cerner.url}/r4/{TENANT}/Practitioner/4122601",
        "iat": now_s,
        "exp": now_s + 570,
    }


async def test_the_issuer_of_the_id_token_is_not_that_of_the_smart_configuration(cerner: CernerStandIn) -> None:
    smart = (await cerner.http.get(f"/r4/{TENANT}/.well-known/smart-configuration")).json()
    keys = (await cerner.http.get(smart["jwks_uri"])).json()["keys"]

    assert smart["issuer"] == f"{cerner.url}/tenants/{TENANT}"
    assert "authorization_code" in smart["grant_types_supported"]
    assert {"launch-ehr", "client-public", "client-confidential-asymmetric", "sso-openid-connect"} <= set(
        smart["capabilities"]
    )
    assert all(key["kty"] == "RSA" and "d" not in key for key in keys)


async def test_only_what_was_asked_for_and_exists_is_granted(journey: Journey) -> None:
    tokens = await journey.tokens(scope="launch user/Patient.read user/Unheard.of system/Patient.read")

    assert tokens["scope"] == "launch user/Patient.read"
    assert {"id_token", "refresh_token"}.isdisjoint(tokens)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"response_type": "token"}, "unsupported_response_type", "response-type"),
        ({"aud": None}, "invalid_request", "aud-missing"),
        ({"aud": "https://evil.example/r4/x"}, "invalid_request", "aud-wrong"),
        ({"code_challenge": None}, "invalid_request", "challenge"),
        ({"code_challenge": "short"}, "invalid_request", "challenge"),
        ({"code_challenge_method": None}, "invalid_request", "challenge-method"),
        ({"code_challenge_method": "plain"}, "invalid_request", "challenge-method"),
        ({"scope": None}, "invalid_scope", "scope-missing"),
        ({"scope": "openid fhirUser"}, "invalid_scope", "launch-scope"),
        ({"launch": None}, "invalid_request", "launch-missing"),
        ({"launch": "made-up"}, "invalid_request", "launch-unknown"),
    ],
)
async def test_a_refusal_goes_to_the_redirect_uri_with_the_state(
    journey: Journey, changes: dict[str, Any], error: str, reason: str
) -> None:
    brought = redirected(await journey.ask(**changes))

    assert (brought["error"], brought["state"], reason_of(brought["error_uri"])) == (error, "a state", reason)
    page = await journey.cerner.http.get(brought["error_uri"])
    assert error in page.text


async def test_a_request_without_state_is_refused_without_one(journey: Journey) -> None:
    brought = redirected(await journey.ask(state=None))

    assert set(brought) == {"error", "error_uri"}
    assert reason_of(brought["error_uri"]) == "state-missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": CLIENT},
        {"redirect_uri": f"{REDIRECT}/"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": None},
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered_to_the_letter(
    journey: Journey, changes: dict[str, Any]
) -> None:
    answer = await journey.ask(**changes)

    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_repeated_parameter_is_refused(journey: Journey) -> None:
    items = [("client_id", APP), ("redirect_uri", REDIRECT), ("state", "1"), ("aud", "x"), ("aud", "y")]
    brought = redirected(await journey.cerner.http.get(journey.authorize, params=httpx.QueryParams(list(items))))

    assert reason_of(brought["error_uri"]) == "parameter-twice"


async def test_a_launch_of_one_tenant_is_unknown_at_another(journey: Journey) -> None:
    brought = redirected(await journey.ask(launch=await journey.launch(tenant=OTHER_TENANT)))

    assert reason_of(brought["error_uri"]) == "launch-unknown"


async def test_a_launch_lives_ten_minutes(journey: Journey, clock: Clock) -> None:
    launch = await journey.launch()
    clock.advance(seconds=599)
    in_time = redirected(await journey.ask(launch=launch))
    clock.advance(seconds=1)
    late = redirected(await journey.ask(launch=launch))

    assert "code" in in_time
    assert reason_of(late["error_uri"]) == "launch-unknown"


async def test_a_launch_can_be_made_to_be_denied(journey: Journey) -> None:
    brought = redirected(await journey.ask(launch=await journey.launch(deny=True)))

    assert (brought["error"], brought["state"]) == ("access_denied", "a state")


async def test_an_unknown_tenant_authorizes_nobody(journey: Journey) -> None:
    answer = await journey.cerner.http.get(journey.authorize.replace(TENANT, UNKNOWN_TENANT))

    assert answer.status_code == 403


async def test_an_app_with_keys_must_sign(start_cerner: Starter) -> None:
    publisher = Publisher()
    cerner = await start_cerner()
    journey = await journey_at(cerner)
    async with serve(publisher.app) as keys_url:
        app = {"id": APP, "redirectUris": [REDIRECT], "jwksUrl": f"{keys_url}/jwks.json"}
        await cerner.control("PUT", "clients", [app])
        unsigned = await journey.exchange(await journey.code())
        assertion = publisher.assertion(journey.token, cerner.clock.time, iss=APP, sub=APP)
        signed = await journey.exchange(
            await journey.code(), client_id=None, client_assertion_type=ASSERTION_TYPE, client_assertion=assertion
        )

    assert (unsigned.json()["error"], reason_of(unsigned.json()["error_uri"])) == ("invalid_client", "app-confidential")
    assert signed.status_code == 200


async def test_a_system_client_is_no_app_and_an_app_no_system_client(start_cerner: Starter) -> None:
    publisher = Publisher()
    cerner = await start_cerner(publisher)
    journey = await journey_at(cerner)
    async with serve(publisher.app) as keys_url:
        app = {"id": APP, "redirectUris": [REDIRECT], "jwksUrl": f"{keys_url}/jwks.json"}
        await cerner.control("PUT", "clients", [app])
        as_app = await cerner.ask_token(form={"grant_type": "authorization_code", "code": await journey.code()})
        as_system = await cerner.ask_token(iss=APP, sub=APP)

    assert reason_of(as_app.json()["error_uri"]) == "app-unknown"
    assert (as_system.json()["error"], reason_of(as_system.json()["error_uri"])) == (
        "unauthorized_client",
        "client-not-system",
    )


async def test_registrations_are_replaced_and_shown(journey: Journey) -> None:
    only = [{"id": "third", "redirectUris": ["https://third.example/cb"], "jwksUrl": None}]
    await journey.cerner.control("PUT", "clients", only)

    assert await journey.cerner.control("GET", "clients") == only
    assert (await journey.ask()).status_code == 400
    assert (await journey.cerner.http.put("/_sandbox/clients", json=[{"id": "x"}])).status_code == 400


async def test_what_a_launch_brings_can_be_made_wrong(journey: Journey) -> None:
    launch = await journey.launch(
        needPatientBanner=True,
        fhirContext=[{"reference": "Appointment/4817001"}],
        idToken={"nonce": "another", "fhirUser": None},
        answer={"encounter": None},
    )
    tokens = await journey.tokens(launch=launch)
    claims = jwt.decode(
        tokens["id_token"],
        KeySet.import_key_set((await journey.cerner.http.get("/jwk")).json()),
        algorithms=["RS256"],
    ).claims

    assert tokens["need_patient_banner"] is True
    assert tokens["fhirContext"] == [{"reference": "Appointment/4817001"}]
    assert "encounter" not in tokens
    assert claims["nonce"] == "another"
    assert "fhirUser" not in claims


@pytest.mark.parametrize("missing", ["practitioner", "patient", "encounter"])
async def test_a_launch_names_what_is_there(journey: Journey, missing: str) -> None:
    answer = await journey.cerner.http.post("/_sandbox/launches", json=OPENED | {missing: "1"})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(f"{missing}: there is no")


async def test_an_openid_configuration_is_of_one_tenant(cerner: CernerStandIn) -> None:
    path = f"/tenants/{TENANT}/oidc/idsps/{OTHER_TENANT}/.well-known/openid-configuration"

    assert (await cerner.http.get(path)).status_code == 403
