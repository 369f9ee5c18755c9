"""What the pages of reports say: of a visit that took place, of filters, of nothing; and what they never say."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from contract.reports_pages.reading import (
    AUDITOR,
    BELOW,
    MANAGER,
    PAGES,
    around_today,
    headings,
    is_at_microsoft,
    opened,
    reader,
)
from contract.visits.acting import clinician_of, signed_in, until
from contract.visits.world import Browser, World
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ehr_connector.reports.quality.extraction import Leg
from ehr_connector.reports.quality.ports import Figures
from ehr_connector.store.database import open_database
from ehr_connector.store.quality import Quality
from ehr_connector.store.schema import visit
from ehr_connector.store.send_state import State
from ehr_connector.store.sends import Message, Sends
from ehr_connector.store.visits import visit_of
from ehr_connector.visits.events import Side

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = "/reports/api/v1/organizations/lamna/lamna"
VISITS = re.compile(r"<dt>Visits</dt>\s*<dd><strong>([^<]+)</strong>")
NOTHING = "No visit was booked for this time."
GIVEN, FAMILY, PHONE = "Philomenarosa", "Quackenbushly", "8165550147"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visited(hospital: World) -> AsyncGenerator[World]:
    """The hospital after a clinician has gone to the visit of a patient who can be recognised."""
    patient = await hospital.patient(given=GIVEN, family=FAMILY, phone=PHONE)
    booked = await hospital.book(patient)
    chart = await signed_in(hospital, patient, booked["encounter"], **clinician_of(hospital))
    await chart.press(chart.visits[0], "join")
    browser = await reader(hospital, MANAGER)

    async def told() -> bool:
        rows = (await browser.http.get(f"{hospital.connector}{API}/visits.json?{around_today()}")).json()
        return any(row["status"] == "scheduled" for row in rows)

    await until(told)
    await talked_and_texted(hospital)
    yield hospital


async def talked_and_texted(hospital: World) -> None:
    """Let each visit that is known have a text, and a call that was measured, as the workers note them."""
    engine = open_database(hospital.settings["database_url"])
    try:
        async with engine.connect() as connection:
            visits = [visit_of(row) for row in await connection.execute(select(visit))]
        for number, row in enumerate(visits):
            sends, digest = Sends(engine, hospital.clock), f"{number}".ljust(43, "d")
            claim = await sends.claim(
                Message(digest, row.visit, row.namespace, row.name, row.endpoint, "reminder", "sms")
            )
            assert claim is not None
            await sends.address(claim, "p" * 43, "+18335550100")
            await sends.end(claim, State.ACCEPTED, message_id=digest)
            leg = Leg(Side.PATIENT, row.starts_at, 60, "wifi", "web", Figures(jitter_ms=5.0))
            await Quality(engine).put(f"c{number}", 1, row, row.starts_at.date(), [leg], nothing)
    finally:
        await engine.dispose()


async def nothing(_connection: AsyncConnection) -> None:
    """Follow with nothing."""


async def test_a_page_counts_the_rows_that_are_there(visited: World) -> None:
    browser = await reader(visited)
    page = await opened(visited, browser, f"consumption?{around_today()}")

    async def agree() -> bool:
        """Whether no visit became known between the two."""
        nonlocal page
        page = await opened(visited, browser, f"consumption?{around_today()}")
        rows = (await browser.http.get(f"{visited.connector}{API}/visits.json?{around_today()}")).json()
        return VISITS.findall(page.text) == [str(len(rows))]

    assert await until(agree)
    assert "Clinic 4" in page.text
    assert page.text.count("<svg") == page.text.count("<details>") == 6


async def test_what_is_downloaded_is_what_is_filtered(visited: World) -> None:
    browser = await reader(visited)
    page = await opened(visited, browser, f"consumption?{around_today()}&department=clinic-4")
    [csv_address, json_address] = re.findall(r'href="(/reports/api/[^"]+)" download', page.text)

    rows = await browser.http.get(visited.connector + csv_address.replace("&amp;", "&"))
    objects = await browser.http.get(visited.connector + json_address.replace("&amp;", "&"))
    others = await browser.http.get(f"{visited.connector}{API}/visits.csv?department=other")

    lines = list(csv.DictReader(io.StringIO(rows.text)))
    assert {row["department"] for row in lines} == {"clinic-4"}
    # Not every program takes what begins with a dash for text, so in CSV a sign stands before it.
    assert [one["visit"] for one in objects.json()] == [row["visit"].removeprefix("'") for row in lines]
    assert len(list(csv.DictReader(io.StringIO(others.text)))) == 0


@pytest.mark.parametrize("query", ["department=none", "environment=Production", "from=2020-01-01&to=2020-01-31"])
async def test_filters_that_leave_nothing_are_explained(visited: World, query: str) -> None:
    page = await opened(visited, await reader(visited), f"consumption?{query}")

    assert NOTHING in page.text
    assert "Choose more days" in page.text
    assert "<svg" not in page.text


@pytest.mark.parametrize(
    "query",
    ["from=x&to=y", "from=9999-12-31&to=0001-01-01", "from=2026-11-30&to=2026-11-01", "department=%00%3Cscript%3E"],
)
async def test_an_address_that_cannot_be_read_shows_a_page_all_the_same(visited: World, query: str) -> None:
    page = await opened(visited, await reader(visited), f"consumption?{query}")

    assert (page.status_code, headings(page)) == (200, ["Visits"])
    assert "<script" not in page.text


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_needs_no_other_origin_no_script_and_nothing_inline(visited: World, page: str) -> None:
    shown = await opened(visited, await reader(visited, AUDITOR), page)

    assert "unsafe" not in shown.headers["Content-Security-Policy"]
    assert not re.findall(r"<script|<style|\sstyle=|\son[a-z]+=", shown.text)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', shown.text)


@pytest.mark.parametrize("page", PAGES)
async def test_nobody_is_found_in_a_page_or_its_rows(visited: World, page: str) -> None:
    browser = await reader(visited, AUDITOR)
    rows = {"consumption": "visits"}.get(page, page)

    shown = (await opened(visited, browser, f"{page}?{around_today()}")).text
    downloaded = (await browser.http.get(f"{visited.connector}{API}/{rows}.json?{around_today()}")).text

    assert len(json.loads(downloaded)) >= 1
    assert '<section class="card empty"' not in shown
    assert "<svg" in shown
    for told in (shown, downloaded):
        assert not [one for one in (GIVEN, FAMILY, PHONE, "Ada Okafor", "ada.okafor") if one in told]


@pytest.mark.parametrize("path", ["visits.csv", "messages/summary", "audit.json"])
async def test_the_api_lets_nobody_in_without_a_session(visited: World, path: str) -> None:
    answer = await visited.browser().http.get(f"{visited.connector}{API}/{path}")

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_api_gives_a_viewer_no_audit_log(visited: World) -> None:
    answer = await (await reader(visited, MANAGER)).http.get(f"{visited.connector}{API}/audit.csv")

    assert answer.status_code == 403


async def test_the_language_stays_on_the_way_to_other_pages_and_filters(visited: World) -> None:
    browser = await reader(visited)

    page = await opened(visited, browser, "consumption?lang=es")

    assert headings(page) == ["Visitas"]
    assert '<input type="hidden" name="lang" value="es">' in page.text
    assert page.text.count("&amp;lang=es") >= 6


async def test_without_a_session_a_form_of_filters_leads_to_the_sign_in(visited: World) -> None:
    browser: Browser = visited.browser()

    page = await browser.open(f"{visited.connector}{BELOW}/consumption?from=2026-01-01")

    assert is_at_microsoft(visited, page)
