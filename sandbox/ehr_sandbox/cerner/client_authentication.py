"""Who asks for a token: by a signed assertion, or by a secret.

Source: SMART App Launch 2.2, "Client Authentication: Asymmetric (public key)"; RFC 7523; RFC 6749, section 2.3.1.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from joserfc import jws
from joserfc.errors import JoseError
from pydantic import TypeAdapter, ValidationError

from ehr_sandbox.cerner.client_keys import ClientKeys, KeysUnavailableError
from ehr_sandbox.cerner.oauth_errors import OAuthError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ["RS384", "ES384"]
_FURTHEST_EXPIRY_S = 300

_object = TypeAdapter(dict[str, Any])


class ClientAuthentication:
    """Checks callers of the token endpoint."""

    def __init__(
        self, keys: ClientKeys, with_keys: Mapping[str, str], secrets: Mapping[str, str], now: Callable[[], datetime]
    ) -> None:
        self._keys = keys
        self._with_keys = with_keys
        self._secrets = secrets
        self._now = now
        self._used: dict[tuple[str, str], float] = {}

    async def client_of(self, form: Mapping[str, str], authorization: str | None, audience: str) -> str:
        """Return the id of the client that proves itself.

        Raises:
            OAuthError: No client does.
        """
        assertion = form.get("client_assertion")
        if assertion is None and authorization is None:
            raise OAuthError("authentication-missing")
        if assertion is not None and authorization is not None:
            raise OAuthError("authentication-twice")
        if assertion is None:
            return self._by_secret(authorization or "")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("assertion-type")
        return await self._by_assertion(assertion, audience)

    def _by_secret(self, authorization: str) -> str:
        scheme, _, value = authorization.partition(" ")
        try:
            pair = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        client, colon, secret = pair.partition(":")
        if scheme.lower() != "basic" or not colon:
            raise OAuthError("authentication-missing", challenge=True)
        client, secret = unquote_plus(client), unquote_plus(secret)
        expected = self._secrets.get(client)
        if expected is None:
            raise OAuthError("client-unknown", challenge=True)
        if not hmac.compare_digest(expected.encode(), secret.encode()):
            raise OAuthError("secret-wrong", challenge=True)
        return client

    async def _by_assertion(self, assertion: str, audience: str) -> str:
        try:
            unverified = jws.extract_compact(assertion.encode())
            header, claims = _object.validate_python(unverified.headers()), _object.validate_json(unverified.payload)
        except (JoseError, ValidationError, ValueError) as exc:
            raise OAuthError("assertion-unreadable") from exc
        if header.get("alg") not in _ALGORITHMS:
            raise OAuthError("algorithm")
        client, kid = claims.get("iss"), header.get("kid")
        if not isinstance(client, str) or client not in self._with_keys:
            raise OAuthError("client-unknown")
        await self._check_signature(assertion, client, kid if isinstance(kid, str) else "")
        self._check_claims(claims, client, audience)
        return client

    async def _check_signature(self, assertion: str, client: str, kid: str) -> None:
        try:
            key = await self._keys.key(client, kid)
        except KeysUnavailableError as exc:
            raise OAuthError("keys-unavailable") from exc
        if key is None:
            raise OAuthError("key-unknown")
        try:
            jws.deserialize_compact(assertion, key, algorithms=_ALGORITHMS)
        except (JoseError, ValueError) as exc:
            raise OAuthError("signature") from exc

    def _check_claims(self, claims: Mapping[str, Any], client: str, audience: str) -> None:
        if claims.get("sub") != client:
            raise OAuthError("issuer-subject")
        given = claims.get("aud")
        if audience not in (given if isinstance(given, list) else [given]):
            raise OAuthError("audience")
        now_s = self._now().timestamp()
        expires_s, jti = claims.get("exp"), claims.get("jti")
        if not isinstance(expires_s, int | float) or isinstance(expires_s, bool):
            raise OAuthError("expiry-missing")
        if expires_s <= now_s:
            raise OAuthError("expired")
        if expires_s > now_s + _FURTHEST_EXPIRY_S:
            raise OAuthError("expiry-too-far")
        if not isinstance(jti, str) or not jti:
            raise OAuthError("jti-missing")
        self._used = {used: until_s for used, until_s in self._used.items() if until_s > now_s}
        if (client, jti) in self._used:
            raise OAuthError("jti-reused")
        self._used[client, jti] = expires_s
