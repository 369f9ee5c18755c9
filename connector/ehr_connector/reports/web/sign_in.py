"""The sign-in for reports: authorization code with PKCE at the organisation's own tenant, whose id token tells the app roles.

Source: Microsoft identity platform, "OAuth 2.0 authorization code flow" and "Add app roles to your application".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from ehr_api.control import OrganizationConfiguration
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.entra.sign_in import Account, PersonSignIn
from ehr_clients.errors import RefusedError, RemoteError
from ehr_connector.audit import Action, Audit, Outcome
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.sealed import Sealed, SealedError, Sealer
from ehr_connector.reports.web.access import PREFIX, SIGN_IN_PATH, ReportsAccess, ReportsSession, roles_of
from ehr_connector.reports.web.views import SignedOutView
from ehr_connector.store.single_use import SingleUse
from ehr_connector.web import cookies
from ehr_connector.web.guessing import network_of
from ehr_connector.web.locales import N_
from ehr_connector.web.microsoft import refused_page, unavailable_page
from ehr_connector.web.pages import Pages
from ehr_connector.web.sealed_cookie import SealedCookie, is_form_of_ours
from ehr_connector.web.views import vars_of

CALLBACK_PATH = f"{SIGN_IN_PATH}/callback"
SIGN_OUT_PATH = f"{PREFIX}/sign-out"
HOME = f"{PREFIX}/"
_COOKIE = "__Host-ehr-reports-sign-in"
_LIFE = timedelta(minutes=10)
_BEGINS = parse("60/minute")
"""For each address, in each process: many readers may share one."""
_AGAIN = N_("Try again with your work account.")
_LATER = N_("Try again in a minute.")


class Going(Sealed):
    """What the browser keeps while the person is at Microsoft."""

    namespace: str
    name: str
    page: str
    """Where they go afterwards, below the organisation; empty for its first page."""
    flow: str
    """msal's flow, JSON."""


