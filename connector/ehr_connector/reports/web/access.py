"""Who may read which organisation's reports: an app role in Entra ID, held by a session in one browser.

A role belongs to one application of one tenant: it opens the reports of the organisations that name both, and no others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from ehr_api.control import OrganizationConfiguration
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.sealed import Sealed, SealedError, Sealer
from ehr_connector.reports.ports import Reader, ReportRole
from ehr_connector.store.single_use import SingleUse
from ehr_connector.web.problems import ProblemError
from ehr_connector.web.sealed_cookie import SealedCookie

PREFIX = "/reports"
SIGN_IN_PATH = f"{PREFIX}/sign-in"
API_PREFIX = f"{PREFIX}/api/"
ORGANIZATION = "/organizations/{namespace}/{name}"
"""Of the path of everything that is one organisation's."""
LIFE = timedelta(hours=4)
"""Of a session. Who loses a role in Entra ID has lost it here after so long."""
_COOKIE = "__Host-ehr-reports"
_SIGNED_OUT = "signed out of reports"


APP_ROLES: Mapping[str, frozenset[ReportRole]] = {
    "Reports.Viewer": frozenset({ReportRole.VIEWER}),
    "Reports.Auditor": frozenset({ReportRole.VIEWER, ReportRole.AUDITOR}),
}
"""What an app role, by the `value` that it has in the app registration, lets its holder see."""


class ReportsSession(Sealed):
    """Who has signed in. It travels sealed with the browser, and is never written down."""

    number: str
    """Random; by it the session is ended before its time."""
    tenant: str
    client: str
    account: str
    """Object id of the account."""
    username: str
    """Shown to the person alone."""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who was let in, and to what."""

    session: ReportsSession = field(repr=False)
    organization: OrganizationConfiguration
    reader: Reader


class Refusal(StrEnum):
    """Why nothing is shown."""

    SIGNED_OUT = "signed_out"
    NO_SUCH_ORGANIZATION = "no_such_organization"
    """There is none of that name, or none that this session's roles are for: which of both is not told."""
    NO_ROLE = "no_role"


class AccessError(Exception):
    """Nothing is shown."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


_PROBLEMS = {
    Refusal.SIGNED_OUT: (HTTPStatus.UNAUTHORIZED, f"sign in first, at {PREFIX}/ with a browser"),
    Refusal.NO_SUCH_ORGANIZATION: (HTTPStatus.NOT_FOUND, "there is no such organisation among yours"),
    Refusal.NO_ROLE: (
        HTTPStatus.FORBIDDEN,
        "your account lacks the app role for this; the organisation's IT grants it",
    ),
}


class ReportsAccess:
    """Begins, reads and ends sessions."""

    def __init__(
        self, directory: Directory, secret: SecretKeys, single_use: SingleUse, now: Callable[[], datetime]
    ) -> None:
        self._directory = directory
        self._secret = secret
        self._single_use = single_use
        self._now = now
        self._cookie = SealedCookie(
            _COOKIE, Sealer(secret, ReportsSession, purpose="reports session", life=LIFE, now=now)
        )

    def require(self, role: ReportRole) -> Callable[[Request], Awaitable[Reader]]:
        """Return a dependency of FastAPI for paths below `ORGANIZATION`: the reader, or a problem (401, 403, 404)."""

        async def reader(request: Request) -> Reader:
            try:
                return (await self.admitted(request, role)).reader
            except AccessError as exc:
                status, detail = _PROBLEMS[exc.refusal]
                raise ProblemError(status, detail) from None

        return reader

    async def admitted(self, request: Request, role: ReportRole) -> Admitted:
        """Return who asks for what is below `ORGANIZATION`.

        Raises:
            AccessError: They may not.
        """
        session = await self.session(request)
        names = request.path_params
        organization = await self._directory.organization(str(names["namespace"]), str(names["name"]))
        if organization is None or not _is_for(session, organization):
            raise AccessError(Refusal.NO_SUCH_ORGANIZATION)
        roles = roles_of(session)
        if role not in roles:
            raise AccessError(Refusal.NO_ROLE)
        return Admitted(session, organization, Reader(organization.namespace, organization.name, roles))

    async def session(self, request: Request) -> ReportsSession:
        """Return the session of this browser.

        Raises:
            AccessError: There is none.
        """
        try:
            _, session = self._cookie.open(request)
        except SealedError:
            raise AccessError(Refusal.SIGNED_OUT) from None
        if await self._single_use.is_used(self._ending(session)):
            raise AccessError(Refusal.SIGNED_OUT)
        return session

    async def organizations(self, session: ReportsSession) -> Sequence[OrganizationConfiguration]:
        """Return the organisations that a session's roles are for."""
        found = [one for one in await self._directory.organizations() if _is_for(session, one)]
        return sorted(found, key=lambda one: (one.display_name, one.namespace, one.name))

    def begin(self, response: Response, session: ReportsSession, browser: str) -> None:
        """Keep a session in the browser."""
        self._cookie.keep(response, session, browser)

    async def end(self, request: Request, response: Response) -> None:
        """End the session of this browser: what was copied from it opens nothing any more either."""
        try:
            _, session = self._cookie.open(request)
        except SealedError:
            return
        await self._single_use.claim(self._ending(session), self._now() + LIFE)
        self._cookie.clear(response)

    def browser(self, request: Request) -> str:
        """Return the random value beside the session, to which forms are bound; empty without a session."""
        try:
            return self._cookie.open(request)[0]
        except SealedError:
            return ""

    def actor(self, session: ReportsSession) -> str:
        """Return the keyed name of a session's account, as the audit log has it."""
        return self._secret.name("reports reader", session.tenant, session.account)

    def _ending(self, session: ReportsSession) -> str:
        return self._secret.name(_SIGNED_OUT, session.number)


def roles_of(session: ReportsSession) -> frozenset[ReportRole]:
    """Return what the roles of a session let its holder see."""
    return frozenset[ReportRole]().union(*(APP_ROLES.get(role, ()) for role in session.roles))


def _is_for(session: ReportsSession, organization: OrganizationConfiguration) -> bool:
    ours = organization.microsoft365
    return (session.tenant, session.client) == (ours.tenant_id.lower(), ours.client_id.lower())
