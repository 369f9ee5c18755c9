"""Who gets to see reports: the sign-in at the organisation's tenant, its roles, its session and its end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from contract.reports_pages.reading import (
    AUDITOR,
    BELOW,
    CALLBACK,
    ENDED,
    MANAGER,
    NAVIGATION,
    NOBODY,
    PAGES,
    SESSION,
    configure_another,
    headings,
    is_at_microsoft,
    opened,
    reader,
    remove_another,
    signed_in,
    signed_out,
)
from contract.visits.acting import tables
from contract.visits.test_clinician import choose
from contract.visits.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_TENANT = "72f988bf-0000-4000-8000-0000000000ee"


@pytest_asyncio.fixture(loop_scope="module")
async def sister(world: World) -> AsyncGenerator[str]:
    """An organisation of the same tenant and application."""
    await configure_another(world, "sister", displayName="Sister Clinics")
    yield "/reports/organizations/sister/sister"
    await remove_another(world, "sister")


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(world: World) -> AsyncGenerator[str]:
    """An organisation of another tenant."""
    microsoft365 = world.document["microsoft365"] | {"tenantID": OTHER_TENANT}
    await configure_another(world, "stranger", displayName="Stranger", microsoft365=microsoft365)
    yield "/reports/organizations/stranger/stranger"
    await remove_another(world, "stranger")


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_leads_through_microsoft_to_itself(world: World, page: str) -> None:
    browser, shown = await signed_in(world, AUDITOR, page)

    assert (shown.status_code, headings(shown)) == (200, [PAGES[page]])
    assert str(shown.url) == f"{world.connector}{BELOW}/{page}"
    assert headings(await opened(world, browser, page)) == [PAGES[page]]


async def test_the_front_door_leads_to_the_only_organization(world: World) -> None:
    browser = world.browser()

    page = await choose(browser, await browser.open(f"{world.connector}/reports/"), MANAGER)

    assert headings(page) == ["Visits"]
    assert headings(await browser.open(f"{world.connector}/reports")) == ["Visits"]


async def test_a_viewer_sees_all_but_the_audit_log(world: World) -> None:
    browser = await reader(world, MANAGER)

    page = await opened(world, browser, "messages")
    refused = await opened(world, browser, "audit")

    assert NAVIGATION.findall(page.text) == ["Visits", "Call quality", "Messages"]
    assert (refused.status_code, headings(refused)) == (403, ["Your account may not read this"])
    assert "Reports.Auditor" in refused.text


async def test_an_auditor_sees_the_audit_log_too(world: World) -> None:
    browser = await reader(world, AUDITOR)

    page = await opened(world, browser, "audit")

    assert NAVIGATION.findall(page.text) == ["Visits", "Call quality", "Messages", "Audit"]
    assert "Signed in to the reports" in page.text


async def test_who_has_no_role_is_told_which_and_who_grants_it(world: World) -> None:
    browser, page = await signed_in(world, NOBODY)

    assert (page.status_code, headings(page)) == (403, ["Your account may not read this"])
    assert "Reports.Viewer" in page.text
    assert "Enterprise applications" in page.text
    assert SESSION not in browser.http.cookies
    assert is_at_microsoft(world, await opened(world, browser, "consumption"))


async def test_every_sign_in_is_audited_without_a_name(world: World) -> None:
    await signed_in(world, NOBODY)
    await reader(world, AUDITOR)

    rows = [row for row in (await tables(world))["audit_event"] if row["action"] == "reports_signed_in"]
    everything = json.dumps(await tables(world), default=str)

    assert [row["outcome"] for row in rows[-2:]] == ["refused", "success"]
    assert rows[-1]["actor"] != rows[-2]["actor"]
    assert AUDITOR not in everything
    assert "dara.singh" not in everything


async def test_a_session_ends_after_four_hours(world: World) -> None:
    browser = await reader(world)
    world.clock.ahead = timedelta(hours=3, minutes=59)
    assert headings(await opened(world, browser, "consumption")) == ["Visits"]

    world.clock.ahead = timedelta(hours=4)

    assert is_at_microsoft(world, await opened(world, browser, "consumption"))


async def test_the_session_s_cookie_is_for_this_host_alone_and_no_script(world: World) -> None:
    browser = world.browser()
    microsoft = await browser.open(f"{world.connector}{BELOW}/consumption")
    cookies: list[str] = []
    browser.http.event_hooks["response"].append(_noting(cookies))

    await choose(browser, microsoft, MANAGER)

    [cookie] = [one for one in cookies if one.startswith(f"{SESSION}=")]
    attributes = {one.strip() for one in cookie.split(";")[1:]}
    assert attributes == {"Path=/", "Max-Age=14400", "Secure", "HttpOnly", "SameSite=Lax"}


async def test_who_signs_out_sees_nothing_any_more_nor_does_a_copy_of_the_cookie(world: World) -> None:
    browser = await reader(world)
    copied = browser.http.cookies[SESSION]

    page = await signed_out(world, browser, await opened(world, browser, "consumption"))

    assert headings(page) == ["You are signed out of the reports"]
    assert is_at_microsoft(world, await opened(world, browser, "consumption"))
    thief = world.browser()
    thief.http.cookies.set(SESSION, copied, domain="localhost.local", path="/")
    stolen = await thief.http.get(f"{world.connector}{BELOW}/consumption", headers={"Cookie": f"{SESSION}={copied}"})
    assert stolen.status_code == 303


@pytest.mark.parametrize(
    "changes", [{"csrf": ""}, {"csrf": "A" * 43}, {"site": "cross-site"}], ids=["none", "wrong", "site"]
)
async def test_no_other_page_signs_a_reader_out(world: World, changes: dict[str, str]) -> None:
    browser = await reader(world)

    page = await signed_out(world, browser, await opened(world, browser, "consumption"), **changes)

    assert (page.status_code, headings(page)) == (400, [ENDED])
    assert headings(await opened(world, browser, "consumption")) == ["Visits"]


async def test_an_answer_of_microsoft_counts_once_and_in_the_window_that_asked(world: World) -> None:
    browser, _ = await signed_in(world, MANAGER)
    [answer] = [one for one in browser.visited if CALLBACK in one]

    for window in (browser, world.browser()):
        page = await window.open(answer)
        assert (page.status_code, headings(page)) == (400, [ENDED])


async def test_an_answer_to_another_question_is_refused(world: World) -> None:
    browser = world.browser()
    await browser.open(f"{world.connector}{BELOW}/consumption")

    page = await browser.open(f"{world.connector}{CALLBACK}?code=made-up&state=made-up")

    assert (page.status_code, headings(page)) == (403, ["Microsoft did not sign you in"])
    assert SESSION not in browser.http.cookies


async def test_a_sign_in_that_took_too_long_ends(world: World) -> None:
    browser = world.browser()
    microsoft = await browser.open(f"{world.connector}{BELOW}/consumption")
    world.clock.ahead = timedelta(minutes=10)

    page = await choose(browser, microsoft, MANAGER)

    assert (page.status_code, headings(page)) == (400, [ENDED])


@pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 503}, {"action": "cut"}],
    ids=["503", "cut"],
)
async def test_a_microsoft_that_does_not_answer_is_said(world: World, fault: dict[str, Any]) -> None:
    browser = world.browser()
    microsoft = await browser.open(f"{world.connector}{BELOW}/consumption")
    await world.fault(world.graph, "/oauth2/v2.0/token", **fault)

    page = await choose(browser, microsoft, MANAGER)

    assert (page.status_code, headings(page)) == (502, ["Microsoft sign-in is not available"])


async def test_whoever_begins_without_end_is_stopped_before_microsoft_is_asked(world: World) -> None:
    address = f"{world.connector}/reports/sign-in/lamna/lamna"
    flood, reader_elsewhere = world.browser(), world.browser()

    answers = [(await flood.http.get(address)).status_code for _ in range(61)]

    assert answers == [303] * 60 + [429]
    assert (await reader_elsewhere.http.get(address)).status_code == 303


async def test_organizations_of_one_tenant_share_a_sign_in(world: World, sister: str) -> None:
    browser = await reader(world)

    chooser = await browser.open(f"{world.connector}/reports/")

    assert headings(chooser) == ["Reports"]
    assert "Sister Clinics" in chooser.text
    assert headings(await opened(world, browser, "consumption", sister)) == ["Visits"]


async def test_an_organization_of_another_tenant_stays_closed(world: World, stranger: str) -> None:
    browser = await reader(world, AUDITOR)

    page = await opened(world, browser, "consumption", stranger)
    nothing = await opened(world, browser, "consumption", "/reports/organizations/no/such")
    chooser = await browser.open(f"{world.connector}/reports/")

    assert page.status_code == nothing.status_code == 404
    assert headings(page) == headings(nothing) == ["There is no such page"]
    assert headings(chooser) == ["Visits"]


async def test_who_has_not_signed_in_chooses_among_the_organizations_of_the_host(world: World, stranger: str) -> None:
    await configure_another(world, "elsewhere", displayName="Elsewhere", publicURL="https://elsewhere.example")
    try:
        chooser = await world.browser().open(f"{world.connector}/reports/")
    finally:
        await remove_another(world, "elsewhere")

    assert headings(chooser) == ["Reports"]
    assert stranger.rpartition("/")[2] in chooser.text
    assert "Elsewhere" not in chooser.text


def _noting(cookies: list[str]) -> Any:
    async def note(response: Any) -> None:
        cookies.extend(response.headers.get_list("set-cookie"))

    return note
