"""Id tokens: which prove a user of the EHR, whose keys are believed, and how often they are read."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from ehr_clients.errors import RemoteError
from ehr_clients.smart import SmartConfiguration
from ehr_connector.launch.identity import CLINICIANS, PATIENTS, Identity, IdentityError

EHR = "https://ehr.example/tenants/t"
ISSUER = f"{EHR}/oidc/idsps/t/"
BASE_URL = "https://fhir.example/r4/t"
CLIENT, NONCE = "lamna-clinician", "n" * 43
FIRST, SECOND = RSAKey.generate_key(2048, {"kid": "1"}), RSAKey.generate_key(2048, {"kid": "2"})


class Server:
    """The EHR's discovery document and keys."""

    def __init__(self) -> None:
        self.keys: list[Any] = [FIRST]
        self.named = ISSUER
        self.document: Any = None
        self.asked: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.asked.append(str(request.url))
        body = KeySet(self.keys).as_dict(private=False) if self.document is None else self.document
        if request.url.path.endswith("openid-configuration"):
            body = {"issuer": self.named, "jwks_uri": f"{EHR}/jwk"}
        return httpx.Response(200, content=_streamed(json.dumps(body)), headers={"Content-Type": "application/json"})


async def _streamed(text: str) -> AsyncGenerator[bytes]:
    yield text.encode()


class Time:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def server() -> Server:
    """A server."""
    return Server()


@pytest.fixture
def monotonic() -> Time:
    """A clock."""
    return Time()


@pytest.fixture
def identity(monotonic: Time) -> Identity:
    """What is tested."""
    return Identity(monotonic)


@pytest.fixture
async def http(server: Server) -> AsyncGenerator[httpx.AsyncClient]:
    """A client that reaches the server alone."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer)) as client:
        yield client


def token(key: RSAKey | ECKey = FIRST, algorithm: str = "RS256", **changes: Any) -> str:
    """Return an id token that is good but for `changes`; None takes a claim away."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "aokafor",
        "aud": CLIENT,
        "exp": now + 300,
        "iat": now,
        "nonce": NONCE,
        "fhirUser": "https://fhir.example/r4/t/Practitioner/12",
    }
    kept = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": key.kid}, kept, key, algorithms=[algorithm])


def configuration(issuer: str | None = EHR) -> SmartConfiguration:
    """Return the SMART configuration of the EHR."""
    return SmartConfiguration(token_endpoint=f"{EHR}/token", issuer=issuer)


async def user(
    identity: Identity,
    http: httpx.AsyncClient,
    text: str | None,
    issuer: str | None = EHR,
    types: frozenset[str] = CLINICIANS,
) -> str:
    """Return the user whom a token proves."""
    found = await identity.user(
        http,
        configuration(issuer),
        text,
        client_id=CLIENT,
        nonce=NONCE,
        base_url=BASE_URL,
        types=types,
        may_be_untold=types is CLINICIANS,
    )
    return found.user


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, "Practitioner/12"),
        ({"fhirUser": "Practitioner/12"}, "Practitioner/12"),
        ({"fhirUser": "https://fhir.example/r4/t/Practitioner/12/"}, "Practitioner/12"),
        ({"fhirUser": "https://FHIR.example:443/r4/t/Practitioner/12"}, "Practitioner/12"),
        ({"fhirUser": None, "profile": f"{BASE_URL}/PractitionerRole/7"}, "PractitionerRole/7"),
        ({"fhirUser": None}, "aokafor"),
        ({"fhirUser": "12"}, "aokafor"),
    ],
)
async def test_the_user_is_the_relative_reference_or_else_the_subject(
    identity: Identity, http: httpx.AsyncClient, claims: dict[str, Any], expected: str
) -> None:
    assert await user(identity, http, token(**claims)) == expected


@pytest.mark.parametrize(
    "reference",
    [
        "https://elsewhere.example/r4/t/Practitioner/12",
        "https://fhir.example/r4/other/Practitioner/12",
        "http://fhir.example/r4/t/Practitioner/12",
        "https://fhir.example/r4/t/x/Practitioner/12",
        "https://fhir.example:x/Practitioner/12",
        "x/Practitioner/12",
    ],
)
async def test_a_user_of_another_server_is_nobody_here(
    identity: Identity, http: httpx.AsyncClient, reference: str
) -> None:
    for types in (CLINICIANS, PATIENTS):
        with pytest.raises(IdentityError):
            await user(identity, http, token(fhirUser=reference), types=types)


@pytest.mark.parametrize("kind", ["Patient", "RelatedPerson", "Person", "Device", "practitioner"])
async def test_only_a_practitioner_completes_a_clinician_s_launch(
    identity: Identity, http: httpx.AsyncClient, kind: str
) -> None:
    with pytest.raises(IdentityError):
        await user(identity, http, token(fhirUser=f"{BASE_URL}/{kind}/12"))


@pytest.mark.parametrize("kind", ["Patient", "RelatedPerson"])
async def test_a_patient_or_who_acts_for_one_completes_a_patient_s_launch(
    identity: Identity, http: httpx.AsyncClient, kind: str
) -> None:
    assert await user(identity, http, token(fhirUser=f"{kind}/12"), types=PATIENTS) == f"{kind}/12"


@pytest.mark.parametrize("reference", ["Practitioner/12", "PractitionerRole/12", "Person/12", "patient/12", "12", None])
async def test_nobody_else_completes_a_patient_s_launch(
    identity: Identity, http: httpx.AsyncClient, reference: str | None
) -> None:
    with pytest.raises(IdentityError):
        await user(identity, http, token(fhirUser=reference), types=PATIENTS)


