"""Notifications that are not as Graph sends them, or cannot be written down: what is answered, and what is recorded."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.connector.teams_running import TeamsUnderTest, running_teams
from contract.graph_stand_in.running import CLIENT, TENANT, Clock, GraphStandIn
from contract.graph_stand_in.running import Starter as GraphStarter
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_connector.keys.notification import NotificationKeys
from ehr_connector.store.visits import VisitRow
from ehr_connector.teams.client_state import client_state_of
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

PATH = "/graph/notifications"
NOTIFIER = "0bf30f3b-4a52-48df-9a82-234910c4a086"
NAME = "Zebediah Quillfeather"


class EntraKeys:
    """Entra's discovery, with a key that a test signs with."""

    def __init__(self) -> None:
        self.signer = RSAKey.generate_key(2048, {"kid": "entra"}, private=True)
        self.url = ""
        self.is_down = False
        self.app = Starlette(
            routes=[
                Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
                Route("/keys", self._keys),
            ]
        )

    async def _discovery(self, _request: Request) -> Response:
        return Response(status_code=503) if self.is_down else JSONResponse({"jwks_uri": f"{self.url}/keys"})

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self.signer.as_dict(private=False)]})


@pytest.fixture
async def entra(ca: LocalCA, resources: AsyncExitStack) -> EntraKeys:
    made = EntraKeys()
    chain, key = ca.server_certificate("entra", "127.0.0.1")
    made.url = await resources.enter_async_context(serve(made.app, ssl_certfile=chain, ssl_keyfile=key))
    return made


@dataclass
class Sender:
    """Sends what Graph would send, signed by the simulator of Entra where a test does not say otherwise."""

    graph: GraphStandIn
    teams: TeamsUnderTest
    keys: NotificationKeys
    http: httpx.AsyncClient
    visit: VisitRow
    entra: EntraKeys

    def token(self, key: RSAKey | None = None, **changes: Any) -> str:
        now_s = int(time.time())
        claims = {
            "aud": CLIENT,
            "iss": f"https://sts.windows.net/{TENANT}/",
            "exp": now_s + 3600,
            "nbf": now_s - 60,
            "appid": NOTIFIER,
        }
        header = {"alg": "RS256", "kid": "entra"}
        chosen = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(header, chosen, key or self.entra.signer)

    def content(self, event: dict[str, Any] | None = None, **changes: str) -> dict[str, Any]:
        key = secrets.token_bytes(32)
        padder = PKCS7(128).padder()
        plain = json.dumps(event or self.event()).encode()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
        data = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
        current = self.keys.current()
        public = x509.load_der_x509_certificate(base64.b64decode(current.certificate)).public_key()
        assert isinstance(public, RSAPublicKey)
        sha1 = hashes.SHA1()
        oaep = padding.OAEP(mgf=padding.MGF1(sha1), algorithm=sha1, label=None)
        return {
            "data": base64.b64encode(data).decode(),
            "dataSignature": base64.b64encode(hmac.digest(key, data, "sha256")).decode(),
            "dataKey": base64.b64encode(public.encrypt(key, oaep)).decode(),
            "encryptionCertificateId": current.key_id,
        } | changes

    def event(self) -> dict[str, Any]:
        who = {"id": "p1", "info": {"identity": {"guest": {"id": "g", "displayName": NAME}}}, "isInLobby": True}
        return {
            "id": "e1",
            "eventType": "rosterUpdated",
            "eventDateTime": "2026-01-31T12:00:00Z",
            "participants@delta": [who],
        }

    def delivery(self, *, token: str | None = None, **changes: Any) -> dict[str, Any]:
        notification = {
            "subscriptionId": "s1",
            "clientState": client_state_of(self.teams.secret_keys, self.visit.visit),
            "changeType": "updated",
            "tenantId": TENANT,
            "encryptedContent": self.content(),
        }
        return {"value": [notification | changes], "validationTokens": [token or self.token()]}

    async def send(self, delivery: Any) -> int:
        return (await self.http.post(PATH, json=delivery)).status_code

    async def recorded(self) -> int:
        return len(await self.teams.events.of(self.visit.visit))

    def counted(self, outcome: str) -> float:
        return self.teams.count("ehr_connector_graph_notifications_total", outcome=outcome)


@pytest.fixture
async def sender(ca: LocalCA, keys_dir: Path, sqlite_url: str, resources: AsyncExitStack, entra: EntraKeys) -> Sender:
    graph = await GraphStarter(Clock(), ca, resources)()
    teams = await resources.enter_async_context(
        running_teams(
            graph,
            ca,
            keys_dir,
            sqlite_url,
            entra_authority=entra.url,
            notification_token_issuer="https://sts.windows.net/{tenant}/",
        )
    )
    http = await resources.enter_async_context(
        httpx.AsyncClient(base_url=teams.url, verify=ca.client_context(), trust_env=False)
    )
    keys = NotificationKeys(keys_dir, Clock().now)
    return Sender(graph, teams, keys, http, await teams.visit(), entra)


