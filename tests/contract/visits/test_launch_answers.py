"""What the EHR answers to a launch: who it says that launches, what it grants, and when it does not answer at all."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from contract.visits.launching import EHR_ADMIN, PLATFORM, YOU, Hospital, ends, impatient
from contract.visits.world import OTHER_TENANT, TENANT, World
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

pytestmark = pytest.mark.asyncio(loop_scope="module")


# -- The id token


def _past(minutes: int) -> int:
    return int((datetime.now(UTC) - timedelta(minutes=minutes)).timestamp())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"exp": _past(5)},
        {"exp": None},
        {"aud": "somebody-else"},
        {"aud": None},
        {"iss": "https://evil.example/"},
        {"iss": None},
        {"sub": None},
        {"fhirUser": "x" * 200 + "/" + "y" * 200},
    ],
    ids=[
        "nonce", "no nonce", "expired", "no end", "audience", "no audience", "issuer", "no issuer", "no subject", "long",
    ],
)  # fmt: skip
async def test_an_id_token_that_does_not_hold_proves_nobody(hospital: Hospital, claims: dict[str, Any]) -> None:
    page = await hospital.world.browser().launch(await hospital.code(idToken=claims))
    await ends(
        hospital.world, page, 403, "The EHR did not prove who you are", EHR_ADMIN, "issuer, audience, nonce, signature"
    )


@pytest.mark.parametrize(
    "token", [None, "", "a.b.c", "no token", "x" * 9000], ids=["none", "empty", "abc", "text", "long"]
)
async def test_what_is_no_id_token_proves_nobody(hospital: Hospital, token: str | None) -> None:
    page = await hospital.world.browser().launch(await hospital.code(answer={"id_token": token}))
    await ends(hospital.world, page, 403, "The EHR did not prove who you are", EHR_ADMIN)


@pytest.mark.parametrize("how", ["key of somebody else", "no signature", "shared secret", "same key id"])
async def test_a_forged_id_token_proves_nobody(hospital: Hospital, how: str) -> None:
    world = hospital.world
    browser = world.browser()
    params = {"iss": world.base_url(), "launch": "placeholder"}
    address = (await browser.http.get(f"{world.connector}/launch/provider", params=params)).headers["Location"]
    claims = {
        "iss": f"{world.cerner}/tenants/{TENANT}/oidc/idsps/{TENANT}/",
        "sub": "somebody",
        "aud": "lamna-clinician",
        "exp": _past(-9),
        "iat": _past(0),
        "nonce": parse_qs(urlsplit(address).query)["nonce"][0],
    }
    code = await hospital.code(answer={"id_token": await _forged(world, how, claims)})
    page = await browser.open(address.replace("launch=placeholder", f"launch={code}"))
    await ends(world, page, 403, "The EHR did not prove who you are", EHR_ADMIN)


async def _forged(world: World, how: str, claims: dict[str, Any]) -> str:
    jwks = (await world.http.get(f"{world.cerner}/jwk")).json()["keys"]
    if how == "no signature":
        parts = (json.dumps(one).encode() for one in ({"alg": "none"}, claims))
        return ".".join([*(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])
    if how == "shared secret":
        key = OctKey.import_key(str(jwks[0]["n"]))
        return jwt.encode({"alg": "HS256", "kid": jwks[0]["kid"]}, claims, key, algorithms=["HS256"])
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256"} | ({"kid": jwks[0]["kid"]} if how == "same key id" else {})
    return jwt.encode(header, claims, key, algorithms=["RS256"])


async def test_nothing_is_fetched_from_an_issuer_that_only_the_id_token_names(hospital: Hospital) -> None:
    world = hospital.world
    other = f"{world.cerner}/tenants/{TENANT}x/oidc/idsps/{OTHER_TENANT}/"
    page = await world.browser().launch(await hospital.code(idToken={"iss": other}))
    await ends(world, page, 403, "The EHR did not prove who you are", EHR_ADMIN)
    requests = await world.control(world.cerner, "GET", "requests")
    assert not [one for one in requests["requests"] if f"{TENANT}x" in one["path"]]


async def test_a_user_without_a_resource_is_nobody_where_the_ehr_grants_to_name_it(hospital: Hospital) -> None:
    claims = {"fhirUser": None, "profile": None, "sub": "aokafor"}
    page = await hospital.world.browser().launch(await hospital.code(idToken=claims))
    await ends(hospital.world, page, 403, "The EHR did not say who you are", EHR_ADMIN, "Practitioner")


# -- What the EHR grants


async def test_scopes_that_were_not_granted_are_named(hospital: Hospital) -> None:
    scope = "launch openid fhirUser online_access user/Patient.read"
    page = await hospital.world.browser().launch(await hospital.code(answer={"scope": scope}))
    await ends(hospital.world, page, 403, "The EHR granted too little", EHR_ADMIN, "user/Appointment.read")


async def test_a_launch_without_a_patient_says_where_visits_begin(hospital: Hospital) -> None:
    page = await hospital.world.browser().launch(await hospital.code(answer={"patient": None}))
    await ends(hospital.world, page, 400, "The EHR named no patient", YOU, "patient's chart")


FAULTS: dict[str, dict[str, Any]] = {
    "429": {"action": "status", "status": 429, "retry_after_s": 5},
    "500": {"action": "status", "status": 500},
    "503": {"action": "status", "status": 503},
    "down": {"action": "cut"},
    "lost": {"action": "lose_answer"},
    "half-written": {"action": "half_answer"},
    "slow": {"action": "delay", "delay_s": 1.5},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_ehr_that_gives_no_token_is_said_to_be_away(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world = hospital.world
    if fault == "slow":
        impatient(monkeypatch)
    browser = world.browser()
    callback = await hospital.begun(browser)
    await world.fault(world.cerner, "/token$", **FAULTS[fault])
    page = await browser.open(callback)
    await ends(world, page, 502, "The EHR does not answer", YOU, "call the patient by phone")


@pytest.mark.parametrize("fault", ["503", "down", "half-written", "slow"])
async def test_an_ehr_that_cannot_be_asked_where_it_authorizes_is_said_to_be_away(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world = hospital.world
    await world.restart()  # what was read before is kept for minutes
    if fault == "slow":
        impatient(monkeypatch)
    await world.fault(world.cerner, "smart-configuration", **FAULTS[fault])
    page = await world.browser().launch(await hospital.code())
    await ends(world, page, 502, "The EHR does not answer", YOU, "call the patient by phone")


@pytest.mark.parametrize("fault", ["429", "down", "half-written", "slow"])
@pytest.mark.parametrize("call", ["openid-configuration", "/jwk$"])
async def test_an_ehr_whose_keys_cannot_be_read_is_said_to_be_away(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, call: str, fault: str
) -> None:
    world = hospital.world
    await world.restart()
    browser = world.browser()
    callback = await hospital.begun(browser)
    if fault == "slow":
        impatient(monkeypatch)
    await world.fault(world.cerner, call, **FAULTS[fault])
    page = await browser.open(callback)
    await ends(world, page, 502, "The EHR does not answer", YOU)


async def test_a_connector_without_a_signing_key_says_who_has_to_see_to_it(hospital: Hospital) -> None:
    world = hospital.world
    browser = world.browser()
    callback = await hospital.begun(browser)
    keys = [path for path in (world.work / "keys").iterdir() if "secret" not in path.name and "notif" not in path.name]
    away = world.work / "away"
    away.mkdir()
    try:
        for path in keys:
            path.rename(away / path.name)
        page = await browser.open(callback)
    finally:
        for path in keys:
            (away / path.name).rename(path)
        away.rmdir()
    await ends(world, page, 503, "The connector is not set up completely", PLATFORM, "/readyz")
