"""Microsoft's own library for Python, unpatched, against the simulator."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import msal
import pytest
import requests
from contract.graph_stand_in.running import (
    CLIENT,
    CLINICIAN,
    GRAPH_SCOPE,
    REDIRECT_URI,
    SECRET,
    TENANT,
    GraphStandIn,
    Starter,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from ehr_sandbox.graph.world import FederatedCredential, World

Msal = Any


class MsalFactory:
    """Makes msal's applications, each with an HTTP session that is closed at the end."""

    def __init__(self) -> None:
        self.sessions: list[requests.Session] = []

    async def __call__(self, graph: GraphStandIn, credential: Any = SECRET, **options: Any) -> Msal:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(graph.ca.ca_file)
        self.sessions.append(session)
        settings = {"authority": graph.authority, "instance_discovery": False, **options}
        return await asyncio.to_thread(
            msal.ConfidentialClientApplication,
            CLIENT,
            client_credential=credential,
            http_client=session,
            **settings,
        )


@pytest.fixture
def application() -> Generator[MsalFactory]:
    factory = MsalFactory()
    yield factory
    for session in factory.sessions:
        session.close()


async def app_token(application: Msal) -> dict[str, Any]:
    return await asyncio.to_thread(application.acquire_token_for_client, scopes=[GRAPH_SCOPE])


async def test_an_application_gets_a_token_by_its_secret(graph: GraphStandIn, application: MsalFactory) -> None:
    answer = await app_token(await application(graph))

    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3599


async def test_a_wrong_secret_is_refused_as_entra_refuses_it(graph: GraphStandIn, application: MsalFactory) -> None:
    answer = await app_token(await application(graph, "wrong"))

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])
    assert answer["error_description"].startswith("AADSTS7000215: ")


async def test_an_application_gets_a_token_by_its_certificate(start_graph: Starter, application: MsalFactory) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "connector")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()

    def register(world: World) -> None:
        world.tenants[0].apps[0].certificates.append(pem)

    graph = await start_graph(register)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    by_sha256 = {"private_key": private, "public_certificate": pem}
    by_sha1 = {"private_key": private, "thumbprint": certificate.fingerprint(SHA1()).hex()}
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    answers = [await app_token(await application(graph, credential)) for credential in (by_sha256, by_sha1)]
    refused = await app_token(await application(graph, {**by_sha256, "private_key": forged}))

    assert [answer.get("error_description") for answer in answers] == [None, None]
    assert refused["error_codes"] == [700027]


async def test_an_application_gets_a_token_by_a_token_of_an_issuer_that_it_trusts(
    start_graph: Starter, application: MsalFactory
) -> None:
    key = RSAKey.generate_key(2048, {"kid": "cluster"}, private=True)
    subject = "system:serviceaccount:ehr:connector"

    def register(world: World) -> None:
        world.tenants[0].apps[0].federated_credentials.append(
            FederatedCredential(
                issuer="https://cluster.example", subject=subject, jwks={"keys": [key.as_dict(private=False)]}
            )
        )

    graph = await start_graph(register)

    def token(**changes: Any) -> dict[str, Any]:
        now_s = int(graph.clock.time.timestamp())
        claims = {"iss": "https://cluster.example", "sub": subject, "aud": "api://AzureADTokenExchange"}
        signed = jwt.encode({"alg": "RS256", "kid": "cluster"}, {**claims, "exp": now_s + 600, **changes}, key)
        return {"client_assertion": lambda: signed}

    granted = await app_token(await application(graph, token()))
    refusals = [
        (await app_token(await application(graph, token(**change))))["error_codes"]
        for change in (
            {"sub": "system:serviceaccount:ehr:other"},
            {"aud": "other"},
            {"exp": 1},
            {"iss": "https://x.example"},
        )
    ]

    assert "access_token" in granted
    assert refusals == [[700213], [700212], [700024], [700211]]


async def test_instance_discovery_may_be_pointed_at_it(graph: GraphStandIn, application: MsalFactory) -> None:
    made = await application(graph, instance_discovery=f"{graph.url}/common/discovery/instance")

    assert "access_token" in await app_token(made)


async def start_sign_in(made: Msal, **options: Any) -> dict[str, Any]:
    """Begin a sign-in as Microsoft recommends: the answer comes back in a form."""
    return await asyncio.to_thread(
        made.initiate_auth_code_flow,
        ["User.Read"],
        **{"redirect_uri": REDIRECT_URI, "response_mode": "form_post", **options},
    )


async def sign_in(graph: GraphStandIn, uri: str, **choice: str) -> dict[str, str]:
    """Choose on the sign-in page, and return what the browser brings back to the application."""
    shown = await graph.http.get(uri)
    assert shown.headers["x-frame-options"] == "DENY"
    answer = await graph.http.post(uri, data=choice)
    assert answer.status_code == 200
    assert f'action="{REDIRECT_URI}"' in answer.text
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text))


async def test_a_user_signs_in_with_a_code_pkce_and_a_nonce(graph: GraphStandIn, application: MsalFactory) -> None:
    made = await application(graph)
    flow = await start_sign_in(made)
    brought = await sign_in(graph, flow["auth_uri"], user=CLINICIAN)

    answer = await asyncio.to_thread(made.acquire_token_by_auth_code_flow, flow, brought)

    claims = answer["id_token_claims"]
    assert {name: claims[name] for name in ("oid", "tid", "preferred_username", "aud", "ver")} == {
        "oid": CLINICIAN,
        "tid": TENANT,
        "preferred_username": "ada.okafor@lamna.example",
        "aud": CLIENT,
        "ver": "2.0",
    }
    assert claims["sub"] != CLINICIAN
    assert [account["home_account_id"] for account in made.get_accounts()] == [f"{CLINICIAN}.{TENANT}"]


async def test_another_verifier_gets_nothing_for_a_code(graph: GraphStandIn, application: MsalFactory) -> None:
    made = await application(graph)
    flow = await start_sign_in(made)
    brought = await sign_in(graph, flow["auth_uri"], user=CLINICIAN)

    answer = await asyncio.to_thread(
        made.acquire_token_by_auth_code_flow, {**flow, "code_verifier": "another" * 10}, brought
    )

    assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [501481])


async def test_who_cancels_goes_back_with_access_denied(graph: GraphStandIn, application: MsalFactory) -> None:
    made = await application(graph)
    flow = await start_sign_in(made)

    brought = await sign_in(graph, flow["auth_uri"], cancel="1")

    assert (brought["error"], brought["state"]) == ("access_denied", flow["state"])
    assert brought["error_description"].startswith("AADSTS65004: ")
