"""Microsoft's signing key: made at the start, gone at the end."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from ehr_sandbox.graph.settings import GraphSettings

_ALGORITHM = "RS256"


class Signer:
    """Signs tokens and reads its own again."""

    def __init__(self, settings: GraphSettings) -> None:
        key = RSAKey.generate_key(2048, private=True)
        self._certificate = _certificate(key, settings)
        # Entra names its keys by the thumbprint of the certificate.
        self.kid = _b64url(hashlib.sha1(self._certificate, usedforsecurity=False).digest())
        self._key = RSAKey.import_key({**key.as_dict(private=True), "kid": self.kid})

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a signed token."""
        header = {"typ": "JWT", "alg": _ALGORITHM, "x5t": self.kid, "kid": self.kid}
        return jwt.encode(header, claims, self._key, algorithms=[_ALGORITHM])

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token that this key signed, whatever its age; None for any other text."""
        try:
            return dict(jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims)
        except (JoseError, ValueError, TypeError):
            return None

    def key_set(self, issuer: str | None) -> dict[str, Any]:
        """Return the public keys, as the discovery endpoints publish them."""
        public = {**self._key.as_dict(private=False), "use": "sig", "x5t": self.kid}
        public["x5c"] = [base64.b64encode(self._certificate).decode()]
        if issuer is not None:
            public["issuer"] = issuer
        return {"keys": [public]}


def _certificate(key: RSAKey, settings: GraphSettings) -> bytes:
    """Return a self-signed certificate of a key, DER: Entra publishes one with each key."""
    private = key.private_key
    assert isinstance(private, RSAPrivateKey)  # noqa: S101  # generated as such above
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounts.sandbox.invalid")])
    now = settings.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1825))
        .sign(private, SHA256())
    )
    return certificate.public_bytes(Encoding.DER)


def _b64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