@pytest.mark.parametrize("issuer", [f"{EHR}/", EHR, f"{EHR}/oidc/idsps/t"])
async def test_the_issuer_is_the_ehr_s_own_or_below_it(
    identity: Identity, http: httpx.AsyncClient, server: Server, issuer: str
) -> None:
    server.named = issuer
    assert await user(identity, http, token(iss=issuer)) == "Practitioner/12"


@pytest.mark.parametrize(
    ("named", "trusted"),
    [
        ("https://evil.example/", EHR),
        (f"{EHR}x/oidc", EHR),
        ("https://ehr.example/tenants/other/", EHR),
        ("https://ehr.example.evil.example/tenants/t/", EHR),
        (ISSUER.replace("https", "http"), EHR),
        (ISSUER, None),
        (ISSUER, ""),
        (ISSUER.replace("https", "http"), EHR.replace("https", "http")),
    ],
)
async def test_no_other_issuer_is_believed_or_even_asked(
    identity: Identity, http: httpx.AsyncClient, server: Server, named: str, trusted: str | None
) -> None:
    with pytest.raises(IdentityError):
        await user(identity, http, token(iss=named), trusted)
    assert server.asked == []


async def test_an_issuer_that_calls_itself_otherwise_is_not_believed(
    identity: Identity, http: httpx.AsyncClient, server: Server
) -> None:
    server.named = "https://ehr.example/tenants/other"
    with pytest.raises(RemoteError):
        await user(identity, http, token())


@pytest.mark.parametrize("document", [{}, {"keys": "none"}, {"keys": [{"kty": "RSA"}]}, {"keys": [{}]}, []])
async def test_what_is_no_key_set_is_said_to_be_no_usable_answer(
    identity: Identity, http: httpx.AsyncClient, server: Server, document: Any
) -> None:
    server.document = document
    with pytest.raises(RemoteError):
        await user(identity, http, token())


@pytest.mark.parametrize(("key", "algorithm"), [(FIRST, "RS384"), (ECKey.generate_key("P-256", {"kid": "e"}), "ES256")])
async def test_the_algorithms_of_smart_are_taken(
    identity: Identity, http: httpx.AsyncClient, server: Server, key: RSAKey | ECKey, algorithm: str
) -> None:
    server.keys = [key]
    assert await user(identity, http, token(key, algorithm)) == "Practitioner/12"


async def test_keys_are_read_once_an_hour(
    identity: Identity, http: httpx.AsyncClient, server: Server, monotonic: Time
) -> None:
    for _ in range(3):
        await user(identity, http, token())
    assert len(server.asked) == 2
    monotonic.now_s = 3600
    await user(identity, http, token())
    assert len(server.asked) == 4


async def test_a_new_key_of_the_ehr_is_found_at_once(
    identity: Identity, http: httpx.AsyncClient, server: Server, monotonic: Time
) -> None:
    await user(identity, http, token())
    monotonic.now_s = 60
    server.keys = [SECOND]
    assert await user(identity, http, token(SECOND)) == "Practitioner/12"


async def test_a_key_that_was_withdrawn_proves_nobody_an_hour_later(
    identity: Identity, http: httpx.AsyncClient, server: Server, monotonic: Time
) -> None:
    await user(identity, http, token())
    server.keys = [SECOND]
    monotonic.now_s = 3600
    with pytest.raises(IdentityError):
        await user(identity, http, token())


async def test_forged_tokens_do_not_make_us_storm_the_ehr_for_its_keys(
    identity: Identity, http: httpx.AsyncClient, server: Server
) -> None:
    await user(identity, http, token())
    for _ in range(20):
        with pytest.raises(IdentityError):
            await user(identity, http, token(SECOND))
    assert len(server.asked) == 2


@pytest.mark.parametrize("leeway_s", [-59, 59])
async def test_clocks_may_differ_by_a_minute(identity: Identity, http: httpx.AsyncClient, leeway_s: int) -> None:
    now = int(time.time())
    assert await user(identity, http, token(exp=now - 50, iat=now + leeway_s)) == "Practitioner/12"


@pytest.mark.parametrize(
    "changes", [{"sub": ""}, {"fhirUser": "Practitioner/" + "x" * 130}, {"sub": "x" * 129, "fhirUser": None}]
)
async def test_what_is_no_id_is_not_taken_for_one(
    identity: Identity, http: httpx.AsyncClient, changes: dict[str, Any]
) -> None:
    with pytest.raises(IdentityError):
        await user(identity, http, token(**changes))


async def test_a_header_of_another_shape_proves_nobody(identity: Identity, http: httpx.AsyncClient) -> None:
    header, rest = (
        urlsafe_b64encode(b'{"alg":"RS256","kid":"1","crit":1}').rstrip(b"=").decode(),
        token().partition(".")[2],
    )
    with pytest.raises(IdentityError):
        await user(identity, http, f"{header}.{rest}")


async def test_more_keys_than_any_issuer_has_are_not_read(
    identity: Identity, http: httpx.AsyncClient, server: Server
) -> None:
    """Each takes time, in which nobody else is served."""
    server.keys = [RSAKey.import_key(FIRST.as_dict(private=False) | {"kid": str(number)}) for number in range(101)]
    with pytest.raises(RemoteError):
        await user(identity, http, token())


async def test_of_each_ehr_the_keys_of_one_issuer_are_kept(
    identity: Identity, http: httpx.AsyncClient, server: Server
) -> None:
    """However many a server says that there are below its own."""
    for number in range(3):
        server.named = f"{EHR}/{number}/"
        await user(identity, http, token(iss=server.named))
    asked = len(server.asked)
    server.named = f"{EHR}/0/"
    await user(identity, http, token(iss=server.named))
    assert len(server.asked) == asked + 2
