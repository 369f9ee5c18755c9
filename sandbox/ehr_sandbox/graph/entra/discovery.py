"""Entra's discovery documents and published keys."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.graph.addresses import address_of, issuer, issuer_v1
from ehr_sandbox.graph.entra.tokens import tenant_of
from ehr_sandbox.graph.errors import EntraError
from ehr_sandbox.graph.platform import Platform


class Discovery:
    """The handlers of discovery."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> list[Route]:
        """Return the routes; they must come before others with a tenant in their path."""
        return [
            Route("/common/discovery/instance", self._instance, methods=["GET"]),
            Route("/common/discovery/keys", self._keys_v1, methods=["GET"]),
            Route("/common/discovery/v2.0/keys", self._keys, methods=["GET"]),
            Route("/common/.well-known/openid-configuration", self._common_v1, methods=["GET"]),
            Route("/{tenant}/discovery/v2.0/keys", self._keys, methods=["GET"]),
            Route("/{tenant}/discovery/keys", self._keys_v1, methods=["GET"]),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration, methods=["GET"]),
            Route("/{tenant}/.well-known/openid-configuration", self._configuration_v1, methods=["GET"]),
        ]

    async def _instance(self, request: Request) -> Response:
        """Say that this address is one of Microsoft's: what msal asks when instance discovery is on.

        Source: microsoft-authentication-library-for-python, `Authority` and `_get_instance_metadata`.
        """
        address = address_of(request, self._platform.settings)
        host = address.partition("://")[2]
        wanted = request.query_params.get("authorization_endpoint", "")
        named = wanted.partition("://")[2].partition("/")[0]
        # msal leaves the port out of the address that it asks about.
        if named.partition(":")[0] not in {host.partition(":")[0], "login.microsoftonline.com"}:
            raise EntraError("invalid_instance", 50049, "Unknown or invalid instance.")
        tenant = wanted.partition("://")[2].split("/")[1] if "/" in wanted.partition("://")[2] else "common"
        names = [host, host.partition(":")[0]]
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"{address}/{tenant}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": names[1], "aliases": names}],
            }
        )

    async def _keys(self, request: Request) -> Response:
        if (name := request.path_params.get("tenant")) is not None and name != "common":
            tenant_of(self._platform, request)
        address = address_of(request, self._platform.settings)
        return JSONResponse(self._platform.signer.key_set(issuer(self._platform.settings, address, "{tenantid}")))

    async def _keys_v1(self, request: Request) -> Response:
        if request.path_params.get("tenant") is not None:
            tenant_of(self._platform, request)
        return JSONResponse(self._platform.signer.key_set(None))

    async def _configuration(self, request: Request) -> Response:
        tenant = tenant_of(self._platform, request)
        address = address_of(request, self._platform.settings)
        base = f"{address}/{tenant.id}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": issuer(self._platform.settings, address, tenant.id),
                "request_uri_parameter_supported": False,
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "claims_supported": [
                    *("sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "ver"),
                ],
                "tenant_region_scope": "NA",
                "cloud_instance_name": "sandbox.invalid",
                "msgraph_host": address.partition("://")[2],
            }
        )

    async def _configuration_v1(self, request: Request) -> Response:
        tenant = tenant_of(self._platform, request)
        return self._v1(request, tenant.id)

    async def _common_v1(self, request: Request) -> Response:
        return self._v1(request, "{tenantid}")

    def _v1(self, request: Request, tenant: str) -> Response:
        address = address_of(request, self._platform.settings)
        base = f"{address}/{'common' if tenant == '{tenantid}' else tenant}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/token",
                "jwks_uri": f"{base}/discovery/keys",
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "issuer": issuer_v1(self._platform.settings, address, tenant),
                "authorization_endpoint": f"{base}/oauth2/authorize",
            }
        )
