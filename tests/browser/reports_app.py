"""The reports' pages over made-up numbers, for a reader whose role a test sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from fastapi import FastAPI, Request
from starlette.responses import Response
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_connector.audit import Action
from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.decision import Reason
from ehr_connector.reports.ports import (
    AuditRow,
    AuditSummary,
    BroughtBy,
    Choices,
    Counts,
    Filters,
    MessageCount,
    MessageStatus,
    MessageSummary,
    Reader,
    ReportRole,
    VisitStatus,
    VisitSummary,
    Waits,
)
from ehr_connector.reports.quality.ports import PoorBecause, QualityCounts, QualitySummary
from ehr_connector.reports.web.access import AccessError, Admitted, Refusal, ReportsSession
from ehr_connector.reports.web.routes import ReportPages
from ehr_connector.reports.web.views import SignedOutView
from ehr_connector.visits.events import Side
from ehr_connector.web.assets import Assets
from ehr_connector.web.locales import Locales
from ehr_connector.web.middleware import RequestMiddleware
from ehr_connector.web.pages import Pages, answer_pages
from ehr_connector.web.problems import answer_problems
from ehr_connector.web.views import vars_of

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
ORGANIZATION = OrganizationConfiguration.model_validate(
    ORGANIZATION_CONFIGURATION
    | {"displayName": "Lamna Healthcare", "publicURL": "https://visits.lamna.example", "name": "lamna"}
)
BELOW = f"/reports/organizations/{ORGANIZATION.namespace}/{ORGANIZATION.name}"
PAGES = ["consumption", "call-quality", "messages", "audit"]
_DEPARTMENTS = ["cardiology", "oncology", "dermatology", "physiotherapy", "paediatrics"]


class NumbersDouble:
    """Implements `ReportQueries` and `QualityQueries`: the same numbers for the same days."""

    def __init__(self) -> None:
        self.empty = False
        self.asked: list[Filters] = []

    async def choices(self, reader: Reader) -> Choices:
        return Choices(_DEPARTMENTS, ["lamna-production", "lamna-test"], ["Production", "Test"])

    async def visit_summary(self, reader: Reader, filters: Filters) -> VisitSummary:
        self.asked.append(filters)
        if self.empty:
            return VisitSummary()
        random, days = Random(6), days_of(filters)
        by_day = {day: _visits(random, day) for day in days}
        by_status = _sum(list(by_day.values()))
        total = sum(by_status.values())
        waits = {day: Waits(30, random.randint(60, 240), random.randint(300, 700), 900, 1500) for day in days}
        shares = dict(zip(_DEPARTMENTS, (0.38, 0.27, 0.18, 0.12, 0.05), strict=True))
        channels = dict(zip(BroughtBy, (0.52, 0.16, 0.08, 0.14, 0.10), strict=True))
        return VisitSummary(
            total=total,
            by_status=by_status,
            by_day=by_day,
            by_department={name: _part(by_status, share) for name, share in shares.items()},
            by_endpoint={"lamna-production": _part(by_status, 0.94), "lamna-test": _part(by_status, 0.06)},
            by_channel={channel: _part(by_status, share) for channel, share in channels.items()},
            waits=Waits(total, 128, 431, 655, 2890),
            waits_by_day=waits,
            duration_s=by_status[VisitStatus.COMPLETED] * 1130,
            attendees=total * 2,
        )

    async def message_summary(self, reader: Reader, filters: Filters) -> MessageSummary:
        self.asked.append(filters)
        if self.empty:
            return MessageSummary()
        random, days = Random(7), days_of(filters)
        delivered = {day: random.randint(40, 90) for day in days}
        sent, size = MessageStatus.SENT, sum(delivered.values())
        counts = [
            MessageCount("sms", "booking", sent, None, size // 2),
            MessageCount("sms", "reminder", sent, None, size // 3),
            MessageCount("email", "booking", sent, None, size // 6),
            MessageCount("sms", "reminder", MessageStatus.OPTED_OUT, "4007", 14),
            MessageCount("sms", "booking", MessageStatus.INVALID_NUMBER, "4001", 9),
            MessageCount("sms", "reminder", MessageStatus.UNREACHABLE_NUMBER, "4006", 17),
            MessageCount("sms", "link", MessageStatus.UNCONFIRMED, None, 5),
            MessageCount("sms", "reminder", MessageStatus.NOT_SENT, Reason.OPTED_OUT.value, 31),
            MessageCount("sms", "reminder", MessageStatus.NOT_SENT, Reason.NO_PHONE.value, 22),
        ]
        by_day = {
            day: {sent: count, MessageStatus.OPTED_OUT: count // 20, MessageStatus.NOT_SENT: count // 12}
            for day, count in delivered.items()
        }
        return MessageSummary(sum(one.count for one in counts), counts, by_day)

    async def audit_summary(self, reader: Reader, start: datetime, end: datetime, newest: int) -> AuditSummary:
        if self.empty:
            return AuditSummary()
        actions = [Action.LAUNCHED, Action.JOINED, Action.SENT, Action.PATIENT_JOINED, Action.CONFIGURED]
        rows = [
            AuditRow(
                number=number + 1,
                happened_at=NOW - timedelta(minutes=7 * (60 - number)),
                action=actions[number % len(actions)].value,
                outcome="failure" if number % 19 == 3 else "success",
                actor=f"q{number % 4}Vt0mC7yZ1XH8d5n2kPpWb3LsR9uJf6GaEoT4iN0xY",
                object=f"b{number % 9}Zr4Kq8Lw1MvT6xC3hN0yPdS7uEjFa2GiRo5XkB9tHc",
                digest="sha256:" + "0" * 64,
            )
            for number in reversed(range(60))
        ]
        counts = dict(zip((one.value for one in actions), (431, 402, 388, 371, 6), strict=True))
        return AuditSummary(counts, 12, rows[:newest])

    async def quality_summary(self, reader: Reader, filters: Filters) -> QualitySummary:
        self.asked.append(filters)
        if self.empty:
            return QualitySummary()
        random = Random(8)
        by_day = {day: QualityCounts(random.randint(30, 60), random.randint(0, 6), 2) for day in days_of(filters)}
        good, poor = (sum(getattr(one, name) for one in by_day.values()) for name in ("good", "poor"))
        return QualitySummary(
            calls=QualityCounts(good, poor, 2 * len(by_day)),
            by_day=by_day,
            by_department={name: QualityCounts(good // 5, poor // (3 + i), 4) for i, name in enumerate(_DEPARTMENTS)},
            legs=QualityCounts(2 * good, poor + 20, 40),
            by_side={Side.PATIENT: QualityCounts(good, poor, 30), Side.PROVIDER: QualityCounts(good, 20, 10)},
            by_network_kind={
                "wifi": QualityCounts(good, poor // 2, 20),
                "mobile": QualityCounts(good // 2, poor // 2, 12),
                "wired": QualityCounts(good // 2, 9, 8),
            },
            by_platform={
                "web": QualityCounts(good, poor // 2, 20),
                "windows": QualityCounts(good // 2, 11, 9),
                "iOS": QualityCounts(good // 3, poor // 3, 8),
                "android": QualityCounts(good // 4, poor // 3, 8),
            },
            because={PoorBecause.JITTER: poor // 2, PoorBecause.PACKET_LOSS: poor // 3, PoorBecause.FRAME_RATE: 12},
            dimensions={"clinic": {"north": QualityCounts(good, poor // 2, 1), "south": QualityCounts(good, poor, 2)}},
        )


class ReadersDouble:
    """Stands for `ReportsAccess`: who reads is set by a test."""

    def __init__(self) -> None:
        self.roles = frozenset(ReportRole)
        self.signed_in = True

    async def session(self, request: Request) -> ReportsSession:
        if not self.signed_in:
            raise AccessError(Refusal.SIGNED_OUT)
        return ReportsSession(number="1", tenant="t", client="c", account="a", username="cleo.martin@lamna.example")

    async def admitted(self, request: Request, role: ReportRole) -> Admitted:
        session = await self.session(request)
        if role not in self.roles:
            raise AccessError(Refusal.NO_ROLE)
        return Admitted(session, ORGANIZATION, Reader(ORGANIZATION.namespace, ORGANIZATION.name, self.roles))

    async def organizations(self, session: ReportsSession) -> Sequence[OrganizationConfiguration]:
        return [ORGANIZATION, ORGANIZATION.model_copy(update={"name": "other", "display_name": "Other Clinics"})]

    def browser(self, request: Request) -> str:
        return "b"


class DirectoryDouble:
    """Knows one organisation."""

    async def organization(self, namespace: str, name: str) -> OrganizationConfiguration | None:
        return ORGANIZATION if (namespace, name) == (ORGANIZATION.namespace, ORGANIZATION.name) else None

    async def organizations(self) -> Sequence[OrganizationConfiguration]:
        return [ORGANIZATION]


def reports_app(keys: Path) -> FastAPI:
    """Return the app; its `state` has the doubles."""
    new_keys(keys, NOW - timedelta(days=1))
    assets = Assets()
    pages = Pages(Locales(), assets)
    app = FastAPI(redirect_slashes=False)
    app.state.numbers, app.state.readers = NumbersDouble(), ReadersDouble()
    shown = ReportPages(
        access=app.state.readers,  # pyright: ignore[reportArgumentType] (sets who reads)
        queries=app.state.numbers,  # pyright: ignore[reportArgumentType] (the pages ask for no rows)
        quality=app.state.numbers,  # pyright: ignore[reportArgumentType] (likewise)
        directory=DirectoryDouble(),  # pyright: ignore[reportArgumentType] (stands for the whole directory)
        secret=SecretKeys(keys, lambda: NOW),
        pages=pages,
        now=lambda: NOW,
    )

    async def signed_out(request: Request) -> Response:
        view = SignedOutView("/reports/")
        return pages.render(request, view.TEMPLATE, vars_of(view))

    app.include_router(assets.router())
    app.include_router(shown.router())
    app.add_api_route("/reports/signed-out", signed_out)
    app.add_api_route("/reports/sign-out", signed_out, methods=["POST"])
    answer_problems(app)
    answer_pages(app, pages, ["/reports"])
    app.add_middleware(RequestMiddleware, metrics=Metrics())
    return app


def days_of(filters: Filters) -> list[date]:
    """Return the days that filters choose, until today."""
    first, last = filters.start.date(), min(filters.end.date(), NOW.date() + timedelta(days=1))
    return [first + timedelta(days=number) for number in range((last - first).days)]


def _visits(random: Random, day: date) -> Counts:
    busy = 0 if day.weekday() > 4 else 1
    return {
        VisitStatus.COMPLETED: busy * random.randint(28, 55) + random.randint(0, 3),
        VisitStatus.NO_SHOW_PATIENT: busy * random.randint(1, 6),
        VisitStatus.NO_SHOW_PROVIDER: busy * random.randint(0, 1),
        VisitStatus.TECHNICAL_FAILURE: busy * random.randint(0, 3),
        VisitStatus.HALF_JOINED: busy * random.randint(0, 2),
        VisitStatus.CANCELLED: busy * random.randint(1, 5),
        VisitStatus.CANCELLED_LATE: busy * random.randint(0, 3),
        VisitStatus.SCHEDULED: 12 if day == NOW.date() else 0,
    }


def _sum(counts: Sequence[Counts]) -> Counts:
    return {status: sum(one.get(status, 0) for one in counts) for status in VisitStatus}


def _part(counts: Counts, share: float) -> Counts:
    return {status: round(count * share) for status, count in counts.items()}
