"""Opens what a rich notification carries.

Source: Microsoft Graph, "Set up change notifications that include resource data", section "Decrypting resource data".
"""

from __future__ import annotations

import hmac
from base64 import b64decode

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ehr_connector.keys.notification import NotificationKeys

_BLOCK_BITS = 128
_BLOCK_BYTES = _BLOCK_BITS // 8


class UnreadableError(Exception):
    """The content cannot be opened; the message holds nothing of it."""


class EncryptedContent(BaseModel):
    """`encryptedContent` of a notification."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)

    data: str = Field(repr=False)
    data_signature: str = Field(repr=False)
    data_key: str = Field(repr=False)
    encryption_certificate_id: str = Field(max_length=128)


def opened(content: EncryptedContent, keys: NotificationKeys) -> bytes:
    """Return the content in clear.

    Raises:
        UnreadableError: We have no such key, or it was changed on its way.
        KeysError: The keys cannot be read.
    """
    key = keys.get(content.encryption_certificate_id)
    if key is None:
        raise UnreadableError("encrypted to a key that is not here")
    # Graph's format fixes SHA-1 for the padding; the signature is by SHA-256.
    sha1 = SHA1()  # noqa: S303
    try:
        data = b64decode(content.data, validate=True)
        signature = b64decode(content.data_signature, validate=True)
        secret = key.key.decrypt(
            b64decode(content.data_key, validate=True), OAEP(mgf=MGF1(sha1), algorithm=sha1, label=None)
        )
    except ValueError:
        raise UnreadableError("not encrypted to our key") from None
    if not hmac.compare_digest(hmac.digest(secret, data, "sha256"), signature):
        raise UnreadableError("its signature does not fit")
    try:
        decryptor = Cipher(AES(secret), CBC(secret[:_BLOCK_BYTES])).decryptor()
        padded = decryptor.update(data) + decryptor.finalize()
        unpadder = PKCS7(_BLOCK_BITS).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise UnreadableError("not encrypted as documented") from None
