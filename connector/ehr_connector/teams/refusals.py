"""What Graph or Entra ID refused, as a finding with what mends it. Pure."""

from __future__ import annotations

from http import HTTPStatus

from ehr_api.control import GraphFinding, GraphReason, OrganizationConfiguration
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.entra.transport import SYSTEM as ENTRA
from ehr_clients.errors import RefusedError, RemoteError, TemporaryError

GRAPH_APP = "00000003-0000-0000-c000-000000000000"
"""Application id of Microsoft Graph, the same in every tenant."""
MEETINGS_ROLE = "OnlineMeetings.ReadWrite.All"
USERS_ROLE = "User.Read.All"
REQUIRED_ROLES = {
    MEETINGS_ROLE: "b8bb2037-6e08-44ac-a4ea-4674e010e2a4",
    USERS_ROLE: "df021288-bdef-4463-88db-98f22de89214",
}
"""Application permissions without which no visit is held, with their ids. Source: "Microsoft Graph permissions reference"."""
RECORDS_ROLE = "CallRecords.Read.All"
"""Without it there is no call quality."""
_ROLE_IDS = REQUIRED_ROLES | {RECORDS_ROLE: "45bbb07e-7321-4fd7-a8f6-3ff27e6a81c8"}
_LIMIT_S = 600.0
"""Throttling lasts seconds to minutes; an organiser who may make no more meetings is sent away for longer."""
_NO_TENANT = frozenset({"AADSTS90002", "AADSTS900023"})
_NO_APPLICATION = frozenset({"AADSTS700016"})
_NO_FEDERATION = frozenset({"AADSTS70021", "AADSTS700211", "AADSTS700212", "AADSTS700213"})