async def test_what_graph_sends_is_recorded_before_it_is_acknowledged(sender: Sender) -> None:
    assert await sender.send(sender.delivery()) == 202
    assert await sender.recorded() == 1
    assert sender.counted("recorded") == 1


async def test_what_comes_again_changes_nothing(sender: Sender) -> None:
    for _ in range(3):
        assert await sender.send(sender.delivery()) == 202

    assert await sender.recorded() == 1
    assert sender.counted("repeated") == 2


BAD: dict[str, Callable[[Sender], dict[str, Any]]] = {
    "no client state": lambda sender: sender.delivery(clientState=""),
    "another's client state": lambda sender: sender.delivery(
        clientState=f"{sender.visit.visit}.{client_state_of(sender.teams.secret_keys, 'x' * 43).partition('.')[2]}"
    ),
    "a visit that is not there": lambda sender: sender.delivery(
        clientState=client_state_of(sender.teams.secret_keys, "x" * 43)
    ),
    "no tokens": lambda sender: sender.delivery() | {"validationTokens": []},
    "no token": lambda sender: sender.delivery(token="x.y.z"),
    "another signer": lambda sender: sender.delivery(token=sender.token(RSAKey.generate_key(2048))),
    "another audience": lambda sender: sender.delivery(token=sender.token(aud="other")),
    "another issuer": lambda sender: sender.delivery(token=sender.token(iss="https://other.example/")),
    "an expired token": lambda sender: sender.delivery(token=sender.token(exp=int(time.time()) - 3600)),
    "a token without end": lambda sender: sender.delivery(token=sender.token(exp=None)),
    "another application's token": lambda sender: sender.delivery(token=sender.token(appid=CLIENT)),
    "nothing encrypted": lambda sender: sender.delivery(encryptedContent=None),
}
"""What is not Graph's, or not for a subscription of ours."""


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_what_is_not_graphs_is_acknowledged_and_not_recorded(
    sender: Sender, bad: Callable[[Sender], dict[str, Any]]
) -> None:
    assert await sender.send(bad(sender)) == 202
    assert await sender.recorded() == 0
    assert sender.counted("rejected") == 1


UNREADABLE: dict[str, Callable[[Sender], dict[str, Any]]] = {
    "another key": lambda sender: sender.content(encryptionCertificateId="gone"),
    "a changed content": lambda sender: sender.content(data=base64.b64encode(bytes(64)).decode()),
    "another signature": lambda sender: sender.content(dataSignature=base64.b64encode(bytes(32)).decode()),
    "a changed key": lambda sender: sender.content(dataKey=base64.b64encode(bytes(384)).decode()),
    "no base64": lambda sender: sender.content(data="!"),
    "no event": lambda sender: sender.content({"x": 1}),
    "a content of another shape": lambda _sender: {"data": "x"},
}


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_acknowledged_and_counted(
    sender: Sender, bad: Callable[[Sender], dict[str, Any]]
) -> None:
    assert await sender.send(sender.delivery(encryptedContent=bad(sender))) == 202
    assert await sender.recorded() == 0
    assert sender.counted("unreadable") == 1


async def test_a_bad_notification_holds_up_none_beside_it(sender: Sender) -> None:
    good, bad = sender.delivery(), sender.delivery(clientState="x")
    assert await sender.send(good | {"value": ["nonsense", *bad["value"], *good["value"]]}) == 202
    assert await sender.recorded() == 1


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 400), (b"x" * 1_100_000, 413)])
async def test_a_body_that_is_none_of_graphs_is_refused(sender: Sender, body: bytes, status: int) -> None:
    assert (await sender.http.post(PATH, content=body)).status_code == status


async def test_what_cannot_be_written_down_is_left_for_graph_to_send_again(sender: Sender) -> None:
    async with sender.teams.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE visit_event RENAME TO gone"))
    first = await sender.send(sender.delivery())
    async with sender.teams.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE gone RENAME TO visit_event"))

    assert first == 503
    assert await sender.send(sender.delivery()) == 202
    assert await sender.recorded() == 1


async def test_without_entras_keys_nothing_is_believed_and_graph_is_asked_to_send_again(
    sender: Sender, entra: EntraKeys
) -> None:
    entra.is_down = True
    assert await sender.send(sender.delivery()) == 503
    entra.is_down = False
    assert await sender.send(sender.delivery()) == 202


async def test_the_handshake_gives_back_the_decoded_token_as_plain_text(sender: Sender) -> None:
    answer = await sender.http.post(f"{PATH}?validationToken=Validation%3A+a%26b%3C%2Fp%3E")

    assert (answer.status_code, answer.text) == (200, "Validation: a&b</p>")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_no_log_holds_anything_of_a_notification(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="ehr_connector")
    await sender.send(sender.delivery())
    await sender.send(sender.delivery(encryptedContent=sender.content({"eventType": NAME})))
    await sender.send({"value": [{"subscriptionId": NAME * 9}]})

    assert "Zebediah" not in caplog.text
