"""The sign-in page and the token endpoint: what Entra refuses, and where it says so."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from contract.graph_stand_in.running import (
    CLIENT,
    CLINICIAN,
    ORGANIZER,
    REDIRECT_URI,
    SECRET,
    TENANT,
    GraphStandIn,
    Starter,
)
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from ehr_sandbox.graph.world import EXAMPLE_MANAGER, World

AUTHORIZE = f"/{TENANT}/oauth2/v2.0/authorize"
TOKEN = f"/{TENANT}/oauth2/v2.0/token"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def asked(**changes: str | None) -> dict[str, str]:
    query: dict[str, str | None] = {
        "client_id": CLIENT,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid profile",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in query.items() if value is not None}


def brought(location: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(location).query))


async def code_of(graph: GraphStandIn, user: str = CLINICIAN, **changes: str | None) -> str:
    answer = await graph.http.post(AUTHORIZE, params=asked(**changes), data={"user": user})
    assert answer.status_code == 302
    fields = brought(answer.headers["location"])
    assert fields["state"] == "state-1"
    return fields["code"]


async def redeem(graph: GraphStandIn, code: str, **changes: str) -> Any:
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "code": code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        **changes,
    }
    return (await graph.http.post(TOKEN, data=form)).json()


async def test_an_id_token_names_the_user_and_repeats_the_nonce(graph: GraphStandIn) -> None:
    answer = await redeem(graph, await code_of(graph))
    keys = KeySet.import_key_set((await graph.http.get(f"/{TENANT}/discovery/v2.0/keys")).json())

    claims = jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims

    assert (claims["oid"], claims["tid"], claims["nonce"]) == (CLINICIAN, TENANT, "nonce-1")
    assert claims["iss"] == f"{graph.url}/{TENANT}/v2.0"
    assert "refresh_token" not in answer


@pytest.mark.parametrize(("user", "roles"), [(EXAMPLE_MANAGER, ["Reports.Viewer"]), (CLINICIAN, None)])
async def test_an_id_token_tells_the_app_roles_of_who_has_some(
    graph: GraphStandIn, user: str, roles: list[str] | None
) -> None:
    answer = await redeem(graph, await code_of(graph, user))
    keys = KeySet.import_key_set((await graph.http.get(f"/{TENANT}/discovery/v2.0/keys")).json())

    assert jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims.get("roles") == roles


async def test_a_code_is_good_once_and_for_ten_minutes(graph: GraphStandIn) -> None:
    code = await code_of(graph)
    answers = [await redeem(graph, code) for _ in range(2)]
    late = await code_of(graph)
    graph.clock.advance(minutes=11)
    answers.append(await redeem(graph, late))

    assert "id_token" in answers[0]
    assert [answer["error_codes"] for answer in answers[1:]] == [[54005], [70008]]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"redirect_uri": "https://elsewhere.example/"}, 50011),
        ({"redirect_uri": None}, 50011),
        ({"client_id": "0a1b2c3d-0000-4000-8000-00000000dead"}, 700016),
    ],
)
async def test_who_is_not_known_is_told_on_a_page_and_sent_nowhere(
    graph: GraphStandIn, changes: dict[str, str | None], number: int
) -> None:
    answer = await graph.http.get(AUTHORIZE, params=asked(**changes))

    assert answer.status_code == 400
    assert f"AADSTS{number}: " in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none"}, "login_required"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "https://elsewhere.example/.default"}, "invalid_resource"),
    ],
)
async def test_a_request_that_is_not_right_goes_back_with_the_reason(
    graph: GraphStandIn, changes: dict[str, str | None], error: str
) -> None:
    answer = await graph.http.get(AUTHORIZE, params=asked(**changes))

    fields = brought(answer.headers["location"])
    assert (fields["error"], fields["state"]) == (error, "state-1")
    assert fields["error_description"].startswith("AADSTS")


async def test_a_browser_that_signed_in_is_asked_again_only_when_told_to(graph: GraphStandIn) -> None:
    await code_of(graph)
    silent = await graph.http.get(AUTHORIZE, params=asked(prompt="none"))
    again = await graph.http.get(AUTHORIZE, params=asked())
    told = await graph.http.get(AUTHORIZE, params=asked(prompt="select_account"))
    another = await graph.http.get(AUTHORIZE, params=asked(login_hint="ben.lindqvist@lamna.example"))

    assert "code" in brought(silent.headers["location"])
    assert [answer.status_code for answer in (again, told, another)] == [302, 200, 200]
    assert re.findall(r"<button name=\"user\".*?>(\w+ \w+)", another.text)[0] == "Ben Lindqvist"


async def test_a_disabled_user_does_not_get_in(graph: GraphStandIn) -> None:
    await graph.http.patch(f"/_sandbox/users/{CLINICIAN}", json={"accountEnabled": False})

    answer = await graph.http.post(AUTHORIZE, params=asked(), data={"user": CLINICIAN})

    assert answer.status_code == 400
    assert "AADSTS50057: " in answer.text


async def test_the_answer_may_come_in_the_fragment(graph: GraphStandIn) -> None:
    answer = await graph.http.post(AUTHORIZE, params=asked(response_mode="fragment"), data={"user": ORGANIZER})

    assert answer.headers["location"].startswith(f"{REDIRECT_URI}#code=")


async def test_a_refresh_token_is_given_who_asks_for_offline_access(graph: GraphStandIn) -> None:
    first = await redeem(graph, await code_of(graph, scope="openid offline_access User.Read"))
    second = await redeem(graph, "", grant_type="refresh_token", refresh_token=first["refresh_token"])
    me = await graph.http.get("/v1.0/me", headers={"Authorization": f"Bearer {second['access_token']}"})

    assert me.json()["id"] == CLINICIAN


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"client_secret": None}, 401, "invalid_client", 7000218),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"client_id": "0a1b2c3d-0000-4000-8000-00000000dead"}, 400, "unauthorized_client", 700016),
        ({"grant_type": None}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"scope": "User.Read"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://elsewhere.example/.default"}, 400, "invalid_resource", 500011),
        ({"client_assertion": "x", "client_assertion_type": "saml"}, 400, "invalid_request", 900144),
    ],
)
async def test_the_token_endpoint_says_why_it_refuses(
    graph: GraphStandIn, changes: dict[str, str | None], status: int, error: str, number: int
) -> None:
    answer = await graph.ask_token(**changes)

    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert answer.headers["cache-control"] == "no-store"


async def test_an_unknown_tenant_has_no_configuration(graph: GraphStandIn) -> None:
    answer = await graph.http.get("/nobody.example/v2.0/.well-known/openid-configuration")

    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


@pytest.mark.parametrize(
    ("change", "number"), [({}, None), ({"aud": "https://elsewhere.example"}, 700023), ({"sub": "x"}, 700021)]
)
async def test_an_application_proves_itself_by_a_registered_public_key(
    start_graph: Starter, change: dict[str, str], number: int | None
) -> None:
    key = ECKey.generate_key("P-256", {"kid": "own"}, private=True)

    def register(world: World) -> None:
        world.tenants[0].apps[0].jwks = {"keys": [key.as_dict(private=False)]}

    graph = await start_graph(register)
    now_s = int(graph.clock.time.timestamp())
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": f"{graph.url}{TOKEN}", "exp": now_s + 300, "jti": "1", **change}
    signed = jwt.encode({"alg": "ES256", "kid": "own"}, claims, key)

    answer = await graph.ask_token(
        client_secret=None,
        client_assertion=signed,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    )

    assert answer.json().get("error_codes") == (None if number is None else [number])


async def test_the_issuers_are_settings(start_graph: Starter) -> None:
    graph = await start_graph(issuer="https://login.example/{tenant}/v2.0", issuer_v1="https://sts.example/{tenant}/")

    v2 = (await graph.http.get(f"/{TENANT}/v2.0/.well-known/openid-configuration")).json()
    v1 = (await graph.http.get("/common/.well-known/openid-configuration")).json()

    assert v2["issuer"] == f"https://login.example/{TENANT}/v2.0"
    assert v1["issuer"] == "https://sts.example/{tenantid}/"
