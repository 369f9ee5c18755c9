"""Microsoft Graph as each organisation's application reaches it."""

from __future__ import annotations

from collections.abc import Iterable

from ehr_api.control import OrganizationConfiguration
from ehr_clients.entra.tokens import AppToken, AppTokens
from ehr_clients.graph import Graph
from ehr_clients.http import Http
from ehr_connector.teams.refusals import TeamsError, not_configured


class GraphAccess:
    """Gives clients of Microsoft Graph; without a credential, none."""

    def __init__(self, http: Http, graph_url: str, tokens: AppTokens | None) -> None:
        self._http = http
        self._url = graph_url
        self._tokens = tokens

    def of(self, organization: OrganizationConfiguration) -> Graph:
        """Return a client for the organisation's tenant; nothing is asked yet.

        Raises:
            TeamsError: There is no credential.
        """
        tokens, tenant, client = self._known(organization)

        async def token() -> str:
            return (await tokens.token(tenant, client)).value

        return Graph(self._http, self._url, token)

    async def token(self, organization: OrganizationConfiguration) -> AppToken:
        """Return a token, in which consents of the last hour may not show.

        Raises:
            TeamsError: There is no credential.
            CredentialError: The credential cannot be read.
            RemoteError: Entra gave none.
        """
        tokens, tenant, client = self._known(organization)
        return await tokens.token(tenant, client)

    async def first_with(
        self, role: str, organizations: Iterable[OrganizationConfiguration]
    ) -> OrganizationConfiguration | None:
        """Return the first organisation whose application has a permission, as far as its token tells.

        Raises:
            TeamsError: There is no credential.
            CredentialError: The credential cannot be read.
            RemoteError: Entra gave no token.
        """
        for one in organizations:
            roles = (await self.token(one)).roles
            if roles is None or role in roles:
                return one
        return None

    async def fresh_token(self, organization: OrganizationConfiguration) -> AppToken:
        """Return a new token, in which the newest consents show.

        Raises:
            TeamsError: There is no credential.
            CredentialError: The credential cannot be read.
            RemoteError: Entra gave none.
        """
        tokens, tenant, client = self._known(organization)
        return await tokens.token(tenant, client, fresh=True)

    def _known(self, organization: OrganizationConfiguration) -> tuple[AppTokens, str, str]:
        if self._tokens is None:
            raise TeamsError(not_configured(organization))
        return self._tokens, organization.microsoft365.tenant_id, organization.microsoft365.client_id
