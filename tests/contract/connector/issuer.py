"""A token issuer with OpenID Connect discovery and a JWKS, as a cluster's API server has them, and bad ones."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

AUDIENCE = "ehr-connector"
SUBJECT = "system:serviceaccount:ehr-system:ehr-operator"

SigningKey = ECKey | RSAKey


def new_key(key_id: str) -> ECKey:
    """A key for ES256, which is made in no time."""
    return ECKey.generate_key("P-256", {"kid": key_id}, private=True)


@dataclass
class Issuer:
    """Mints tokens, publishes keys, and counts who asks for them."""

    url: str = ""
    key: SigningKey = field(default_factory=lambda: new_key("first"))
    published: list[SigningKey] = field(default_factory=list[SigningKey])
    stated_issuer: str | None = None
    """What discovery says, when that is not the truth."""
    stated_jwks_uri: str | None = None
    keys_answer: Response | None = None
    """What is answered instead of the keys."""
    discovery_answer: Response | None = None
    delay_s: float = 0.0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set as soon as anybody asks."""
    discoveries: int = 0
    key_readings: int = 0
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.published.append(self.key)
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discover),
                Route("/openid/v1/jwks", self._keys),
            ]
        )

    async def _discover(self, _request: Request) -> Response:
        self.discoveries += 1
        self.asked.set()
        await asyncio.sleep(self.delay_s)
        document = {
            "issuer": self.stated_issuer or self.url,
            "jwks_uri": self.stated_jwks_uri or f"{self.url}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
        }
        return self.discovery_answer or JSONResponse(document)

    async def _keys(self, _request: Request) -> Response:
        self.key_readings += 1
        return self.keys_answer or JSONResponse(KeySet([*self.published]).as_dict(private=False))

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token with changes; None takes a claim away."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": [AUDIENCE], "sub": SUBJECT, "iat": now, "nbf": now, "exp": now + 600}
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(
        self, *, key: SigningKey | None = None, algorithm: str = "ES256", names_key: bool = True, **changes: Any
    ) -> str:
        """A good token, but for the changes."""
        key = key or self.key
        header = {"alg": algorithm, "typ": "JWT"} | ({"kid": key.kid} if names_key else {})
        return jwt.encode(header, self.claims(**changes), key, algorithms=[algorithm])

    def unsigned_token(self) -> str:
        """A token with algorithm `none`."""
        return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(self.claims())}."

    def hmac_token(self) -> str:
        """A token whose HMAC secret is the public key: whoever takes the algorithm from the token believes it."""
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': self.key.kid})}.{_part(self.claims())}"
        mac = hmac.new(self.key.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_base64(mac)}"


def _part(content: Any) -> str:
    return _base64(json.dumps(content).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
