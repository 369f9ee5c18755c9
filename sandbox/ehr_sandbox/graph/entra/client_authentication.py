"""Which application asks for a token: by its secret, by a signed assertion of its own, or by another issuer's token.

Source: Microsoft identity platform, "OAuth 2.0 client credentials flow", "Certificate credentials" and "Workload
identity federation"; RFC 7523.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from pydantic import TypeAdapter, ValidationError

from ehr_sandbox.graph.entra.keys_of_issuers import KeysUnavailableError, key_set, keys_of
from ehr_sandbox.graph.errors import EntraError
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.world import App, Tenant

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ["RS256", "PS256", "ES256"]
_SKEW_S = 300


class _Registry(jws.JWSRegistry):
    """Allows a header that carries the whole certificate, as msal sends it."""

    max_header_length = 16 * 1024


_registry = _Registry(algorithms=_ALGORITHMS)
_object = TypeAdapter(dict[str, Any])
_one_or_many: TypeAdapter[str | list[str]] = TypeAdapter(str | list[str])


class ClientAuthentication:
    """Checks callers of the token endpoint."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def client_of(self, tenant: Tenant, form: Mapping[str, str], audiences: set[str]) -> App:
        """Return the application that proves itself.

        Args:
            tenant: Where it must exist.
            form: The body of the request.
            audiences: What an assertion of its own may be for: addresses of the token endpoint.

        Raises:
            EntraError: None does.
        """
        client_id = form.get("client_id")
        if not client_id:
            raise EntraError(
                "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."
            )
        app = tenant.app(client_id)
        if app is None:
            raise EntraError(
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory '{tenant.domain}'.",
            )
        assertion, secret = form.get("client_assertion"), form.get("client_secret")
        if assertion:
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise EntraError("invalid_request", 900144, f"'client_assertion_type' must be '{ASSERTION_TYPE}'.")
            await self._check_assertion(app, assertion, audiences)
        elif secret:
            _check_secret(app, secret)
        else:
            raise EntraError(
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        return app

    async def _check_assertion(self, app: App, assertion: str, audiences: set[str]) -> None:
        try:
            unverified = jws.extract_compact(assertion.encode(), registry=_registry)
            header, claims = _object.validate_python(unverified.headers()), _object.validate_json(unverified.payload)
        except (JoseError, ValidationError, ValueError) as exc:
            raise EntraError("invalid_request", 50027, "JWT token is invalid or malformed.") from exc
        if str(claims.get("iss", "")).lower() == app.client_id:
            keys = _own_keys(app, header)
            _check_own_claims(app, claims, audiences)
        else:
            keys = await self._federated_keys(app, claims)
        _check_signature(assertion, keys)
        self._check_times(claims)

    async def _federated_keys(self, app: App, claims: Mapping[str, Any]) -> KeySet:
        subject, issuer = claims.get("sub"), claims.get("iss")
        matching = [c for c in app.federated_credentials if (c.issuer, c.subject) == (issuer, subject)]
        if not matching:
            raise EntraError(
                "invalid_client",
                700213 if any(c.issuer == issuer for c in app.federated_credentials) else 700211,
                f"No matching federated identity record found for presented assertion subject '{subject}' and issuer '{issuer}'.",
            )
        audiences = _audiences(claims)
        for credential in matching:
            if audiences.intersection(credential.audiences):
                try:
                    return await keys_of(credential, self._platform.settings.ca_file)
                except KeysUnavailableError as exc:
                    raise EntraError(
                        "invalid_client", 50166, f"Request to External OIDC endpoint failed: {exc}."
                    ) from exc
        raise EntraError(
            "invalid_client", 700212, "No matching federated identity record found for presented assertion audience."
        )

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now_s = self._platform.now().timestamp()
        expires_s, not_before_s = claims.get("exp"), claims.get("nbf", now_s)
        if (
            not isinstance(expires_s, int | float)
            or not isinstance(not_before_s, int | float)
            or expires_s <= now_s - _SKEW_S
            or not_before_s > now_s + _SKEW_S
        ):
            raise EntraError("invalid_client", 700024, "Client assertion is not within its valid time range.")


def _check_secret(app: App, secret: str) -> None:
    if not any(hmac.compare_digest(known.encode(), secret.encode()) for known in app.secrets):
        raise EntraError(
            "invalid_client",
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
            f" not the client secret ID, for a secret added to app '{app.client_id}'.",
        )


def _check_own_claims(app: App, claims: Mapping[str, Any], audiences: set[str]) -> None:
    if str(claims.get("sub", "")).lower() != app.client_id:
        raise EntraError(
            "invalid_client", 700021, "Client assertion application identifier doesn't match 'client_id' parameter."
        )
    if not audiences & _audiences(claims):
        raise EntraError("invalid_client", 700023, "Client assertion audience claim does not match Realm issuer.")


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    try:
        given = _one_or_many.validate_python(claims.get("aud"))
    except ValidationError:
        return set()
    return {given} if isinstance(given, str) else set(given)


def _own_keys(app: App, header: Mapping[str, Any]) -> KeySet:
    """Return the registered key that an assertion's header names."""
    # msal leaves the padding in.
    for pem in app.certificates:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        der = certificate.public_bytes(Encoding.DER)
        sha1 = hashlib.sha1(der, usedforsecurity=False).digest()
        names = {_b64url(sha1), sha1.hex(), sha1.hex().upper(), _b64url(hashlib.sha256(der).digest())}
        if names.intersection(str(header.get(name)).rstrip("=") for name in ("x5t", "x5t#S256", "kid")):
            public = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return KeySet([RSAKey.import_key(public)])
    if app.jwks is not None:
        found = [key for key in key_set(app.jwks).keys if key.kid == header.get("kid")]
        if found:
            return KeySet(found)
    raise EntraError(
        "invalid_client",
        700027,
        "The certificate with identifier used to sign the client assertion is not registered on application.",
    )


def _check_signature(assertion: str, keys: KeySet) -> None:
    for key in keys.keys:
        if isinstance(key, RSAKey | ECKey):
            try:
                jws.deserialize_compact(assertion, key, registry=_registry)
            except (JoseError, ValueError):
                continue
            return
    raise EntraError("invalid_client", 700027, "Client assertion failed signature validation.")


def _b64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
