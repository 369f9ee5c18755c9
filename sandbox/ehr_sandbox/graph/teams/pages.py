"""The page behind a join URL: a visitor waits in the lobby, somebody of the organisation admits them.

It works in a browser with forms and a little polling. There is no sound and no picture.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ehr_sandbox.graph.entra.grants import Grants
from ehr_sandbox.graph.entra.sign_in import SESSION_COOKIE
from ehr_sandbox.graph.meeting import Meeting, Participant
from ehr_sandbox.graph.pages import page
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.rest.meetings import Meetings
from ehr_sandbox.graph.teams.rooms import Rooms, find
from ehr_sandbox.graph.world import User

_NO_FRAME = {"X-Frame-Options": "DENY"}
_JOIN = "/teams/meet/meetup-join/{thread}/0"


class _GoneError(Exception):
    """There is no such meeting, or nobody of that name in it."""


class TeamsPages:
    """The handlers of the pages."""

    def __init__(self, platform: Platform, grants: Grants, meetings: Meetings, rooms: Rooms) -> None:
        self._platform = platform
        self._grants = grants
        self._meetings = meetings
        self._rooms = rooms

    def routes(self) -> list[Route | Mount]:
        """Return the routes."""
        return [
            Mount("/teams/static", StaticFiles(packages=[("ehr_sandbox.graph", "static")])),
            # Browsers ask for it; a 404 would be an error in their console.
            Route("/favicon.ico", _no_icon, methods=["GET"]),
            Route("/teams/visit/webrtc-svc/api/route", self._visit, methods=["GET"]),
            Route(_JOIN, self._show, methods=["GET"]),
            Route(f"{_JOIN}/view", self._view, methods=["GET"]),
            Route(f"{_JOIN}/join", self._join, methods=["POST"]),
            Route(f"{_JOIN}/{{action}}", self._act, methods=["POST"]),
        ]

    async def _visit(self, request: Request) -> Response:
        """Lead from the address for patients to the meeting, as a guest."""
        meeting = self._meetings.by_thread(request.query_params.get("convId", ""))
        if meeting is None:
            return _gone()
        return RedirectResponse(f"{meeting.join_web_url}&anon=true", status_code=302)

    async def _show(self, request: Request) -> Response:
        try:
            meeting = self._meeting(request)
            if "participant" in request.query_params:
                return page("teams_meeting.html", headers=_NO_FRAME, **self._seen(request, meeting))
        except _GoneError:
            return _gone()
        return page(
            "teams_join.html",
            headers=_NO_FRAME,
            path=_path(meeting),
            query=_query(request),
            user=self._user(request, meeting),
            name=request.query_params.get("name", ""),
        )

    async def _view(self, request: Request) -> Response:
        try:
            return page("teams_view.html", **self._seen(request, self._meeting(request)))
        except _GoneError:
            return _gone()

    async def _join(self, request: Request) -> Response:
        try:
            meeting = self._meeting(request)
        except _GoneError:
            return _gone()
        form = await request.form()
        user = self._user_of(meeting, str(form["as"])) if form.get("as") else None
        name = user.display_name if user is not None else str(form.get("name", "")).strip()[:100]
        if not name:
            return RedirectResponse(f"{_path(meeting)}?{_query(request)}", status_code=303)
        joined = self._rooms.join(meeting, name, None if user is None else user.id)
        return RedirectResponse(f"{_path(meeting)}?{_query(request, participant=joined.id)}", status_code=303)

    async def _act(self, request: Request) -> Response:
        try:
            meeting = self._meeting(request)
            me = _me(request, meeting)
            form = await request.form()
            match request.path_params["action"]:
                case "leave":
                    self._rooms.leave(meeting, me)
                case "admit" if _may_admit(meeting, me):
                    who = find(meeting, str(form.get("who", "")))
                    if who is not None:
                        self._rooms.admit(meeting, who)
                case "end" if _may_admit(meeting, me):
                    self._rooms.end(meeting)
                case _:
                    return Response(status_code=403)
        except _GoneError:
            return _gone()
        return RedirectResponse(f"{_path(meeting)}?{_query(request, participant=me.id)}", status_code=303)

    def _meeting(self, request: Request) -> Meeting:
        meeting = self._meetings.by_thread(request.path_params["thread"])
        if meeting is None:
            raise _GoneError
        return meeting

    def _user(self, request: Request, meeting: Meeting) -> User | None:
        """Return who has a Teams session in this browser."""
        if "anon" in request.query_params:
            return None
        if "as" in request.query_params:
            return self._user_of(meeting, request.query_params["as"])
        session = self._grants.sessions.get(request.cookies.get(SESSION_COOKIE, ""))
        return self._user_of(meeting, session[1]) if session and session[0] == meeting.tenant else None

    def _user_of(self, meeting: Meeting, name: str) -> User | None:
        tenant = self._platform.tenant(meeting.tenant)
        return None if tenant is None else tenant.user(name)

    def _seen(self, request: Request, meeting: Meeting) -> dict[str, Any]:
        """Return what a participant sees."""
        me = _me(request, meeting)
        call = next(call for call in meeting.calls if me in call.participants)
        present = call.present
        if call.ended is not None:
            state = "ended"
        elif me.left is not None:
            state = "left"
        else:
            state = "lobby" if me.in_lobby else "meeting"
        return {
            "path": _path(meeting),
            "query": _query(request, participant=me.id),
            "join_query": _query(request),
            "me": me,
            "state": state,
            "present": [one for one in present if not one.in_lobby],
            "waiting": [one for one in present if one.in_lobby],
            "may_admit": _may_admit(meeting, me),
        }


def _me(request: Request, meeting: Meeting) -> Participant:
    me = find(meeting, request.query_params.get("participant", ""))
    if me is None:
        raise _GoneError
    return me


def _may_admit(meeting: Meeting, me: Participant) -> bool:
    """Tell whether somebody may admit others: organizers, and presenters where the meeting lets them.

    Source: Graph, onlineMeeting: `allowedLobbyAdmitters`, `allowedPresenters`.
    """
    if me.user_id is None or me.in_lobby or me.left is not None:
        return False
    role = meeting.role_of(me.user_id)
    if role in {"organizer", "coorganizer"}:
        return True
    if meeting.options.get("allowedLobbyAdmitters") == "organizerAndCoOrganizers":
        return False
    return role == "presenter" or meeting.options.get("allowedPresenters", "everyone") in {"everyone", "organization"}


def _path(meeting: Meeting) -> str:
    return f"/teams/meet/meetup-join/{quote(meeting.thread_id, safe='')}/0"


def _query(request: Request, **changes: str) -> str:
    """Return the query of the page again, for another participant or none."""
    kept = {name: value for name, value in request.query_params.items() if name in {"context", "anon", "as", "name"}}
    return urlencode({**kept, **changes})


async def _no_icon(_request: Request) -> Response:
    return Response(status_code=204)


def _gone() -> Response:
    return page("teams_gone.html", status=404, headers=_NO_FRAME)
