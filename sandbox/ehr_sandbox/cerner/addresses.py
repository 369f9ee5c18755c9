"""Addresses of the simulated servers, all under the one that the caller used."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one tenant."""

    origin: str
    host: str
    tenant: str

    @classmethod
    def of(cls, request: Request) -> Addresses:
        """Derive them from the `Host` header and the path of a request."""
        host = request.headers.get("host") or request.url.netloc
        return cls(f"{request.url.scheme}://{host}", host, request.path_params["tenant"])

    @property
    def base(self) -> str:
        """The FHIR base URL."""
        return f"{self.origin}/r4/{self.tenant}"

    @property
    def issuer(self) -> str:
        """The authorization server of the tenant."""
        return f"{self.origin}/tenants/{self.tenant}"

    @property
    def token(self) -> str:
        """The token endpoint, which names the FHIR host since 2025."""
        return f"{self.issuer}/hosts/{self.host}/protocols/oauth2/profiles/smart-v1/token"

    @property
    def authorize(self) -> str:
        """The authorization endpoint of the provider persona."""
        return f"{self.issuer}/protocols/oauth2/profiles/smart-v1/personas/provider/authorize"

    @property
    def revoke(self) -> str:
        """The revocation endpoint."""
        return f"{self.issuer}/protocols/oauth2/profiles/smart-v1/token/revoke"

    @property
    def introspect(self) -> str:
        """The introspection endpoint."""
        return f"{self.origin}/tokeninfo"

    @property
    def id_token_issuer(self) -> str:
        """The `iss` of an id_token, which is not that of the SMART configuration; its last slash belongs to it."""
        return f"{self.issuer}/oidc/idsps/{self.tenant}/"

    @property
    def manage(self) -> str:
        """Where a person sees what was authorized."""
        return f"{self.issuer}/personas/provider/my-authorizations"

    @property
    def jwks(self) -> str:
        """The keys of the authorization server."""
        return f"{self.origin}/jwk"
