"""The reports' pages over made-up numbers, for a reader whose role a test sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_connector.audit import Action, Outcome
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
from ehr_connector.reports.quality.judgement import together
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
_DEPARTMENTS = [f"clinic-{number}" for number in range(1, 6)]
_ENDPOINTS = [
    endpoint
    | {
        "departments": [
            endpoint["departments"][0] | {"name": one, "displayName": one.replace("clinic-", "Clinic ")}
            for one in _DEPARTMENTS
        ]
    }
    for endpoint in ORGANIZATION_CONFIGURATION["endpoints"]
]
ORGANIZATION = OrganizationConfiguration.model_validate(
    ORGANIZATION_CONFIGURATION
    | {
        "displayName": "Lamna Healthcare",
        "publicURL": "https://visits.lamna.example",
        "name": "lamna",
        "endpoints": _ENDPOINTS,
    }
)
BELOW = f"/reports/organizations/{ORGANIZATION.namespace}/{ORGANIZATION.name}"
PAGES = ["consumption", "call-quality", "messages", "audit"]
_SHARES = (0.38, 0.27, 0.18, 0.12, 0.05)
_DONE = (
    (Action.LAUNCHED, Outcome.PROVIDER),
    (Action.JOINED, Outcome.SUCCESS),
    (Action.LAUNCHED, Outcome.PATIENT),
    (Action.PATIENT_JOINED, Outcome.SUCCESS),
    (Action.SENT, Outcome.SMS),
    (Action.REPORTS_SIGNED_IN, Outcome.SUCCESS),
)
_MESSAGES: Mapping[tuple[str, str, MessageStatus, str | None], int] = {
    ("sms", "booking", MessageStatus.SENT, None): 36,
    ("sms", "reminder", MessageStatus.SENT, None): 28,
    ("email", "booking", MessageStatus.SENT, None): 22,
    ("sms", "reminder", MessageStatus.OPTED_OUT, "4007"): 2,
    ("sms", "booking", MessageStatus.INVALID_NUMBER, "4002"): 1,
    ("sms", "reminder", MessageStatus.UNREACHABLE_NUMBER, "4006"): 2,
    ("sms", "link", MessageStatus.UNCONFIRMED, None): 1,
    ("sms", "reminder", MessageStatus.NOT_SENT, Reason.OPTED_OUT.value): 3,
    ("sms", "reminder", MessageStatus.NOT_SENT, Reason.NO_PHONE.value): 2,
}
"""Messages that are alike, and how many there are at most on a day."""
_CAME = frozenset(
    {
        VisitStatus.COMPLETED,
        VisitStatus.NO_SHOW_PROVIDER,
        VisitStatus.HALF_JOINED,
        VisitStatus.TECHNICAL_FAILURE,
    }
)
"""Visits to which the patient's link was used."""


