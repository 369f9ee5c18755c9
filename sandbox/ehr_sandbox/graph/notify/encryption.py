"""Encrypts what a rich notification carries.

Source: Graph, "Set up change notifications that include resource data": a new AES key for each notification, which is
also where the initialisation vector comes from.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

_SMALLEST_KEY, _LARGEST_KEY = 2048, 4096


def certificate_of(text: str) -> x509.Certificate:
    """Return the certificate that a subscription brings, base64.

    Raises:
        ValueError: It is none, or its key is not one that Graph takes.
    """
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as exc:
        raise ValueError("must be a certificate in base64") from exc
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or not _SMALLEST_KEY <= key.key_size <= _LARGEST_KEY:
        raise ValueError(f"must have an RSA key of {_SMALLEST_KEY} to {_LARGEST_KEY} bits")
    return certificate


def encrypted(content: dict[str, Any], certificate: x509.Certificate, certificate_id: str) -> dict[str, str]:
    """Return `encryptedContent`."""
    key = secrets.token_bytes(32)
    padder = PKCS7(128).padder()
    padded = padder.update(json.dumps(content).encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    data = encryptor.update(padded) + encryptor.finalize()
    public = certificate.public_key()
    if not isinstance(public, RSAPublicKey):
        raise TypeError
    # SHA-1 is what Graph uses here.
    sha1 = hashes.SHA1()  # noqa: S303
    wrapped = public.encrypt(key, padding.OAEP(mgf=padding.MGF1(sha1), algorithm=sha1, label=None))
    return {
        "data": _base64(data),
        "dataSignature": _base64(hmac.digest(key, data, "sha256")),
        "dataKey": _base64(wrapped),
        "encryptionCertificateId": certificate_id,
        "encryptionCertificateThumbprint": certificate.fingerprint(sha1).hex().upper(),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
