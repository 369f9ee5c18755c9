"""A program that takes change notifications, as Graph's documents tell it to."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from contract.graph_stand_in.running import GraphStandIn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: rsa.RSAPrivateKey = _KEY) -> str:
    """Return a self-signed certificate, as a subscription brings it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "notifications")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


@dataclass
class Subscriber:
    """What it was sent, and how it answers."""

    url: str = ""
    answers: list[int] = field(default_factory=list[int])
    """Statuses of the next answers; 202 when there are none left."""
    delay_s: float = 0.0
    handshake: Response | None = None
    """What is answered to a handshake instead of the token."""
    handshakes: list[str] = field(default_factory=list[str])
    queue: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue[dict[str, Any]])

    async def take(self, request: Request) -> Response:
        if (token := request.query_params.get("validationToken")) is not None:
            assert request.headers["content-type"] == "text/plain; charset=utf-8"
            self.handshakes.append(request.url.path)
            return self.handshake or PlainTextResponse(token)
        self.queue.put_nowait(await request.json())
        await asyncio.sleep(self.delay_s)
        return Response(status_code=self.answers.pop(0) if self.answers else 202)

    async def next(self) -> dict[str, Any]:
        """Return the next notification."""
        async with asyncio.timeout(10):
            body = await self.queue.get()
        assert len(body["value"]) == 1
        return {**body["value"][0], "validationTokens": body.get("validationTokens")}

    async def event(self) -> dict[str, Any]:
        """Return the content of the next notification."""
        return decrypted(await self.next())


def decrypted(notification: dict[str, Any]) -> dict[str, Any]:
    """Return what a notification carries. Source: Graph, "change notifications that include resource data"."""
    content = notification["encryptedContent"]
    sha1 = hashes.SHA1()
    oaep = padding.OAEP(mgf=padding.MGF1(sha1), algorithm=sha1, label=None)
    key = _KEY.decrypt(base64.b64decode(content["dataKey"]), oaep)
    data = base64.b64decode(content["data"])
    assert base64.b64encode(hmac.digest(key, data, "sha256")).decode() == content["dataSignature"]
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    unpadder = PKCS7(128).unpadder()
    return json.loads(unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize())


@asynccontextmanager
async def subscribing(ca: LocalCA) -> AsyncGenerator[Subscriber]:
    """Run a subscriber over TLS."""
    subscriber = Subscriber()
    routes = [Route(path, subscriber.take, methods=["POST"]) for path in ("/notifications", "/lifecycle")]
    chain, key = ca.server_certificate("subscriber", "127.0.0.1")
    async with serve(Starlette(routes=routes), ssl_certfile=chain, ssl_keyfile=key) as url:
        subscriber.url = url
        yield subscriber


def meeting_events(join_web_url: str) -> str:
    """Return the resource of a meeting's events: the URL is escaped once more."""
    return f"communications/onlineMeetings(joinWebUrl='{quote(join_web_url, safe='')}')/meetingCallEvents"


async def subscribe(graph: GraphStandIn, subscriber: Subscriber, resource: str, **changes: Any) -> httpx.Response:
    """Subscribe as asked, but for the changes; None leaves a field out."""
    body = {
        "changeType": "updated",
        "notificationUrl": f"{subscriber.url}/notifications",
        "lifecycleNotificationUrl": f"{subscriber.url}/lifecycle",
        "resource": resource,
        "includeResourceData": True,
        "encryptionCertificate": certificate(),
        "encryptionCertificateId": "key-1",
        "expirationDateTime": (graph.clock.time + timedelta(days=2)).isoformat(),
        "clientState": "state-of-the-subscriber",
        **changes,
    }
    return await graph.call(
        "POST", "/beta/subscriptions", {name: value for name, value in body.items() if value is not None}
    )
