"""The page behind a join link, and the device test. No name of a person, no account, no app.

To look counts nothing: programs that scan links, and previews, look. What the patient does is told by POST.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from ehr_clients.errors import RemoteError
from ehr_connector.directory import Site
from ehr_connector.keys.files import KeysError
from ehr_connector.teams.refusals import TeamsError
from ehr_connector.visits.booking import Access
from ehr_connector.visits.events import DeviceTestResult
from ehr_connector.visits.links import LinkError, Role
from ehr_connector.visits.look import JoinRefusedError, Look, TooOftenError
from ehr_connector.web.browsers import Verdict, judge
from ehr_connector.web.locales import N_
from ehr_connector.web.origin import same_origin
from ehr_connector.web.pages import Pages

_BODY_MAX_BYTES = 1024
_HEADERS = {
    # Not `no-referrer`: with it a form's `Origin` is null in browsers that have no Sec-Fetch-Site. To others neither tells.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
_STATUS = {
    Access.EARLY: HTTPStatus.OK,
    Access.OPEN: HTTPStatus.OK,
    Access.LATE: HTTPStatus.GONE,
    Access.CANCELLED: HTTPStatus.GONE,
    Access.GONE: HTTPStatus.GONE,
    Access.INACTIVE: HTTPStatus.FORBIDDEN,
    Access.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
_WORDS = {
    Access.EARLY: (N_("Your video visit"), N_("You are early. You can join from the time below.")),
    Access.OPEN: (N_("Your video visit"), N_("You can join now.")),
    Access.LATE: (
        N_("The time to join has passed"),
        N_("This visit can no longer be joined. Call the clinic to make a new appointment."),
    ),
    Access.CANCELLED: (
        N_("This visit was cancelled"),
        N_("The clinic's calendar shows it as cancelled. Call the clinic if you did not expect this."),
    ),
    Access.GONE: (
        N_("This link is no longer valid"),
        N_("The visit was moved or removed, or the link was revoked. Look for a newer message, or call the clinic."),
    ),
    Access.INACTIVE: (
        N_("Video visits have not started here yet"),
        N_("The clinic has not opened its video visits yet. Call the clinic to ask how your visit takes place."),
    ),
    Access.UNAVAILABLE: (
        N_("We cannot find your visit just now"),
        N_(
            "The clinic's calendar does not answer. Try again in a minute. If your visit is about to begin, call the clinic."
        ),
    ),
}


class VisitsOfLinks(Protocol):
    """What the page can do with a visit (`ehr_connector.visits.service`)."""

    async def look(self, token: str) -> Look:
        """Return what the page shows."""
        ...

    async def opened(self, token: str) -> None:
        """Note that the patient uses the page."""
        ...

    async def device_test(self, token: str, result: DeviceTestResult) -> None:
        """Note how the device test ended."""
        ...

    async def join(self, token: str) -> str:
        """Return the address in Teams."""
        ...


class Records(Protocol):
    """Whose device test it is (`ehr_connector.visits.device_test_records`)."""

    async def site(self, record: str) -> Site | None:
        """Return to whom a device-test record belongs."""
        ...

    async def seen(self, site: Site) -> None:
        """Note that its address was opened."""
        ...


class PatientPages:
    """The routes of the patient's pages."""

    def __init__(
        self,
        pages: Pages,
        service: VisitsOfLinks,
        records: Records,
        now: Callable[[], datetime],
        *,
        teams_origins: Sequence[str],
    ) -> None:
        """Serve the pages; their button leads to `teams_origins` alone, also by Teams' own redirects."""
        self._pages = pages
        self._service = service
        self._records = records
        self._now = now
        self._teams_origins = teams_origins

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route("/v/{token}", self._page, methods=["GET", "HEAD"])
        router.add_api_route("/v/{token}/join", self._join, methods=["POST"])
        router.add_api_route("/v/{token}/opened", self._opened, methods=["POST"])
        router.add_api_route("/v/{token}/device-test", self._device_test, methods=["POST"])
        router.add_api_route("/device-test", self._device_test_alone, methods=["GET", "HEAD"])
        return router

    async def _page(self, request: Request, token: str) -> Response:
        try:
            look = await self._service.look(token)
        except LinkError:
            return self._no_link(request, token)
        verdict = judge(request.headers.get("user-agent"))
        joinable = look.access in {Access.EARLY, Access.OPEN}
        if joinable and verdict is not Verdict.SUPPORTED and "anyway" not in request.query_params:
            return self._unsupported(request, token, look, verdict)
        return self._visit(request, token, look, _STATUS[look.access])

    async def _join(self, request: Request, token: str) -> Response:
        if not same_origin(request):
            return self._elsewhere(request, token)
        try:
            address = await self._service.join(token)
        except LinkError:
            return self._no_link(request, token)
        except JoinRefusedError as exc:
            return self._visit(request, token, exc.look, HTTPStatus.CONFLICT)
        except TooOftenError as exc:
            return self._too_often(request, token, exc)
        except (TeamsError, RemoteError, KeysError, SQLAlchemyError):
            return await self._no_meeting(request, token)
        return RedirectResponse(address, HTTPStatus.SEE_OTHER, _HEADERS)

    async def _opened(self, request: Request, token: str) -> Response:
        if not same_origin(request):
            return Response(status_code=HTTPStatus.FORBIDDEN)
        try:
            await self._service.opened(token)
        except LinkError:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _device_test(self, request: Request, token: str) -> Response:
        if not same_origin(request):
            return Response(status_code=HTTPStatus.FORBIDDEN)
        result = await _result(request)
        if result is None:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        try:
            await self._service.device_test(token, result)
        except LinkError:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _device_test_alone(self, request: Request) -> Response:
        site = await self._records.site(request.query_params.get("record", ""))
        if site is not None and request.method == "GET":
            await self._records.seen(site)
        visits = site.organization.visits if site else None
        context = {
            "organization_name": site.organization.display_name if site else None,
            "help_phone": visits.help_phone if visits else None,
            "emergency_notice": visits.emergency_notice if visits else None,
        }
        return _private(self._pages.render(request, "device_test.html", context, devices=True))

    def _visit(self, request: Request, token: str, look: Look, status: HTTPStatus) -> Response:
        can_join = look.access is Access.OPEN or (look.role is Role.PROVIDER and look.access is Access.EARLY)
        title, text = _WORDS[Access.OPEN if can_join else look.access]
        now = self._now()
        page = self._pages.render(
            request,
            "visit.html",
            {
                "look": look,
                "token": token,
                "role": look.role.name,
                "title_text": title,
                "text": text,
                "now": now,
                "opens_in": look.opens_at - now if look.opens_at else None,
                "can_join": can_join,
                "result_url": f"/v/{token}/device-test",
            },
            status=status,
            form_targets=self._teams_origins,
            devices=look.access in {Access.EARLY, Access.OPEN},
            path=_path(token),
        )
        return _private(page)

    def _unsupported(self, request: Request, token: str, look: Look, verdict: Verdict) -> Response:
        return _private(
            self._pages.render(
                request,
                "unsupported.html",
                {"look": look, "token": token, "verdict": verdict.value},
                path=_path(token),
            )
        )

    def _no_link(self, request: Request, token: str) -> Response:
        return self._error(
            request,
            token,
            title=N_("This link is not complete"),
            text=N_("The address is not one of ours, or a part of it is missing."),
            remedy=N_("Open the link in your message again, or copy the whole of it into the address bar."),
            status=HTTPStatus.NOT_FOUND,
        )

    def _elsewhere(self, request: Request, token: str) -> Response:
        return self._error(
            request,
            token,
            title=N_("Open your visit from your link"),
            text=N_("The button was pressed on a page that is not ours."),
            remedy=N_("Open the link in your message, and press the button there."),
            status=HTTPStatus.FORBIDDEN,
            retry_url=_path(token),
        )

    def _too_often(self, request: Request, token: str, error: TooOftenError) -> Response:
        return self._error(
            request,
            token,
            title=N_("That was too often"),
            text=N_("This was done many times in a short while."),
            remedy=N_("Wait %(minutes)s minutes and try again."),
            status=HTTPStatus.TOO_MANY_REQUESTS,
            help_phone=error.look.help_phone,
            values={"minutes": error.minutes},
            retry_url=_path(token),
        )

    async def _no_meeting(self, request: Request, token: str) -> Response:
        try:
            help_phone = (await self._service.look(token)).help_phone
        except LinkError:
            return self._no_link(request, token)
        return self._error(
            request,
            token,
            title=N_("The visit could not be opened"),
            text=N_("There is no meeting for your visit just now."),
            remedy=N_("Try again in a minute. If it happens again, call the clinic: your visit can go on by phone."),
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            help_phone=help_phone,
            retry_url=_path(token),
        )

    def _error(
        self,
        request: Request,
        token: str,
        *,
        title: str,
        text: str,
        remedy: str,
        status: HTTPStatus,
        help_phone: str | None = None,
        values: Mapping[str, object] | None = None,
        retry_url: str | None = None,
    ) -> Response:
        """Return the page for what went wrong; it can be had again at the link itself, whatever was posted."""
        return _private(
            self._pages.error(
                request,
                title=title,
                text=text,
                remedy=remedy,
                status=status,
                help_phone=help_phone,
                values=values,
                retry_url=retry_url,
                path=_path(token),
            )
        )


def _path(token: str) -> str:
    return f"/v/{token}"


def _private(page: Response) -> Response:
    """Keep the link in a page's address from caches, search engines and other sites."""
    page.headers.update(_HEADERS)
    return page


async def _result(request: Request) -> DeviceTestResult | None:
    """Return the code that was posted, or None when it is none of ours."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_MAX_BYTES:
            return None
    try:
        posted: object = json.loads(body)
        return DeviceTestResult(posted["result"]) if isinstance(posted, dict) else None  # pyright: ignore[reportUnknownArgumentType] (JSON)
    except (ValueError, KeyError, RecursionError):
        return None
