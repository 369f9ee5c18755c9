"""The JSON API and the downloads: what the database holds, for those who are let in and for nobody else."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import date, timedelta
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from contract.reports.plays import PLAYS, Theatre
from contract.store.conftest import Clock
from fastapi import FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncConnection

from ehr_connector.audit import Action, Audit
from ehr_connector.directory import Directory
from ehr_connector.reports.ports import Access, Reader, ReportRole
from ehr_connector.reports.quality.extraction import Leg
from ehr_connector.reports.quality.ports import Figures
from ehr_connector.reports.quality.queries import QualityReports
from ehr_connector.reports.web.api import PREFIX, ReportsApi
from ehr_connector.reports.web.filters import chosen
from ehr_connector.store.organizations import Organizations
from ehr_connector.store.quality import Quality
from ehr_connector.store.sends import Message, Sends
from ehr_connector.visits.events import Side
from ehr_connector.web.problems import ProblemError, answer_problems

HERE = f"{PREFIX}/organizations/lamna/organization"
PATHS = (
    *("choices", "visits/summary", "messages/summary", "call-quality/summary"),
    *("visits.csv", "messages.json", "call-quality.csv"),
)


@dataclass
class Door:
    """Lets in who has the role, as a session would."""

    roles: set[ReportRole] = field(default_factory=lambda: {ReportRole.VIEWER})

    def require(self, role: ReportRole) -> Access:
        async def reader(request: Request) -> Reader:
            if role not in self.roles:
                raise ProblemError(HTTPStatus.FORBIDDEN, "the role is missing")
            names = request.path_params
            return Reader(names["namespace"], names["name"], frozenset(self.roles))

        return reader


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def api(theatre: Theatre, clock: Clock, door: Door) -> AsyncGenerator[httpx.AsyncClient]:
    directory = Directory(Organizations(theatre.engine, clock), lambda: 0.0)
    app = FastAPI()
    app.include_router(
        ReportsApi(theatre.queries, QualityReports(theatre.engine, directory), door.require, directory, clock).router()
    )
    answer_problems(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://connector.example") as http:
        yield http


async def played(theatre: Theatre, clock: Clock) -> None:
    for play in PLAYS:
        await theatre.play(play)
    await Sends(theatre.engine, clock).claim(
        Message("d" * 43, "v", "lamna", "organization", "north", "reminder", "sms")
    )
    clock.pass_(24 * 3600)
    await theatre.refresher.refresh()


async def get(api: httpx.AsyncClient, path: str, **query: str | list[str]) -> Any:
    answer = await api.get(f"{HERE}/{path}", params=query)
    assert answer.status_code == HTTPStatus.OK, answer.text
    return answer.json() if answer.headers["content-type"] == "application/json" else answer.text


async def test_csv_json_and_summary_tell_the_same_visits(
    api: httpx.AsyncClient, theatre: Theatre, clock: Clock
) -> None:
    await played(theatre, clock)
    told = await get(api, "visits.json")
    lines = list(csv.DictReader(io.StringIO(await get(api, "visits.csv"))))
    summary = await get(api, "visits/summary")
    assert len(told) == len(lines) == summary["total"] == len(PLAYS)
    as_text = {key: "" if value is None else str(value) for key, value in told[0].items()}
    assert lines[0] == as_text
    assert sum(summary["byStatus"].values()) == summary["total"]
    assert summary["durationS"] == sum(one["durationS"] for one in told)
    assert summary["noShowRate"] == pytest.approx(4 / 9)


@pytest.mark.parametrize("name", ["department", "endpoint", "environment"])
async def test_what_no_name_can_hold_never_comes_to_the_database(api: httpx.AsyncClient, name: str) -> None:
    for path in ("visits/summary", "visits.csv"):
        answer = await api.get(f"{HERE}/{path}", params={name: "north\0"})
        assert (answer.status_code, answer.json()["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, name)
    assert chosen({name: "north\0"}, date(2026, 11, 24)) == chosen({}, date(2026, 11, 24))


async def test_messages_are_told_with_their_status(api: httpx.AsyncClient, theatre: Theatre, clock: Clock) -> None:
    await played(theatre, clock)
    (message,) = await get(api, "messages.json")
    assert (message["channel"], message["occasion"], message["status"]) == ("sms", "reminder", "pending")
    summary = await get(api, "messages/summary")
    assert summary["total"] == 1
    assert summary["byDay"] == {"2026-11-18": {"pending": 1}}


async def test_call_quality_is_told_as_a_summary_of_the_rows(
    api: httpx.AsyncClient, theatre: Theatre, clock: Clock
) -> None:
    visit = await theatre.book()
    legs = [
        Leg(Side.PROVIDER, clock(), 60, "wired", "windows", Figures(jitter_ms=5.0)),
        Leg(Side.PATIENT, clock(), 60, "mobile", "iOS", Figures(jitter_ms=31.0)),
    ]
    await Quality(theatre.engine).put("c", 1, visit, visit.starts_at.date(), legs, _nothing)
    rows = await get(api, "call-quality.json")
    summary = await get(api, "call-quality/summary")
    assert [row["poorBecause"] for row in rows] == [[], ["jitter"]]
    assert summary["calls"] == {"good": 0, "poor": 1, "unclassified": 0, "total": 1, "poorRate": 1.0}
    assert summary["legs"] == {"good": 1, "poor": 1, "unclassified": 0, "total": 2, "poorRate": 0.5}
    assert summary["byDay"]["2026-11-18"]["poor"] == 1
    assert {name: one["poor"] for name, one in summary["byNetworkKind"].items()} == {"mobile": 1, "wired": 0}
    assert summary["because"] == {"jitter": 1}


async def _nothing(_connection: AsyncConnection) -> None:
    """Follow with nothing."""


async def test_days_are_those_of_the_zone_that_is_asked_for(
    api: httpx.AsyncClient, theatre: Theatre, clock: Clock
) -> None:
    await theatre.book(start=clock() + timedelta(hours=4))
    await theatre.book(start=clock() + timedelta(hours=19))
    await theatre.refresher.refresh()
    day = {"from": "2026-11-19", "to": "2026-11-19"}
    assert (await get(api, "visits/summary", **day, timeZone="UTC"))["total"] == 1
    assert (await get(api, "visits/summary", **day, timeZone="Pacific/Auckland"))["total"] == 2


async def test_filters_may_be_repeated_and_empty(api: httpx.AsyncClient, theatre: Theatre) -> None:
    for department in ("cardiology", "paediatrics", "surgery"):
        await theatre.book(department=department)
    await theatre.refresher.refresh()
    two = await get(api, "visits.json", department=["cardiology", "surgery"], endpoint="")
    assert [one["department"] for one in two] == ["cardiology", "surgery"]
    assert (await get(api, "choices"))["departments"] == ["cardiology", "paediatrics", "surgery"]


@pytest.mark.parametrize("path", PATHS)
async def test_nobody_without_the_role_is_told_anything(api: httpx.AsyncClient, door: Door, path: str) -> None:
    door.roles = set()
    answer = await api.get(f"{HERE}/{path}")
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_audit_log_is_for_auditors(
    api: httpx.AsyncClient, door: Door, theatre: Theatre, clock: Clock
) -> None:
    audit = Audit(theatre.engine, clock)
    await audit.record("lamna", "organization", Action.CONFIGURED, "operator", "configuration sha256:0")
    await audit.record("fabrikam", "organization", Action.CONFIGURED, "operator", "configuration sha256:1")
    assert (await api.get(f"{HERE}/audit.csv")).status_code == HTTPStatus.FORBIDDEN
    door.roles.add(ReportRole.AUDITOR)
    assert [row["object"] for row in await get(api, "audit.json")] == ["configuration sha256:0"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "0001-01-01"}, "to"),
        ({"from": "2026-11-20", "to": "2026-11-19"}, "from"),
        ({"from": "2016-11-20", "to": "2026-11-19"}, "from"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
    ],
)
async def test_what_cannot_be_understood_is_refused_by_name(
    api: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    answer = await api.get(f"{HERE}/visits.csv", params=query)
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.json()["field"] == field


async def test_an_unknown_form_is_refused(api: httpx.AsyncClient) -> None:
    assert (await api.get(f"{HERE}/visits.xlsx")).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


async def test_the_description_names_every_path_and_every_column(api: httpx.AsyncClient) -> None:
    described = (await api.get(f"{PREFIX}/openapi.json")).json()
    paths = {path.rpartition("{name}/")[2] for path in described["paths"]}
    assert paths == {
        "choices",
        "visits/summary",
        "messages/summary",
        "call-quality/summary",
        "visits.{form}",
        "messages.{form}",
        "call-quality.{form}",
        "audit.{form}",
    }
    row = described["components"]["schemas"]["ConsumptionRow"]["properties"]
    header = (await get(api, "visits.csv")).splitlines()[0].split(",")
    assert list(row) == header
    legs = described["components"]["schemas"]
    nested = {"figures", "dimensions"}
    figures = legs["QualityRow"]["properties"].keys() - nested, legs["Figures"]["properties"]
    assert {*figures[0], *figures[1]} == set((await get(api, "call-quality.csv")).splitlines()[0].split(","))
    assert row["startedAt"]["description"] == "When both sides were in for the first time."
