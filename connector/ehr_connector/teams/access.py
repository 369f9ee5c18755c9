"""Microsoft Graph as each organisation's application reaches it."""

from __future__ import annotations

from ehr_api.control import OrganizationConfiguration
from ehr_clients.entra import AppToken, Entra
from ehr_clients.graph import Graph
from ehr_clients.http import Http
from ehr_connector.teams.refusals import TeamsError, not_configured


class GraphAccess:
    """Gives clients of Microsoft Graph; without a credential, none."""

    def __init__(self, http: Http, graph_url: str, entra: Entra | None) -> None:
        self._http = http
        self._url = graph_url
        self._entra = entra

    def of(self, organization: OrganizationConfiguration) -> Graph:
        """Return a client for the organisation's tenant; nothing is asked yet.

        Raises:
            TeamsError: There is no credential.
        """
        entra, tenant, client = self._known(organization)

        async def token() -> str:
            return (await entra.token(tenant, client)).value

        return Graph(self._http, self._url, token)

    async def fresh_token(self, organization: OrganizationConfiguration) -> AppToken:
        """Return a new token, in which the newest consents show.

        Raises:
            TeamsError: There is no credential.
            CredentialError: The credential cannot be read.
            RemoteError: Entra gave none.
        """
        entra, tenant, client = self._known(organization)
        return await entra.token(tenant, client, fresh=True)

    def _known(self, organization: OrganizationConfiguration) -> tuple[Entra, str, str]:
        if self._entra is None:
            raise TeamsError(not_configured(organization))
        return self._entra, organization.microsoft365.tenant_id, organization.microsoft365.client_id