@dataclass(frozen=True, slots=True)
class ReportsSignIn:
    """The handlers."""

    directory: Directory
    entra: PersonSignIn | None
    access: ReportsAccess
    audit: Audit
    single_use: SingleUse
    secret: SecretKeys
    pages: Pages
    going: SealedCookie[Going]
    begins: FixedWindowRateLimiter
    """Anybody may begin, and each beginning is a question to Entra ID."""
    now: Callable[[], datetime]

    @classmethod
    def create(
        cls,
        *,
        directory: Directory,
        entra: PersonSignIn | None,
        access: ReportsAccess,
        audit: Audit,
        single_use: SingleUse,
        secret: SecretKeys,
        pages: Pages,
        now: Callable[[], datetime],
    ) -> ReportsSignIn:
        """Return the handlers; without Entra they say that there is no credential."""
        sealer = Sealer(secret, Going, purpose="reports going", life=_LIFE, now=now)
        going = SealedCookie(_COOKIE, sealer)
        begins = FixedWindowRateLimiter(MemoryStorage())
        return cls(directory, entra, access, audit, single_use, secret, pages, going, begins, now)

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route(CALLBACK_PATH, self.callback, methods=["GET"])
        router.add_api_route(f"{SIGN_IN_PATH}/{{namespace}}/{{name}}", self.begin, methods=["GET"])
        router.add_api_route(SIGN_OUT_PATH, self.sign_out, methods=["POST"])
        return router

    async def begin(self, request: Request, namespace: str, name: str, page: str = "") -> Response:
        """Go to Microsoft."""
        if not await self.begins.hit(_BEGINS, network_of(request.client.host if request.client else "")):
            return self._too_often(request)
        organization = await self.directory.organization(namespace, name)
        if organization is None:
            return self._ended(request)
        again = sign_in_path(organization, page)
        if self.entra is None:
            return unavailable_page(self.pages, request, remedy=_LATER, retry_url=again, path=HOME)
        tenant = organization.microsoft365
        redirect_uri = organization.public_url + CALLBACK_PATH
        try:
            address, flow = await self.entra.sign_in_address(tenant.tenant_id, tenant.client_id, redirect_uri)
        except (CredentialError, RemoteError):
            return unavailable_page(self.pages, request, remedy=_LATER, retry_url=again, path=HOME)
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
        kept = Going(namespace=namespace, name=name, page=page if _is_plain(page) else "", flow=json.dumps(flow))
        self.going.keep(response, kept, cookies.new_browser())
        return response

    async def callback(self, request: Request) -> Response:
        """Begin a session for who comes back with a role."""
        try:
            _, going = self.going.open(request)
        except SealedError:
            return self._ended(request)
        organization = await self.directory.organization(going.namespace, going.name)
        if organization is None or self.entra is None:
            return self._ended(request)
        tenant = organization.microsoft365
        again = sign_in_path(organization, going.page)
        flow: Mapping[str, Any] = json.loads(going.flow)
        query = dict(request.query_params.items())
        token = self.secret.name("reports sign-in", str(flow.get("state", "")))
        if not await self.single_use.claim(token, self.now() + _LIFE):
            return self._ended(request)
        try:
            account = await self.entra.signed_in(tenant.tenant_id, tenant.client_id, flow, query)
        except RefusedError as exc:
            return refused_page(self.pages, request, exc.code, remedy=_AGAIN, retry_url=again, path=HOME)
        except (CredentialError, RemoteError):
            return unavailable_page(self.pages, request, remedy=_LATER, retry_url=again, path=HOME)
        return await self._admit(request, organization, account, going.page)

    async def sign_out(self, request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        """End the session."""
        browser = self.access.browser(request)
        if browser and not is_form_of_ours(request, self.secret, browser, csrf):
            return self._ended(request)
        view = SignedOutView(HOME)
        response = self.pages.render(request, view.TEMPLATE, vars_of(view), path=HOME)
        await self.access.end(request, response)
        return response

    async def _admit(
        self, request: Request, organization: OrganizationConfiguration, account: Account, page: str
    ) -> Response:
        session = ReportsSession(
            number=cookies.new_browser(),
            tenant=account.tenant_id,
            client=organization.microsoft365.client_id.lower(),
            account=account.object_id,
            username=account.username or account.display_name,
            roles=tuple(sorted(account.roles)),
        )
        admitted = bool(roles_of(session))
        await self.audit.record(
            organization.namespace,
            organization.name,
            Action.REPORTS_SIGNED_IN,
            self.access.actor(session),
            "reports",
            Outcome.SUCCESS if admitted else Outcome.REFUSED,
        )
        if not admitted:
            return no_role_page(self.pages, request, "Reports.Viewer", sign_in_path(organization, page))
        response = RedirectResponse(organization_path(organization, page), HTTPStatus.SEE_OTHER)
        self.access.begin(response, session, cookies.new_browser())
        self.going.clear(response)
        return response

    def _too_often(self, request: Request) -> Response:
        return self.pages.error(
            request,
            title=N_("That was too often"),
            text=N_("This was done many times in a short while."),
            remedy=_LATER,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            retry_url=HOME,
            path=HOME,
        )

    def _ended(self, request: Request) -> Response:
        return self.pages.error(
            request,
            title=N_("This sign-in has ended"),
            text=N_("It took too long, was used already, or was begun in another window."),
            remedy=N_("Open the reports again and sign in from there."),
            status=HTTPStatus.BAD_REQUEST,
            retry_url=HOME,
            path=HOME,
        )


def sign_in_path(organization: OrganizationConfiguration, page: str = "") -> str:
    """Return the address that begins a sign-in: at the organisation's own domain, whose cookie it needs."""
    query = f"?page={page}" if page else ""
    return f"{organization.public_url}{SIGN_IN_PATH}/{organization.namespace}/{organization.name}{query}"


def organization_path(organization: OrganizationConfiguration, page: str = "") -> str:
    """Return the path of an organisation's page."""
    below = f"/{page}" if page else ""
    return f"{PREFIX}/organizations/{organization.namespace}/{organization.name}{below}"


def no_role_page(pages: Pages, request: Request, role: str, retry_url: str) -> Response:
    """Return the page for who has signed in and lacks an app role; it names it, and who grants it."""
    return pages.error(
        request,
        title=N_("Your account may not read this"),
        text=N_("You have signed in, but your account does not have the app role %(role)s."),
        remedy=N_(
            "Ask your organization's IT for it. After it was granted, sign in again: the role counts from then on."
        ),
        audience=N_(
            "IT: Microsoft Entra admin center, Enterprise applications, the connector's application, Users and groups."
        ),
        status=HTTPStatus.FORBIDDEN,
        values={"role": role},
        retry_url=retry_url,
        path=HOME,
    )


def _is_plain(page: str) -> bool:
    return page.replace("-", "").isalpha() and page.isascii()
