"""The keys to which Microsoft Graph encrypts its notifications: RSA, each with a self-signed certificate.

Source: Microsoft Graph, "Set up change notifications that include resource data": RSA of 2048 to 4096 bits, a
self-signed certificate is fine; the old key stays until no notification names it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ehr_connector.keys.files import KeyFiles, KeysError, made_at, new_key_id, write_key
from ehr_connector.keys.secret import SPREAD_BEFORE_USE

_SUFFIX = ".notification.pem"
_BITS = 3072
_LIFE = timedelta(days=3650)
"""Graph does not check it; rotation is by file."""


@dataclass(frozen=True, slots=True)
class NotificationKey:
    """One key; its id stands in each notification that was encrypted to it."""

    key_id: str
    key: RSAPrivateKey = field(repr=False)
    certificate: str
    """Base64 of the DER certificate, as `encryptionCertificate` wants it."""


class NotificationKeys:
    """The keys, read from the folder whenever it has changed."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._files = KeyFiles(folder, _SUFFIX, _load, now, SPREAD_BEFORE_USE)

    @property
    def problem(self) -> str | None:
        """What is wrong with a file, although there may be keys to go on with."""
        return self._files.problem

    def current(self) -> NotificationKey:
        """Return the key for new subscriptions: the newest that every replica has.

        Raises:
            KeysError: There is no usable key.
        """
        return self._files.current()

    def get(self, key_id: str) -> NotificationKey | None:
        """Return the key that a notification names, if it is still here."""
        return next((key for key in self._files.all() if key.key_id == key_id), None)


def new_notification_key(folder: Path, now: datetime) -> Path:
    """Make a key with its certificate and return its file, which only this user may read."""
    key_id = new_key_id(now)
    key = generate_private_key(public_exponent=65537, key_size=_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ehr-connector {key_id}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _LIFE)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    return write_key(folder, f"{key_id}{_SUFFIX}", pem)


def _load(path: Path) -> tuple[datetime, NotificationKey]:
    try:
        pem = path.read_bytes()
        key = load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
        if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError("not a pair")  # noqa: TRY301 (one remedy for all that is wrong)
        key_id = path.name.removesuffix(_SUFFIX)
        der = b64encode(certificate.public_bytes(Encoding.DER)).decode()
        return made_at(key_id), NotificationKey(key_id, key, der)
    except (ValueError, TypeError) as exc:
        raise KeysError(
            f"{path.name} is no RSA key with its certificate, named such as 20260131T120000Z-1a2b3c4d{_SUFFIX}:"
            " make keys with `python -m ehr_connector new-key DIR`"
        ) from exc