class TeamsError(Exception):
    """No online meeting can be had now; the finding says why, and what mends it."""

    def __init__(self, finding: GraphFinding, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{finding.reason.value}: {finding.message}")
        self.finding = finding
        self.retry_after_s = retry_after_s

    @property
    def reason(self) -> GraphReason:
        """Which of the known reasons it is."""
        return self.finding.reason

    @property
    def remedy(self) -> str:
        """What mends it."""
        return self.finding.remedy


def error_of(
    error: RemoteError | CredentialError, organization: OrganizationConfiguration, organizer: str | None = None
) -> TeamsError:
    """Return what a failed call means."""
    retry_after_s = error.retry_after_s if isinstance(error, TemporaryError) else None
    return TeamsError(finding_of(error, organization, organizer), retry_after_s=retry_after_s)


def finding_of(
    error: RemoteError | CredentialError, organization: OrganizationConfiguration, organizer: str | None = None
) -> GraphFinding:
    """Return what a failed call means; `organizer` is whose meetings it was about."""
    match error:
        case CredentialError():
            return _finding(
                GraphReason.CREDENTIAL_REFUSED,
                f"the connector's credential is unusable: {error}",
                "mount the file that EHR_CONNECTOR_GRAPH_CREDENTIAL names",
            )
        case TemporaryError(status=HTTPStatus.TOO_MANY_REQUESTS):
            return _finding(
                GraphReason.THROTTLED,
                f"{error.system} asks for patience ({error.operation})",
                "nothing; it is tried again by itself",
                organizer,
            )
        case RefusedError(system=system) if system == ENTRA:
            return _credential_refused(error, organization)
        case RefusedError():
            return _refused(error, organization, organizer)
        case _:
            return _finding(
                GraphReason.UNAVAILABLE,
                f"{error.system} gave no usable answer ({error.operation}: {error.detail})",
                "nothing, if it passes by itself; otherwise let the connector's network reach EHR_CONNECTOR_GRAPH_URL and"
                " EHR_CONNECTOR_ENTRA_AUTHORITY",
                organizer,
            )


def is_limit(error: RemoteError) -> bool:
    """Return whether an organiser may make no more meetings for now. Graph has no code of its own for that."""
    return (
        isinstance(error, TemporaryError)
        and error.status == HTTPStatus.TOO_MANY_REQUESTS
        and (error.retry_after_s or 0.0) >= _LIMIT_S
    )


def not_configured(organization: OrganizationConfiguration) -> GraphFinding:
    """Return the finding that there is no credential."""
    client = organization.microsoft365.client_id
    return _finding(
        GraphReason.NOT_CONFIGURED,
        "the connector has no credential for Microsoft Graph, so no online meeting can be held",
        "set EHR_CONNECTOR_GRAPH_CREDENTIAL of the connector to federated-token:PATH, client-secret:PATH or"
        f" certificate:PATH of the application {client}",
    )


def limit_reached(organization: OrganizationConfiguration) -> GraphFinding:
    """Return the finding that no organiser may make another meeting."""
    count = len(organization.microsoft365.meeting_organizers)
    return _finding(
        GraphReason.MEETING_LIMIT_REACHED,
        f"each of the {count} meeting organisers has made as many meetings as Microsoft Graph allows in a month (2,000)",
        "add accounts with a Teams licence to microsoft365.meetingOrganizers",
    )


def throttled(_organization: OrganizationConfiguration) -> GraphFinding:
    """Return the finding that meetings were refused because too much was asked."""
    return _finding(
        GraphReason.THROTTLED,
        "Microsoft Graph asks for patience when meetings of visits are made",
        "nothing; it is tried again by itself",
    )


def took_too_long() -> GraphFinding:
    """Return the finding that a meeting could not be had in the time for which somebody waits."""
    return _finding(
        GraphReason.UNAVAILABLE,
        "Microsoft Graph took too long to make or change a meeting",
        "nothing, if it passes by itself; otherwise see how long Microsoft Graph takes to answer the connector",
    )


def permissions_missing(organization: OrganizationConfiguration, missing: list[str]) -> GraphFinding:
    """Return the finding that application permissions are not granted."""
    client = organization.microsoft365.client_id
    return _finding(
        GraphReason.PERMISSIONS_MISSING,
        f"the application {client} lacks the application permissions {', '.join(missing)} of Microsoft Graph",
        _grant(client, missing),
    )


def call_records_not_permitted(organization: OrganizationConfiguration, *, is_advice: bool) -> GraphFinding:
    """Return the finding that the application may not read call records; advice where nobody asked for call quality."""
    client = organization.microsoft365.client_id
    wanted = (
        "Call quality is not reported: t"
        if is_advice
        else "reports has thresholds or dimensions of call quality, but t"
    )
    return _finding(
        GraphReason.CALL_RECORDS_NOT_PERMITTED,
        f"{wanted}he application {client} lacks the application permission {RECORDS_ROLE} of Microsoft Graph",
        _grant(client, [RECORDS_ROLE]),
    ).model_copy(update={"is_advice": is_advice})


def organizer_not_found(organization: OrganizationConfiguration, organizer: str) -> GraphFinding:
    """Return the finding that an organiser does not exist."""
    return _finding(
        GraphReason.ORGANIZER_NOT_FOUND,
        f"there is no account {organizer} in the tenant {organization.microsoft365.tenant_id}",
        "correct microsoft365.meetingOrganizers: the object id is shown by `az ad user show --id NAME --query id`",
        organizer,
    )


def organizer_disabled(organizer: str) -> GraphFinding:
    """Return the finding that an organiser's account is disabled."""
    return _finding(
        GraphReason.ORGANIZER_DISABLED,
        f"the account {organizer} is disabled",
        f"az ad user update --id {organizer} --account-enabled true",
        organizer,
    )


def organizer_not_licensed(organizer: str) -> GraphFinding:
    """Return the finding that an organiser has no Teams."""
    return _finding(
        GraphReason.ORGANIZER_NOT_LICENSED,
        f"the account {organizer} has no licence with Teams, or its Teams service plan is switched off",
        f"Set-MgUserLicense -UserId {organizer} -AddLicenses @{{SkuId = 'SKU'}} -RemoveLicenses @(), with the id of a licence"
        " with Teams from `Get-MgSubscribedSku`",
        organizer,
    )


def access_policy_missing(organization: OrganizationConfiguration, organizer: str) -> GraphFinding:
    """Return the finding that the application may not act for an organiser."""
    tenant, client = organization.microsoft365.tenant_id, organization.microsoft365.client_id
    return _finding(
        GraphReason.ACCESS_POLICY_MISSING,
        f"no application access policy lets the application {client} hold meetings of {organizer}",
        f"Connect-MicrosoftTeams -TenantId {tenant}; New-CsApplicationAccessPolicy -Identity ehr-connector -AppIds"
        f' "{client}"; Grant-CsApplicationAccessPolicy -PolicyName ehr-connector -Identity "{organizer}" (it takes up to'
        " 30 minutes)",
        organizer,
    )


def _refused(error: RefusedError, organization: OrganizationConfiguration, organizer: str | None) -> GraphFinding:
    if error.status == HTTPStatus.FORBIDDEN and organizer is not None:
        # Source: Graph, "Allow applications to access online meetings": code Unauthorized is the policy's.
        if error.code == "Unauthorized":
            return access_policy_missing(organization, organizer)
        if error.code == "Forbidden":
            return _finding(
                GraphReason.REFUSED,
                f"Microsoft Graph refused ({error.operation}: {error.detail}); the permissions, the application access"
                f" policy or the licence of {organizer} is missing",
                "see the condition GraphAuthorized of the EHRConnectorConfig, which looks at each",
                organizer,
            )
    if error.code == "Authorization_RequestDenied":
        return permissions_missing(organization, [USERS_ROLE])
    return _finding(
        GraphReason.REFUSED,
        f"{error.system} refused ({error.operation}: {error.detail})",
        "look the code up in Microsoft Graph's documentation of errors",
        organizer,
    )


def _credential_refused(error: RefusedError, organization: OrganizationConfiguration) -> GraphFinding:
    tenant, client = organization.microsoft365.tenant_id, organization.microsoft365.client_id
    if error.code in _NO_TENANT:
        what, remedy = (
            f"there is no tenant {tenant}",
            "correct microsoft365.tenantID: `az account show --query tenantId`",
        )
    elif error.code in _NO_APPLICATION:
        what = f"there is no application {client} in the tenant {tenant}"
        remedy = f"correct microsoft365.clientID, or `az ad sp create --id {client}` in the tenant"
    elif error.code in _NO_FEDERATION:
        what = f"the application {client} does not trust the issuer, subject or audience of the connector's token"
        remedy = (
            f'az ad app federated-credential create --id {client} --parameters \'{{"name":"ehr-connector","issuer":'
            '"ISSUER","subject":"system:serviceaccount:ehr-system:ehr-connector","audiences":["api://AzureADTokenExchange"]}\''
            " with the issuer of the cluster where the connector runs"
        )
    else:
        what = f"Entra ID does not take the credential of the application {client}"
        remedy = (
            f"az ad app credential reset --id {client} --append, and put what it prints into the file that"
            " EHR_CONNECTOR_GRAPH_CREDENTIAL names"
        )
    return _finding(GraphReason.CREDENTIAL_REFUSED, f"{what} ({error.code})", remedy)


def _grant(client: str, missing: list[str]) -> str:
    """Return the commands that grant application permissions."""
    ids = " ".join(f"{_ROLE_IDS[role]}=Role" for role in missing if role in _ROLE_IDS)
    add = f"az ad app permission add --id {client} --api {GRAPH_APP} --api-permissions {ids} && " if ids else ""
    return f"{add}az ad app permission admin-consent --id {client}"


def _finding(reason: GraphReason, message: str, remedy: str, organizer: str | None = None) -> GraphFinding:
    return GraphFinding(reason=reason, message=message[:1024], remedy=remedy, organizer=organizer)
