"""Tokens and sign-in by Entra ID, and what its refusals and failures become."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from contract.graph_client.conftest import SCOPE, MakeApplications
from contract.graph_stand_in.running import CLIENT, CLINICIAN, REDIRECT_URI, SECRET, TENANT, GraphStandIn

from ehr_clients.entra.applications import Applications
from ehr_clients.entra.credentials import Certificate, ClientSecret, CredentialError, FederatedToken, credential
from ehr_clients.entra.sign_in import PersonSignIn
from ehr_clients.entra.tokens import AppTokens
from ehr_clients.errors import RefusedError, RemoteError, TemporaryError
from ehr_sandbox.graph.world import CONNECTOR_ROLES, World, example_world

TIMEOUT_S = 0.25
TOKEN_PATH = f"/{TENANT}/oauth2/v2.0/token"


async def faults(graph: GraphStandIn, *rules: dict[str, Any]) -> None:
    answer = await graph.http.put("/_sandbox/faults", json=list(rules))
    assert answer.is_success, answer.text


async def token_requests(graph: GraphStandIn) -> int:
    return (await graph.http.get("/_sandbox/requests", params={"path": TOKEN_PATH})).json()["count"]


async def come_back(graph: GraphStandIn, address: str, **choice: str) -> dict[str, str]:
    """Choose on the sign-in page; return the query with which the browser comes back."""
    assert (await graph.http.get(address)).status_code == 200
    answer = await graph.http.post(address, data=choice)
    assert answer.is_redirect, answer.text
    location = urlsplit(answer.headers["location"])
    assert location._replace(query="", fragment="").geturl() == REDIRECT_URI
    return {name: values[0] for name, values in parse_qs(location.query).items()}


async def test_a_token_tells_which_permissions_were_granted(tokens: AppTokens) -> None:
    token = await tokens.token(TENANT, CLIENT)

    assert token.roles == frozenset(CONNECTOR_ROLES)
    assert token.value not in repr(token)


async def test_many_who_ask_at_once_share_one_request(graph: GraphStandIn, tokens: AppTokens) -> None:
    found = await asyncio.gather(*(tokens.token(TENANT, CLIENT) for _ in range(20)))

    assert len({token.value for token in found}) == 1
    assert await token_requests(graph) == 1


async def test_a_fresh_token_knows_of_a_consent_that_was_withdrawn(graph: GraphStandIn, tokens: AppTokens) -> None:
    await tokens.token(TENANT, CLIENT)
    world: World = example_world(redirect_uris=[REDIRECT_URI])
    world.tenants[0].apps[0].app_roles = ["User.Read.All"]
    put = await graph.http.put("/_sandbox/world", json=world.model_dump(by_alias=True))
    assert put.is_success, put.text

    stale = await tokens.token(TENANT, CLIENT)
    fresh = await tokens.token(TENANT, CLIENT, fresh=True)

    assert stale.roles == frozenset(CONNECTOR_ROLES)
    assert fresh.roles == {"User.Read.All"}
    assert await tokens.token(TENANT, CLIENT) == fresh


async def test_a_secret_is_read_again_when_a_new_token_is_asked_for(tokens: AppTokens, secret_file: Path) -> None:
    await asyncio.to_thread(secret_file.write_text, "wrong")
    with pytest.raises(RefusedError) as refused:
        await tokens.token(TENANT, CLIENT)
    await asyncio.to_thread(secret_file.write_text, SECRET)

    assert refused.value.code == "AADSTS7000215"
    assert (await tokens.token(TENANT, CLIENT)).value


async def test_a_tenant_that_does_not_exist_is_refused_by_its_code(tokens: AppTokens) -> None:
    with pytest.raises(RefusedError) as refused:
        await tokens.token("72f988bf-0000-4000-8000-0000000000ff", CLIENT)

    assert refused.value.code == "AADSTS90002"


async def test_an_application_that_does_not_exist_is_refused_by_its_code(tokens: AppTokens) -> None:
    with pytest.raises(RefusedError) as refused:
        await tokens.token(TENANT, "0a1b2c3d-0000-4000-8000-0000000000ff")

    assert refused.value.code == "AADSTS700016"


@pytest.mark.parametrize("kind", [ClientSecret, FederatedToken, Certificate])
async def test_a_credential_that_is_missing_is_named_by_its_file(
    graph: GraphStandIn, applications_of: MakeApplications, tmp_path: Path, kind: type[ClientSecret]
) -> None:
    with pytest.raises(CredentialError, match="gone cannot be read"):
        await AppTokens(applications_of(graph, kind(tmp_path / "gone")), SCOPE).token(TENANT, CLIENT)


async def test_a_file_without_key_is_no_certificate(
    graph: GraphStandIn, applications_of: MakeApplications, tmp_path: Path
) -> None:
    file = tmp_path / "certificate.pem"
    file.write_text("secret words")

    with pytest.raises(CredentialError, match="a private key and its certificate") as failed:
        await AppTokens(applications_of(graph, Certificate(file)), SCOPE).token(TENANT, CLIENT)

    assert "secret words" not in str(failed.value)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("client-secret:/run/secret", ClientSecret(Path("/run/secret"))),
        ("federated-token:/run/token", FederatedToken(Path("/run/token"))),
        ("certificate:/run/key.pem", Certificate(Path("/run/key.pem"))),
    ],
)
def test_a_setting_names_the_kind_and_the_file_of_a_credential(setting: str, expected: object) -> None:
    assert credential(setting) == expected


@pytest.mark.parametrize("setting", ["", "secret", "client-secret:", "password:/x"])
def test_a_setting_that_names_no_credential_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="must be federated-token:PATH"):
        credential(setting)


FAULTS: dict[str, tuple[dict[str, Any], str, float | None]] = {
    "delay": ({"action": "delay", "delay_s": 0.5}, "in time|no complete answer", None),
    "429": ({"action": "status", "status": 429, "retry_after_s": 7}, "status 429", 7.0),
    "500": ({"action": "status", "status": 500}, "status 500", None),
    "503": ({"action": "status", "status": 503, "retry_after_s": 120}, "status 503", 120.0),
    "cut": ({"action": "cut"}, "the connection broke off", None),
    "half answer": ({"action": "half_answer"}, "the connection broke off", None),
}


@pytest.mark.parametrize("path", ["/v2.0/.well-known/openid-configuration", "/oauth2/v2.0/token"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_becomes_an_error_that_says_to_try_again(
    graph: GraphStandIn, applications_of: MakeApplications, fault: str, path: str
) -> None:
    rule, detail, retry_after_s = FAULTS[fault]
    entra = applications_of(graph, timeout_s=TIMEOUT_S) if fault == "delay" else applications_of(graph)
    tokens = AppTokens(entra, SCOPE)
    await faults(graph, {**rule, "path": f"/{TENANT}{path}", "count": None})

    with pytest.raises(TemporaryError, match=detail) as failed:
        await tokens.token(TENANT, CLIENT)

    assert (failed.value.system, failed.value.operation) == ("Entra ID", "get application token")
    assert failed.value.retry_after_s == retry_after_s
    await faults(graph)
    assert (await AppTokens(applications_of(graph), SCOPE).token(TENANT, CLIENT)).value


async def test_who_signs_in_is_told_by_ids(graph: GraphStandIn, sign_in: PersonSignIn) -> None:
    address, flow = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)
    kept = json.loads(json.dumps(flow))

    account = await sign_in.signed_in(TENANT, CLIENT, kept, await come_back(graph, address, user=CLINICIAN))

    assert (account.object_id, account.tenant_id) == (CLINICIAN, TENANT)
    assert (account.display_name, account.username) == ("Ada Okafor", "ada.okafor@lamna.example")
    assert "Okafor" not in repr(account)
    query = parse_qs(urlsplit(address).query)
    assert query["code_challenge_method"] == ["S256"]
    assert "nonce" in query
    assert set(query["scope"][0].split()) == {"openid", "profile"}


async def test_who_signed_in_before_at_the_same_browser_is_not_taken_for_the_next_person(
    graph: GraphStandIn, sign_in: PersonSignIn
) -> None:
    first, _ = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)
    await come_back(graph, first, user=CLINICIAN)

    second, _ = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)

    assert (await graph.http.get(second)).status_code == 200, "an account is chosen anew"


async def test_an_answer_of_another_sign_in_is_refused(graph: GraphStandIn, sign_in: PersonSignIn) -> None:
    address, flow = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)
    brought = await come_back(graph, address, user=CLINICIAN)

    with pytest.raises(RefusedError) as refused:
        await sign_in.signed_in(TENANT, CLIENT, {**flow, "state": "another"}, brought)

    assert refused.value.code == "state"


async def test_an_id_token_of_another_sign_in_is_refused(graph: GraphStandIn, sign_in: PersonSignIn) -> None:
    address, flow = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)
    brought = await come_back(graph, address, user=CLINICIAN)

    with pytest.raises(RefusedError) as refused:
        await sign_in.signed_in(TENANT, CLIENT, {**flow, "nonce": "another"}, brought)

    assert refused.value.code == "nonce"


async def test_a_code_is_worth_nothing_without_its_verifier(graph: GraphStandIn, sign_in: PersonSignIn) -> None:
    address, flow = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)
    brought = await come_back(graph, address, user=CLINICIAN)

    with pytest.raises(RefusedError) as refused:
        await sign_in.signed_in(TENANT, CLIENT, {**flow, "code_verifier": "another" * 10}, brought)

    assert refused.value.code == "AADSTS501481"


async def test_who_gives_up_at_the_sign_in_is_told_apart(graph: GraphStandIn, sign_in: PersonSignIn) -> None:
    address, flow = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)

    with pytest.raises(RemoteError) as refused:
        await sign_in.signed_in(TENANT, CLIENT, flow, await come_back(graph, address, cancel="1"))

    assert isinstance(refused.value, RefusedError)
    assert refused.value.code == "AADSTS65004"


async def test_a_sign_in_leaves_no_token_behind(
    graph: GraphStandIn, applications: Applications, sign_in: PersonSignIn
) -> None:
    address, flow = await sign_in.sign_in_address(TENANT, CLIENT, REDIRECT_URI)
    account = await sign_in.signed_in(TENANT, CLIENT, flow, await come_back(graph, address, user=CLINICIAN))

    assert not re.search(r"eyJ[\w-]{20,}", f"{vars(sign_in)} {vars(applications)} {account} {flow}")