class NumbersDouble:
    """Implements `ReportQueries` and `QualityQueries`: the same numbers for the same days, each the sum of its parts."""

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
        came = {status: count for status, count in by_status.items() if status in _CAME}
        by_channel = _parts(came, ["sms", "email", "copy", "ehr"], (0.58, 0.18, 0.08, 0.16))
        stayed_away = {status: count for status, count in by_status.items() if status not in _CAME}
        endpoints = ["lamna-production"] if "Production" in filters.environments else ["lamna-production", "lamna-test"]
        return VisitSummary(
            total=total,
            by_status=by_status,
            by_day=by_day,
            by_department=_parts(by_status, _DEPARTMENTS, _SHARES),
            by_endpoint=_parts(by_status, endpoints, (0.94, 0.06)),
            by_channel={BroughtBy(one): counts for one, counts in by_channel.items()} | {BroughtBy.NONE: stayed_away},
            waits=Waits(sum(came.values()), 128, 431, 655, 900),
            waits_by_day=waits,
            duration_s=by_status[VisitStatus.COMPLETED] * 1130,
            attendees=by_status[VisitStatus.COMPLETED] * 2,
        )

    async def message_summary(self, reader: Reader, filters: Filters) -> MessageSummary:
        self.asked.append(filters)
        if self.empty:
            return MessageSummary()
        random = Random(7)
        by_day: dict[date, dict[MessageStatus, int]] = {}
        counts: Counter[tuple[str, str, MessageStatus, str | None]] = Counter()
        for day in days_of(filters):
            of_the_day: Counter[MessageStatus] = Counter()
            for alike, most in _MESSAGES.items():
                number = random.randint(0, most) if most < 20 else random.randint(most // 2, most)
                counts[alike] += number
                of_the_day[alike[2]] += number
            by_day[day] = dict(of_the_day)
        return MessageSummary(counts.total(), [MessageCount(*alike, one) for alike, one in counts.items()], by_day)

    async def audit_summary(self, reader: Reader, start: datetime, end: datetime, newest: int) -> AuditSummary:
        if self.empty:
            return AuditSummary()
        rows = [
            AuditRow(
                number=number + 1,
                happened_at=NOW - timedelta(minutes=7 * (60 - number)),
                action=_DONE[number % len(_DONE)][0].value,
                outcome=(Outcome.REFUSED if number % 20 == 5 else _DONE[number % len(_DONE)][1]).value,
                actor=f"q{number % 4}Vt0mC7yZ1XH8d5n2kPpWb3LsR9uJf6GaEoT4iN0xY",
                object=f"b{number % 9}Zr4Kq8Lw1MvT6xC3hN0yPdS7uEjFa2GiRo5XkB9tHc",
                digest="sha256:" + "0" * 64,
            )
            for number in reversed(range(60))
        ]
        by_action = Counter(row.action for row in rows)
        refused = sum(row.outcome == Outcome.REFUSED for row in rows)
        return AuditSummary(dict(by_action.most_common()), refused, rows[:newest])

    async def quality_summary(self, reader: Reader, filters: Filters) -> QualitySummary:
        self.asked.append(filters)
        if self.empty:
            return QualitySummary()
        random = Random(8)
        by_day = {day: QualityCounts(random.randint(30, 60), random.randint(0, 6), 2) for day in days_of(filters)}
        calls = together(by_day.values())
        patients = {"good": calls.good + 14, "poor": calls.poor - 14, "unclassified": calls.unclassified}
        clinicians = {"good": calls.good + calls.poor - 22, "poor": 22, "unclassified": calls.unclassified}
        legs = {name: patients[name] + clinicians[name] for name in patients}

        def parted(names: Sequence[str], shares: Sequence[float]) -> Mapping[str, QualityCounts]:
            return {name: QualityCounts(**counts) for name, counts in _parts(legs, names, shares).items()}

        whole = {"good": calls.good, "poor": calls.poor, "unclassified": calls.unclassified}
        poor = legs["poor"]
        return QualitySummary(
            calls=calls,
            by_day=by_day,
            by_department={name: QualityCounts(**one) for name, one in _parts(whole, _DEPARTMENTS, _SHARES).items()},
            legs=QualityCounts(**legs),
            by_side={Side.PATIENT: QualityCounts(**patients), Side.PROVIDER: QualityCounts(**clinicians)},
            by_network_kind=parted(["wifi", "mobile", "wired"], (0.5, 0.3, 0.2)),
            by_platform=parted(["web", "windows", "iOS", "android"], (0.4, 0.3, 0.2, 0.1)),
            because={
                PoorBecause.JITTER: poor // 2,
                PoorBecause.PACKET_LOSS: poor // 3,
                PoorBecause.FRAME_RATE: poor - poor // 2 - poor // 3,
            },
            dimensions={"clinic": parted(["north", "south"], (0.6, 0.4))},
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


def _parts(counts: Mapping[Any, int], names: Sequence[str], shares: Sequence[float]) -> dict[str, dict[Any, int]]:
    """Return the counts by name, in about these shares; the first has what is left, so that nothing is lost."""
    found = {
        name: {kind: round(count * share) for kind, count in counts.items()}
        for name, share in zip(names[1:], shares[1:], strict=False)
    }
    first = {kind: count - sum(one[kind] for one in found.values()) for kind, count in counts.items()}
    return {names[0]: first} | found
