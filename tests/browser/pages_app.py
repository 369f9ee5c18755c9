"""The product's pages over a service whose answers a test sets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from sse_starlette.sse import EventSourceResponse

from ehr_connector.directory import Site
from ehr_connector.metrics import Metrics
from ehr_connector.visits.booking import Access
from ehr_connector.visits.events import Channel, DeviceTestResult, Stage, Status
from ehr_connector.visits.links import LinkError, Role
from ehr_connector.visits.look import JoinRefusedError, Look
from ehr_connector.visits.patient_routes import PatientPages
from ehr_connector.web.assets import Assets
from ehr_connector.web.locales import Language, Locales
from ehr_connector.web.middleware import RequestMiddleware
from ehr_connector.web.pages import Pages, answer_pages
from ehr_connector.web.problems import answer_problems
from ehr_connector.web.views import (
    BoardView,
    ConfirmView,
    InvitationView,
    MicrosoftView,
    NoticeView,
    SignedInView,
    StatusView,
    VisitView,
    vars_of,
)

TEAMS = ("https://teams.microsoft.com",)
ZONE = "America/Chicago"
START = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
PHONE = "+1 555 010 0199"


def look(access: Access = Access.OPEN, role: Role = Role.PATIENT, **more: object) -> Look:
    """Return what a page shows, as an organisation would have it."""
    timed = access not in {Access.GONE, Access.INACTIVE, Access.UNAVAILABLE}
    fields: dict[str, object] = {
        "organization_name": "Lamna Healthcare",
        "department": "Clinic 4" if timed else None,
        "start": START if timed else None,
        "opens_at": datetime.now(UTC) + timedelta(minutes=20) if timed else None,
        "closes_at": START + timedelta(hours=4) if timed else None,
        "time_zone": ZONE,
        "help_phone": PHONE,
        "emergency_notice": "If this is an emergency, call 911.",
    }
    return Look(access, role, **{**fields, **more})  # pyright: ignore[reportArgumentType] (a test names the fields)


class VisitDouble:
    """Implements `VisitsOfLinks`; what was told to it can be read."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was told, and show an open visit."""
        self.shown = look()
        self.refusal: Exception | None = None
        self.told: list[str] = []
        self.address = "/teams"

    async def look(self, token: str) -> Look:
        if token == "unknown":
            raise LinkError
        return self.shown

    async def opened(self, token: str) -> None:
        self.told.append("opened")

    async def device_test(self, token: str, result: DeviceTestResult) -> None:
        self.told.append(f"device test {result}")

    async def join(self, token: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        if self.shown.access is not Access.OPEN:
            raise JoinRefusedError(self.shown)
        self.told.append("join")
        return self.address


class RecordsDouble:
    """Implements `Records`: this app serves nobody's record."""

    async def site(self, record: str) -> Site | None:
        return None

    async def seen(self, site: Site) -> None:
        raise AssertionError


def pages_app(visits: VisitDouble) -> FastAPI:  # noqa: C901 (one small route after the other)
    """Return the app: the patient's pages, and the clinician's as they are at one moment."""
    assets = Assets()
    pages = Pages(Locales(), assets)
    app = FastAPI()
    app.include_router(assets.router())
    patient = PatientPages(pages, visits, RecordsDouble(), lambda: datetime.now(UTC), teams_origins=TEAMS)
    app.include_router(patient.router())
    app.state.pushed = []
    app.state.once = []
    app.state.board = {}

    async def teams() -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>Lobby</title><h1>Lobby</h1>")

    async def board(request: Request) -> Response:
        view = replace(board_view(pages.language(request)), **app.state.board)
        return pages.render(request, view.TEMPLATE, vars_of(view))

    async def microsoft(request: Request) -> Response:
        view = MicrosoftView("Lamna Healthcare", True, "amber 41 river", "/teams", "/stream", PHONE)
        return pages.render(request, view.TEMPLATE, vars_of(view))

    async def confirm(request: Request) -> Response:
        view = ConfirmView(
            "Lamna Healthcare", True, "amber 41 river", "clinician@lamna.example", "/signed-in", "c", "/sign-in/t"
        )
        return pages.render(request, view.TEMPLATE, vars_of(view))

    async def signed_in(request: Request) -> Response:
        view = SignedInView("Lamna Healthcare", False)
        return pages.render(request, view.TEMPLATE, vars_of(view))

    async def stream() -> EventSourceResponse:
        async def events():  # noqa: ANN202 (an async generator)
            for one in app.state.pushed:
                yield {"event": "status", "data": one}
            while app.state.once:
                yield app.state.once.pop()

        return EventSourceResponse(events())

    async def act() -> Response:
        return Response(status_code=204)

    app.add_api_route("/teams", teams)
    app.add_api_route("/board", board)
    app.add_api_route("/microsoft", microsoft)
    app.add_api_route("/confirm", confirm)
    app.add_api_route("/signed-in", signed_in, methods=["GET", "POST"])
    app.add_api_route("/stream", stream)
    app.add_api_route("/board/visits/{visit}/{action}", act, methods=["POST"])
    answer_problems(app)
    answer_pages(app, pages, ["/v/", "/device-test", "/board"])
    app.add_middleware(RequestMiddleware, metrics=Metrics())
    return app


def board_view(language: Language, status: Status | None = None) -> BoardView:
    """Return a board with a visit that waits and one that is to come."""
    waiting = status or Status(
        stage=Stage.IN_LOBBY,
        since=START - timedelta(minutes=4),
        channels=(Channel.SMS,),
        device_test=DeviceTestResult.PASSED,
        came_at=START - timedelta(minutes=4),
        waiting=1,
    )
    return BoardView(
        organization_name="Lamna Healthcare",
        is_test=True,
        patient_banner="Example, Pat · 1 January 1970",
        today=[_visit("one", START, language, waiting, is_open=True)],
        upcoming=[_visit("two", START + timedelta(days=6), language, Status(), is_open=False)],
        stream_url="/stream",
        csrf="c",
        help_phone=PHONE,
        notice=NoticeView("Link sent by text message."),
    )


def _visit(name: str, start: datetime, language: Language, status: Status, *, is_open: bool) -> VisitView:
    return VisitView(
        id=name,
        path=f"/board/visits/{name}",
        start=start,
        end=start + timedelta(minutes=30),
        time_zone=ZONE,
        visit_type="Follow-up",
        department="Clinic 4",
        open=is_open,
        status=StatusView.of(status, language, ZONE),
        can_join=is_open,
        can_send_sms=True,
        can_send_email=True,
        can_consult=is_open,
        can_invite=True,
        patient_link=f"https://visits.lamna.example/v/{'a' * 50}",
        invitations=[InvitationView(1, Role.INTERPRETER, f"https://visits.lamna.example/v/{'b' * 50}")]
        if is_open
        else (),
    )
