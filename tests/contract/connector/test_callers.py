"""Only the operator's token opens the control API, and the issuer is not asked more often than needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from contract.connector.issuer import Issuer, new_key
from contract.connector.running import Connector, Starter, organization, path_of
from joserfc.jwk import ECKey, RSAKey
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ehr_clients.http import client, tls_context
from ehr_connector.control.caller import Caller, IssuerUnavailableError, UnauthenticatedError
from ehr_sandbox.local_ca import LocalCA

KNOWN = path_of(organization())


async def status(connector: Connector, token: str) -> int:
    return (await connector.send("GET", KNOWN, token=token)).status_code


async def test_the_operators_token_is_let_in(small: Connector) -> None:
    assert await status(small, small.issuer.token()) == 404  # let in, and nothing is there


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384"])
async def test_tokens_are_accepted_in_every_algorithm_that_clusters_sign_with(small: Connector, algorithm: str) -> None:
    key: ECKey | RSAKey
    if algorithm == "RS256":
        key = RSAKey.generate_key(2048, {"kid": "another"}, private=True)
    else:
        key = ECKey.generate_key("P-256" if algorithm == "ES256" else "P-384", {"kid": "another"}, private=True)
    small.issuer.published.append(key)
    assert await status(small, small.issuer.token(key=key, algorithm=algorithm)) == 404


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic b3BlcmF0b3I6c2VjcmV0", "Token abc"])
async def test_without_a_bearer_token_nobody_is_let_in(small: Connector, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await small.http.get(KNOWN, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert small.issuer.discoveries == 0


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(small: Connector, scheme: str) -> None:
    answer = await small.http.get(KNOWN, headers={"Authorization": f"{scheme} {small.issuer.token()}"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "a.b.c",
        "..",
        "a.b.c.d.e",
        "eyJhbGciOiJFUzI1NiJ9..",
        "bnVsbA.bnVsbA.bnVsbA",  # the header is JSON null
        "W10.W10.W10",  # a list
        "eyJhbGciOiAxfQ.e30.AA",  # alg is a number
        "eyJhbGciOiJFUzI1NiIsImtpZCI6W119.e30.AA",  # kid is a list
        "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.e30.AA",  # crit
        "eyJhbGciOiJFUzI1NiIsImNyaXQiOjF9.e30.AA",  # crit is a number
        "eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19.e30.AA",  # unencoded payload
        "é.é.é",
        "x" * 60_000,
    ],
)
async def test_garbage_is_no_token(small: Connector, token: str) -> None:
    answer = await small.http.get(KNOWN, headers=[(b"Authorization", f"Bearer {token}".encode())])
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iss": "https://other.example"}, 401),
        ({"iss": None}, 401),
        ({"iss": ["https://other.example"]}, 401),
        ({"aud": ["other"]}, 401),
        ({"aud": []}, 401),
        ({"aud": None}, 401),
        ({"aud": "ehr-connector"}, 404),
        ({"aud": ["other", "ehr-connector"]}, 404),
        ({"aud": {"ehr-connector": True}}, 401),
        ({"sub": "system:serviceaccount:ehr-system:default"}, 403),
        ({"sub": "system:serviceaccount:ehr-system:ehr-operator "}, 403),
        ({"sub": None}, 401),
        ({"exp": timedelta(seconds=-61)}, 401),
        ({"exp": timedelta(seconds=-600)}, 401),
        ({"exp": None}, 401),
        ({"exp": "tomorrow"}, 401),
        ({"exp": True}, 401),
        ({"nbf": timedelta(seconds=600)}, 401),
        ({"nbf": "tomorrow"}, 401),
        ({"iat": timedelta(seconds=600)}, 401),
        ({"nbf": None, "iat": None}, 404),
    ],
)
async def test_claims_decide(small: Connector, changes: dict[str, Any], expected: int) -> None:
    # From now, not from when the tests were collected: hours may lie between the two.
    now = int(time.time())
    claims: dict[str, Any] = {
        name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in changes.items()
    }
    answer = await small.send("GET", KNOWN, token=small.issuer.token(**claims))
    assert (answer.status_code, answer.headers["Content-Type"]) == (expected, "application/problem+json")


async def test_clocks_may_differ_by_a_little(small: Connector) -> None:
    now = int(time.time())
    assert await status(small, small.issuer.token(exp=now - 20)) == 404
    assert await status(small, small.issuer.token(nbf=now + 20, iat=now + 20)) == 404


async def test_a_token_of_somebody_else_is_told_who_may_call(small: Connector) -> None:
    answer = await small.send("GET", KNOWN, token=small.issuer.token(sub="system:serviceaccount:x:y"))
    assert "system:serviceaccount:ehr-system:ehr-operator" in answer.json()["detail"]


async def test_a_key_that_is_not_the_issuers_signs_nothing(small: Connector) -> None:
    forged = small.issuer.token(key=new_key("first"))
    assert await status(small, forged) == 401


async def test_an_unsigned_token_is_refused(small: Connector) -> None:
    assert await status(small, small.issuer.unsigned_token()) == 401


async def test_the_public_key_is_no_shared_secret(small: Connector) -> None:
    assert await status(small, small.issuer.hmac_token()) == 401


async def test_a_token_changed_after_it_was_signed_is_refused(small: Connector) -> None:
    header, claims, signature = small.issuer.token().split(".")
    other = small.issuer.token(exp=int(time.time()) + 6000).split(".")[1]
    assert await status(small, f"{header}.{claims}.{signature}") == 404
    assert await status(small, f"{header}.{other}.{signature}") == 401


async def test_a_token_without_a_key_id_is_checked_against_the_issuers_keys(small: Connector) -> None:
    assert await status(small, small.issuer.token(names_key=False)) == 404


async def test_no_answer_repeats_a_token(small: Connector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for token in (small.issuer.token(sub="somebody"), small.issuer.token(aud="other"), "garbage-token"):
        answer = await small.send("GET", KNOWN, token=token)
        assert token not in answer.text
        assert token not in caplog.text


async def test_unknown_keys_do_not_make_a_storm_at_the_issuer(small: Connector) -> None:
    tokens = [small.issuer.token(key=new_key(f"unknown-{number}")) for number in range(50)]
    statuses = await asyncio.gather(*(status(small, token) for token in tokens))
    assert set(statuses) == {401}
    assert (small.issuer.discoveries, small.issuer.key_readings) == (1, 1)


async def test_callers_at_the_start_share_one_reading_of_the_keys(small: Connector) -> None:
    small.issuer.delay_s = 0.1
    statuses = await asyncio.gather(*(status(small, small.issuer.token()) for _ in range(20)))
    assert set(statuses) == {404}
    assert small.issuer.key_readings == 1


class Monotonic:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
async def caller(issuer: Issuer, ca: LocalCA, monotonic: Monotonic) -> AsyncGenerator[Caller]:
    async with client(tls=tls_context(ca.ca_file)) as http:
        yield Caller(
            http,
            issuer=issuer.url,
            audience="ehr-connector",
            subject="system:serviceaccount:ehr-system:ehr-operator",
            monotonic=monotonic,
        )


async def refusals(caller: Caller, *tokens: str) -> list[type[Exception] | None]:
    """Show tokens at once and return how each was refused."""

    async def one(token: str) -> type[Exception] | None:
        try:
            await caller.check(f"Bearer {token}")
        except (UnauthenticatedError, IssuerUnavailableError) as exc:
            return type(exc)
        return None

    return await asyncio.gather(*(one(token) for token in tokens))


async def test_a_new_key_of_the_issuer_is_found_by_reading_the_keys_again(
    caller: Caller, issuer: Issuer, monotonic: Monotonic
) -> None:
    await caller.check(f"Bearer {issuer.token()}")
    second = new_key("second")
    issuer.published.append(second)
    monotonic.now_s += 11
    assert await refusals(caller, issuer.token(key=second), issuer.token()) == [None, None]
    assert issuer.key_readings == 2


async def test_a_key_that_the_issuer_withdrew_counts_no_more(
    caller: Caller, issuer: Issuer, monotonic: Monotonic
) -> None:
    withdrawn = issuer.token()
    await caller.check(f"Bearer {withdrawn}")
    issuer.published[:] = [new_key("second")]
    monotonic.now_s += 3601
    assert await refusals(caller, withdrawn) == [UnauthenticatedError]


async def test_known_keys_are_kept_for_an_hour(caller: Caller, issuer: Issuer, monotonic: Monotonic) -> None:
    for _ in range(6):
        await caller.check(f"Bearer {issuer.token()}")
        monotonic.now_s += 600
    assert issuer.key_readings == 1


async def test_a_storm_of_unknown_keys_later_reads_the_keys_once_more(
    caller: Caller, issuer: Issuer, monotonic: Monotonic
) -> None:
    await caller.check(f"Bearer {issuer.token()}")
    monotonic.now_s += 11
    tokens = [issuer.token(key=new_key(f"unknown-{number}")) for number in range(50)]
    assert set(await refusals(caller, *tokens)) == {UnauthenticatedError}
    assert issuer.key_readings == 2


async def test_the_operator_is_let_in_while_the_issuer_is_down_and_its_keys_are_known(
    caller: Caller, issuer: Issuer, monotonic: Monotonic
) -> None:
    await caller.check(f"Bearer {issuer.token()}")
    issuer.discovery_answer = PlainTextResponse("down", 503)
    monotonic.now_s += 600
    assert await refusals(caller, issuer.token()) == [None]


BAD_ISSUERS: dict[str, dict[str, Response | str]] = {
    "no curve": {"keys_answer": JSONResponse({"keys": [{"kty": "EC", "crv": "P-0", "x": "AA", "y": "AA"}]})},
    "kty a list": {"keys_answer": JSONResponse({"keys": [{"kty": ["RSA"]}]})},
    "503": {"discovery_answer": PlainTextResponse("down", 503)},
    "404": {"discovery_answer": PlainTextResponse("no", 404)},
    "no JSON": {"discovery_answer": PlainTextResponse("<html>")},
    "a list": {"discovery_answer": JSONResponse([])},
    "no JWKS address": {"discovery_answer": JSONResponse({"issuer": "x"})},
    "another issuer": {"stated_issuer": "https://other.example"},
    "JWKS not https": {"stated_jwks_uri": "http://127.0.0.1:1/jwks"},
    "JWKS no URL": {"stated_jwks_uri": "https://[oops/jwks"},
    "keys 500": {"keys_answer": PlainTextResponse("oops", 500)},
    "keys no JSON": {"keys_answer": PlainTextResponse("-----BEGIN PUBLIC KEY-----")},
    "keys a string": {"keys_answer": JSONResponse({"keys": "none"})},
    "keys strings": {"keys_answer": JSONResponse({"keys": ["none"]})},
    "an empty key": {"keys_answer": JSONResponse({"keys": [{}]})},
    "no modulus": {"keys_answer": JSONResponse({"keys": [{"kty": "RSA", "kid": "first"}]})},
    "off the curve": {"keys_answer": JSONResponse({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]})},
    "numbers": {"keys_answer": JSONResponse({"keys": [{"kty": "RSA", "n": 1, "e": 1}]})},
}


@pytest.mark.parametrize("bad", BAD_ISSUERS.values(), ids=BAD_ISSUERS)
async def test_while_the_issuer_gives_no_keys_callers_are_asked_to_come_again(
    small: Connector, bad: dict[str, Any]
) -> None:
    for name, value in bad.items():
        setattr(small.issuer, name, value)
    answer = await small.get(KNOWN)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json"), answer.text
    assert int(answer.headers["Retry-After"]) > 0


async def test_no_keys_at_all_let_nobody_in(small: Connector) -> None:
    small.issuer.published.clear()
    assert (await small.get(KNOWN)).status_code in {401, 503}


async def test_a_key_of_an_unknown_type_beside_a_good_one_is_ignored(small: Connector) -> None:
    # RFC 7517 section 5: implementations should ignore JWKs whose `kty` they do not understand.
    good = small.issuer.key.as_dict(private=False)
    small.issuer.keys_answer = JSONResponse({"keys": [{"kty": "AKP", "alg": "ML-DSA-65", "kid": "new"}, good]})
    assert (await small.get(KNOWN)).status_code == 404


async def test_an_issuer_that_does_not_listen_makes_callers_come_again(start: Starter, sqlite_url: str) -> None:
    connector = await start(sqlite_url, control_issuer="https://127.0.0.1:1")
    answer = await connector.get(KNOWN)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


async def test_an_issuer_with_a_certificate_of_a_strange_authority_is_not_believed(
    start: Starter, sqlite_url: str
) -> None:
    connector = await start(sqlite_url, control_ca_file=None)
    assert (await connector.get(KNOWN)).status_code == 503
    assert connector.issuer.discoveries == 0


async def test_the_issuer_is_believed_again_soon_after_it_answers(
    caller: Caller, issuer: Issuer, monotonic: Monotonic
) -> None:
    issuer.discovery_answer = PlainTextResponse("down", 503)
    assert await refusals(caller, issuer.token()) == [IssuerUnavailableError]
    issuer.discovery_answer = None
    monotonic.now_s += 3
    assert await refusals(caller, issuer.token()) == [None]


async def test_a_dead_issuer_is_not_asked_once_for_every_caller(caller: Caller, issuer: Issuer) -> None:
    issuer.discovery_answer = PlainTextResponse("down", 503)
    refused = await refusals(caller, *("garbage" for _ in range(50)))
    assert set(refused) == {IssuerUnavailableError}
    assert issuer.discoveries == 1


async def test_a_configured_address_of_the_keys_takes_the_place_of_discovery(start: Starter, sqlite_url: str) -> None:
    connector = await start(sqlite_url, control_jwks_url=f"{start.issuer.url}/openid/v1/jwks")
    assert (await connector.get(KNOWN)).status_code == 404
    assert await status(connector, start.issuer.token(iss="https://other.example")) == 401
    assert (start.issuer.discoveries, start.issuer.key_readings) == (0, 1)
