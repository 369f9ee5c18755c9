"""The one sign-in to Microsoft, in a window of its own: Microsoft refuses frames, and the EHR's frame has other cookies.

The frame makes a ticket and shows a matching text; the window opens with the ticket, goes to Microsoft, and comes back
to a page that shows the same text and the account. Only the clinician's yes ties the two, and a ticket counts once.
"""

from __future__ import annotations

import json
from base64 import b32encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from ehr_clients.entra.credentials import CredentialError
from ehr_clients.entra.sign_in import PersonSignIn
from ehr_clients.errors import RefusedError, RemoteError
from ehr_connector.audit import Action, Audit
from ehr_connector.directory import Directory, Site
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.sealed import Sealed, SealedError, Sealer
from ehr_connector.launch.session import ClinicianSession
from ehr_connector.store.accounts import Accounts
from ehr_connector.store.single_use import SingleUse
from ehr_connector.web import cookies
from ehr_connector.web.locales import N_
from ehr_connector.web.microsoft import refused_page, unavailable_page
from ehr_connector.web.pages import Pages
from ehr_connector.web.sealed_cookie import SealedCookie, form_token, is_form_of_ours
from ehr_connector.web.views import ConfirmView, SignedInView, vars_of

PATH = "/sign-in"
CALLBACK_PATH = f"{PATH}/callback"
_COOKIE = "__Host-ehr-sign-in"
_LIFE = timedelta(minutes=10)
_ANYWHERE = "ticket"
"""A ticket is opened in another window than the one that made it: it is bound to no cookie, and counts once."""
_ENDED_PATH = f"{PATH}/ended"


class Ticket(Sealed):
    """What the frame gives the window."""

    user: str
    number: str
    """Random."""


class Going(Sealed):
    """What the window keeps while it is at Microsoft."""

    ticket: str
    flow: str
    """msal's flow, JSON."""


