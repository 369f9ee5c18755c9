"""The clinician's pages below `/clinician/{session}`: the board, its buttons, and the stream of live status."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from sse_starlette import EventSourceResponse

from ehr_clients.fhir_model import Patient
from ehr_connector.clinician.board import Board, Boards, BoardVisit
from ehr_connector.clinician.charts import BoardError, Charts
from ehr_connector.clinician.problems import ancestors, board_page, sealed_page, teams_page
from ehr_connector.clinician.sending import NOTICES, notice_of
from ehr_connector.clinician.sign_in import SignIn
from ehr_connector.clinician.streams import PING_S, Streams, reloading
from ehr_connector.directory import Site
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.sealed import OtherBrowserError, SealedError, Sealer
from ehr_connector.launch.session import ClinicianSession
from ehr_connector.store.guests import GUESTS_MAX
from ehr_connector.teams.refusals import TeamsError
from ehr_connector.visits.booking import Access
from ehr_connector.visits.events import Channel
from ehr_connector.visits.links import Role
from ehr_connector.web import cookies
from ehr_connector.web.browsers import Verdict, judge
from ehr_connector.web.locales import N_, Language
from ehr_connector.web.origin import same_origin
from ehr_connector.web.pages import Pages
from ehr_connector.web.views import (
    BoardView,
    InvitationView,
    MicrosoftView,
    NoticeView,
    StatusView,
    VisitView,
    banner_of,
    vars_of,
)

PREFIX = "/clinician"
_SEND_S = 30
"""Whoever takes nothing for so long, with the buffers full, is cut off."""
_NOTICES = {
    "invited": N_("The new link is below. Give it to the person whom you invite."),
    "revoked": N_("The link does not work any more."),
}
_KINDS_OF_NOTICE = {**{name: (words, "good") for name, words in _NOTICES.items()}, **NOTICES}
_CHANNELS = {channel.value: channel for channel in (Channel.SMS, Channel.EMAIL)}


@dataclass(frozen=True, slots=True)
class ClinicianPages:
    """The handlers."""

    charts: Charts
    boards: Boards
    sessions: Sealer[ClinicianSession]
    sign_in: SignIn
    streams: Streams
    secret: SecretKeys
    pages: Pages
    teams_origins: Sequence[str]
    """Where the buttons into meetings lead."""
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix=PREFIX + "/{session}")
        router.add_api_route("", self.board, methods=["GET"])
        router.add_api_route("/stream", self.stream, methods=["GET"])
        router.add_api_route("/consult", self.consult_alone, methods=["POST"])
        router.add_api_route("/visits/{visit}/join", self.join, methods=["POST"])
        router.add_api_route("/visits/{visit}/consult", self.consult, methods=["POST"])
        router.add_api_route("/visits/{visit}/send", self.send, methods=["POST"])
        router.add_api_route("/visits/{visit}/copied", self.copied, methods=["POST"])
        router.add_api_route("/visits/{visit}/invitations", self.invite, methods=["POST"])
        router.add_api_route("/visits/{visit}/revocations", self.revoke, methods=["POST"])
        return router

    async def board(self, request: Request, session: str, notice: str = "") -> Response:
        """Show the board, or before it the one sign-in."""
        try:
            opened = self._opened(request, session)
            board = await self.boards.board(opened)
            banner = await self.boards.patient_banner(board.site, opened)
        except (SealedError, BoardError) as exc:
            return await self._refused(request, session, exc)
        framed_by = ancestors(board.site)
        visits = board.site.organization.visits
        if board.account is None:
            address, matching = self.sign_in.ticket(opened, cookies.new_browser())
            view = MicrosoftView(
                organization_name=board.site.organization.display_name,
                is_test=board.site.is_test,
                matching_text=matching,
                sign_in_url=address,
                stream_url=f"{PREFIX}/{session}/stream?await=account",
                help_phone=visits.help_phone if visits else None,
            )
            return self.pages.render(request, view.TEMPLATE, vars_of(view), frame_ancestors=framed_by)
        shown = self._view(request, session, board, banner, notice)
        return self.pages.render(
            request, shown.TEMPLATE, vars_of(shown), frame_ancestors=framed_by, form_targets=self.teams_origins
        )

    async def stream(self, request: Request, session: str, of: str = "") -> Response:
        """Push the live status of the board's visits; before the sign-in, push that it is done."""
        try:
            opened = self._opened(request, session)
            site = await self.charts.site(opened)
            if "await" in request.query_params:
                events = self.streams.signed_in(site, opened)
            else:
                shown = self.streams.open(of, session, cookies.browser_of(request))
                events = self.streams.statuses(site, opened, shown, self.pages.language(request))
        except (SealedError, BoardError):
            events = reloading()
        return EventSourceResponse(events, ping=PING_S, send_timeout=_SEND_S, headers={"Cache-Control": "no-store"})

    async def join(self, request: Request, session: str, visit: str, csrf: Annotated[str, Form()] = "") -> Response:
        """Go to the visit's meeting."""
        return await self._to_teams(request, session, csrf, lambda opened: self.boards.join(opened, visit))

    async def consult(self, request: Request, session: str, visit: str, csrf: Annotated[str, Form()] = "") -> Response:
        """Go to a meeting with a colleague."""
        return await self._to_teams(request, session, csrf, lambda opened: self.boards.consult(opened, visit))

    async def consult_alone(self, request: Request, session: str, csrf: Annotated[str, Form()] = "") -> Response:
        """Go to a meeting with a colleague about a patient who has no visit."""
        return await self._to_teams(request, session, csrf, self.boards.consult_alone)

    async def copied(self, request: Request, session: str, visit: str, csrf: Annotated[str, Form()] = "") -> Response:
        """Note that the patient's link was copied."""
        try:
            opened = await self._posted(request, session, csrf)
            await self.boards.copied(opened, visit)
        except BoardError:
            return Response(status_code=HTTPStatus.CONFLICT)
        except SealedError:
            return Response(status_code=HTTPStatus.FORBIDDEN)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def send(
        self,
        request: Request,
        session: str,
        visit: str,
        csrf: Annotated[str, Form()] = "",
        channel: Annotated[str, Form()] = "",
    ) -> Response:
        """Send the patient's link by text message or by e-mail."""
        wanted = _CHANNELS.get(channel)
        if wanted is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST)
        try:
            opened = await self._posted(request, session, csrf)
            outcome = await self.boards.send(opened, visit, wanted)
        except (SealedError, BoardError) as exc:
            return await self._refused(request, session, exc)
        return _back(request, session, notice_of(outcome))

    async def invite(
        self,
        request: Request,
        session: str,
        visit: str,
        csrf: Annotated[str, Form()] = "",
        role: Annotated[str, Form()] = "",
    ) -> Response:
        """Make a link for a guest or an interpreter."""
        wanted = Role.INTERPRETER if role == "interpreter" else Role.GUEST
        try:
            opened = await self._posted(request, session, csrf)
            await self.boards.add_guest(opened, visit, wanted)
        except (SealedError, BoardError) as exc:
            return await self._refused(request, session, exc)
        return _back(request, session, "invited")

    async def revoke(
        self,
        request: Request,
        session: str,
        visit: str,
        number: Annotated[int, Form(ge=1, le=GUESTS_MAX)],
        csrf: Annotated[str, Form()] = "",
    ) -> Response:
        """Let a guest's link open nothing any more."""
        try:
            opened = await self._posted(request, session, csrf)
            await self.boards.revoke_guest(opened, visit, number)
        except (SealedError, BoardError) as exc:
            return await self._refused(request, session, exc)
        return _back(request, session, "revoked")

    async def _to_teams(
        self, request: Request, session: str, csrf: str, address_of: Callable[[ClinicianSession], Awaitable[str]]
    ) -> Response:
        try:
            opened = await self._posted_to_a_window(request, session, csrf)
            address = await address_of(opened)
        except (SealedError, BoardError) as exc:
            return await self._refused(request, session, exc)
        except TeamsError as exc:
            return teams_page(self.pages, request, exc, await self._site(session, cookies.browser_of(request)))
        return RedirectResponse(address, HTTPStatus.SEE_OTHER)

    def _view(self, request: Request, session: str, board: Board, banner: Patient | None, notice: str) -> BoardView:
        language = self.pages.language(request)
        zone = ZoneInfo(board.site.endpoint.appointments.time_zone)
        today = self.now().astimezone(zone).date()
        shown = [
            (one.booking.start.astimezone(zone).date() <= today, self._visit(session, one, language))
            for one in board.visits
        ]
        words, kind = _KINDS_OF_NOTICE.get(notice, (None, "good"))
        visits = board.site.organization.visits
        return BoardView(
            organization_name=board.site.organization.display_name,
            is_test=board.site.is_test,
            patient_banner=banner_of(banner, language) if banner else None,
            today=[view for is_today, view in shown if is_today],
            upcoming=[view for is_today, view in shown if not is_today],
            stream_url=self._stream_url(request, session, board),
            csrf=self._csrf(session),
            help_phone=visits.help_phone if visits else None,
            consult_path=None if any(view.can_consult for _, view in shown) else f"{PREFIX}/{session}/consult",
            is_supported=judge(request.headers.get("user-agent")) is Verdict.SUPPORTED,
            notice=NoticeView(language.text(words), kind) if words else None,
        )

    def _visit(self, session: str, one: BoardVisit, language: Language) -> VisitView:
        found = one.booking
        zone = found.site.endpoint.appointments.time_zone
        alive = one.access in {Access.EARLY, Access.OPEN}
        return VisitView(
            id=one.visit,
            path=f"{PREFIX}/{session}/visits/{one.visit}",
            start=found.start,
            end=found.end,
            time_zone=zone,
            visit_type=found.type_text,
            department=found.department.display_name,
            open=one.access is Access.OPEN,
            status=StatusView.of(one.status, language, zone),
            can_join=alive,
            can_send_sms=alive and Channel.SMS in one.channels,
            can_send_email=alive and Channel.EMAIL in one.channels,
            can_consult=alive,
            can_invite=alive,
            patient_link=self.boards.patient_link(found) if alive else None,
            invitations=[
                InvitationView(link.number, Role[link.kind.upper()], self.boards.guest_link(found, link))
                for link in one.guests
                if link.revoked_at is None
            ],
        )

    def _stream_url(self, request: Request, session: str, board: Board) -> str:
        """Return where the stream of a board is; the language that was chosen for the page is the stream's too."""
        shown = self.streams.seal(board, session, cookies.browser_of(request))
        chosen = request.query_params.get("lang")
        query = {"of": shown} | ({"lang": chosen} if chosen else {})
        return f"{PREFIX}/{session}/stream?{urlencode(query)}"

    def _opened(self, request: Request, session: str) -> ClinicianSession:
        return self.sessions.open(session, cookies.browser_of(request))

    async def _posted(self, request: Request, session: str, csrf: str) -> ClinicianSession:
        """Return the session of a form of ours.

        Raises:
            SealedError: The form is not of this session's page.
            BoardError: The session's site is not served any more.
        """
        opened = self._opened(request, session)
        return await self._checked(request, session, csrf, opened)

    async def _posted_to_a_window(self, request: Request, session: str, csrf: str) -> ClinicianSession:
        """Return the session of a form that opens a window of its own.

        Such a window has not the cookie of the EHR's frame. That the form is ours is known by `csrf`, which only the
        framed page could read. Raises as `_posted`.
        """
        return await self._checked(request, session, csrf, self.sessions.open_elsewhere(session))

    async def _checked(self, request: Request, session: str, csrf: str, opened: ClinicianSession) -> ClinicianSession:
        await self.charts.site(opened)
        if not same_origin(request) or not hmac.compare_digest(csrf.encode(), self._csrf(session).encode()):
            raise OtherBrowserError(opened.site)
        return opened

    def _csrf(self, session: str) -> str:
        return self.secret.name("csrf", session)

    async def _refused(self, request: Request, session: str, error: SealedError | BoardError) -> Response:
        if isinstance(error, SealedError):
            return sealed_page(self.pages, request, error, await self.charts.site_of(error.site))
        return board_page(self.pages, request, error, await self._site(session, cookies.browser_of(request)))

    async def _site(self, session: str, browser: str | None) -> Site | None:
        """Return the site of a session that may have ended: its pages stand in the frame of the site's EHR."""
        try:
            return await self.charts.site_of(self.sessions.open(session, browser).site)
        except SealedError as exc:
            return await self.charts.site_of(exc.site)


def _back(request: Request, session: str, notice: str) -> Response:
    """Return to the board, in the language that was chosen for it."""
    chosen = request.query_params.get("lang")
    query = {"notice": notice} | ({"lang": chosen} if chosen else {})
    return RedirectResponse(f"{PREFIX}/{session}?{urlencode(query)}", HTTPStatus.SEE_OTHER)
