"""Who the clinician is: id_tokens, the OpenID configuration they are checked against, and the keys.

The issuer of an id_token is not the `issuer` of the SMART configuration. Source: Cerner's page "SMART", "OpenID Connect".
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.addresses import Addresses
from ehr_sandbox.cerner.errors import TenantError
from ehr_sandbox.cerner.launches import Code
from ehr_sandbox.cerner.people import Person
from ehr_sandbox.cerner.settings import CernerSettings


class IdTokens:
    """Signs id_tokens with a key that lives as long as the program."""

    def __init__(self, settings: CernerSettings) -> None:
        self._settings = settings

    @cached_property
    def _key(self) -> RSAKey:
        key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, private=True)
        key.ensure_kid()
        return key

    def issue(self, addresses: Addresses, code: Code, practitioner: Person) -> str:
        """Return the id_token for a code's exchange."""
        now_s = int(self._settings.now().timestamp())
        claims: dict[str, Any] = {
            "iss": addresses.id_token_issuer,
            "sub": username_of(practitioner),
            "aud": code.client,
            "iat": now_s,
            "exp": now_s + self._settings.token_life_s,
        }
        if code.nonce is not None:
            claims["nonce"] = code.nonce
        if "fhirUser" in code.scopes:
            claims["fhirUser"] = f"{addresses.base}/Practitioner/{practitioner.id}"
        if "profile" in code.scopes:
            claims |= {"name": practitioner.display, "profile": f"{addresses.base}/Practitioner/{practitioner.id}"}
        claims = {name: value for name, value in (claims | code.launch.opened.id_token).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": self._key.kid, "typ": "JWT"}, claims, self._key, algorithms=["RS256"])

    def routes(self) -> list[Route]:
        """Return the routes of the OpenID configuration and of the keys."""
        return [
            Route("/tenants/{tenant}/oidc/idsps/{idsp}/.well-known/openid-configuration", self._configuration),
            Route("/jwk", self._keys),
        ]

    async def _configuration(self, request: Request) -> Response:
        addresses = Addresses.of(request)
        if not self._settings.has_tenant(addresses.tenant) or request.path_params["idsp"] != addresses.tenant:
            raise TenantError
        return JSONResponse(
            {
                "issuer": addresses.id_token_issuer,
                "authorization_endpoint": addresses.authorize,
                "token_endpoint": addresses.token,
                "jwks_uri": addresses.jwks,
                "scopes_supported": ["openid", "profile", "fhirUser"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "fhirUser", "profile", "name"],
            }
        )

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse(KeySet([self._key]).as_dict(private=False), headers={"Cache-Control": "max-age=3600"})


def username_of(practitioner: Person) -> str:
    """Return the name under which a clinician signs in: no id, and nothing that looks like a URL."""
    return f"{practitioner.given[:1]}{practitioner.family}{practitioner.id[-3:]}".lower()