class Back(Sealed):
    """What the window keeps until the clinician has said yes."""

    ticket: str
    tenant: str
    account: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """The handlers."""

    directory: Directory
    entra: PersonSignIn | None
    accounts: Accounts
    audit: Audit
    single_use: SingleUse
    secret: SecretKeys
    pages: Pages
    tickets: Sealer[Ticket]
    going: SealedCookie[Going]
    back: SealedCookie[Back]
    now: Callable[[], datetime]

    @classmethod
    def create(
        cls,
        *,
        directory: Directory,
        entra: PersonSignIn | None,
        accounts: Accounts,
        audit: Audit,
        single_use: SingleUse,
        secret: SecretKeys,
        pages: Pages,
        now: Callable[[], datetime],
    ) -> SignIn:
        """Return the handlers; without Entra they say that there is no credential."""
        return cls(
            directory=directory,
            entra=entra,
            accounts=accounts,
            audit=audit,
            single_use=single_use,
            secret=secret,
            pages=pages,
            tickets=Sealer(secret, Ticket, purpose="sign-in ticket", life=_LIFE, now=now),
            going=SealedCookie(_COOKIE, Sealer(secret, Going, purpose="sign-in going", life=_LIFE, now=now)),
            back=SealedCookie(_COOKIE, Sealer(secret, Back, purpose="sign-in back", life=_LIFE, now=now)),
            now=now,
        )

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route(CALLBACK_PATH, self.callback, methods=["GET"])
        router.add_api_route(f"{PATH}/confirm", self.confirm, methods=["POST"])
        router.add_api_route(f"{PATH}/{{ticket}}", self.begin, methods=["GET"])
        return router

    def ticket(self, session: ClinicianSession, number: str) -> tuple[str, str]:
        """Return the address that the frame opens in a window, and the matching text."""
        ticket = Ticket(site=session.site, user=session.user, number=number)
        return f"{PATH}/{self.tickets.seal(ticket, _ANYWHERE)}", _matching(number)

    async def begin(self, request: Request, ticket: str) -> Response:
        """Go to Microsoft."""
        opened = self._ticket(ticket)
        site = await self._site(opened)
        if opened is None or site is None:
            return self._ended(request)
        tenant = site.organization.microsoft365
        redirect_uri = site.organization.public_url + CALLBACK_PATH
        if self.entra is None:
            return self._microsoft_unavailable(request, f"{PATH}/{ticket}")
        try:
            address, flow = await self.entra.sign_in_address(tenant.tenant_id, tenant.client_id, redirect_uri)
        except (CredentialError, RemoteError):
            return self._microsoft_unavailable(request, f"{PATH}/{ticket}")
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
        self.going.keep(response, Going(ticket=ticket, flow=json.dumps(flow)), cookies.new_browser())
        return response

    async def callback(self, request: Request) -> Response:
        """Ask the clinician whether account and launch belong together."""
        try:
            browser, going = self.going.open(request)
        except SealedError:
            return self._ended(request)
        opened = self._ticket(going.ticket)
        site = await self._site(opened)
        if opened is None or site is None or self.entra is None:
            return self._ended(request)
        tenant = site.organization.microsoft365
        flow: Mapping[str, Any] = json.loads(going.flow)
        try:
            account = await self.entra.signed_in(
                tenant.tenant_id, tenant.client_id, flow, dict(request.query_params.items())
            )
        except RefusedError as exc:
            return self._refused(request, exc.code, f"{PATH}/{going.ticket}")
        except (CredentialError, RemoteError):
            return self._microsoft_unavailable(request, f"{PATH}/{going.ticket}")
        view = ConfirmView(
            organization_name=site.organization.display_name,
            is_test=site.is_test,
            matching_text=_matching(opened.number),
            account=account.username or account.display_name,
            action_url=f"{PATH}/confirm",
            csrf=form_token(self.secret, browser),
            other_account_url=f"{PATH}/{going.ticket}",
        )
        response = self.pages.render(request, view.TEMPLATE, vars_of(view), path=f"{PATH}/{going.ticket}")
        back = Back(ticket=going.ticket, tenant=account.tenant_id, account=account.object_id)
        self.back.keep(response, back, browser)
        return response

    async def confirm(
        self, request: Request, csrf: Annotated[str, Form()] = "", answer: Annotated[str, Form()] = ""
    ) -> Response:
        """Tie the account to the user of the EHR, or leave it."""
        try:
            browser, back = self.back.open(request)
        except SealedError:
            return self._ended(request)
        opened = self._ticket(back.ticket)
        site = await self._site(opened)
        if opened is None or site is None:
            return self._ended(request)
        if not is_form_of_ours(request, self.secret, browser, csrf):
            return self._ended(request)
        if answer != "yes":
            return self._declined(request)
        token = self.secret.name("sign-in ticket", opened.number)
        if not await self.single_use.claim(token, self.now() + _LIFE):
            return self._ended(request)
        await self.accounts.put(site.base_url, opened.user, back.tenant, back.account)
        actor = self.secret.name("actor", site.base_url, opened.user)
        target = f"FhirEndpoint/{site.endpoint.name}"
        await self.audit.record(site.namespace, site.organization_name, Action.SIGNED_IN, actor, target)
        view = SignedInView(site.organization.display_name, site.is_test)
        response = self.pages.render(request, view.TEMPLATE, vars_of(view), path=f"{PATH}/{back.ticket}")
        self.back.clear(response)
        return response

    def _ticket(self, text: str) -> Ticket | None:
        try:
            return self.tickets.open(text, _ANYWHERE)
        except SealedError:
            return None

    async def _site(self, ticket: Ticket | None) -> Site | None:
        return None if ticket is None else await self.directory.by_tag(bytes.fromhex(ticket.site))

    def _ended(self, request: Request) -> Response:
        return self.pages.error(
            request,
            title=N_("This sign-in has ended"),
            text=N_("It took too long, was used already, or was begun in another window."),
            remedy=N_("Close this window, reload the page in the EHR and sign in from there."),
            status=HTTPStatus.BAD_REQUEST,
            path=_ENDED_PATH,
        )

    def _declined(self, request: Request) -> Response:
        return self.pages.error(
            request,
            title=N_("Nothing was connected"),
            text=N_("You answered no, so your accounts stay apart."),
            remedy=N_("Close this window. If somebody sent you here, tell your IT security."),
            status=HTTPStatus.OK,
            path=_ENDED_PATH,
        )

    def _refused(self, request: Request, code: str, retry_url: str) -> Response:
        remedy = N_("Try again with your work account. Until then, call the patient by phone.")
        return refused_page(self.pages, request, code, remedy=remedy, retry_url=retry_url, path=_ENDED_PATH)

    def _microsoft_unavailable(self, request: Request, retry_url: str) -> Response:
        remedy = N_("Try again in a minute. Until then, call the patient by phone.")
        return unavailable_page(self.pages, request, remedy=remedy, retry_url=retry_url, path=_ENDED_PATH)


def _matching(number: str) -> str:
    """Return six letters and digits that a person can compare."""
    letters = b32encode(sha256(number.encode()).digest()).decode()
    return f"{letters[:3]}-{letters[3:6]}"
